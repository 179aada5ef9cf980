"""The card of one method."""

from stfmkit.methods._registry import find
from stfmkit.methods.contract import MethodCard


def method_card(name: str, *, task: str | None = None) -> MethodCard:
    """Return the card of a method; no library that the method needs is imported.

    Parameters
    ----------
    name
        ``task/name``, or ``name`` alone where the task is given or only one task has a method of that name.
    task
        The task, such as "annotate" or "domains".

    Raises
    ------
    MissingKeyError
        No method has this name (the nearest names are suggested), or several tasks have one.
    InputError
        The task is not known, or the method belongs to another.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.methods.method_card("knn", task="annotate").reference_needs
    ('embedding', 'labels')
    """
    return find(name, task=task)
