"""Add a method to the registry of this session."""

from stfmkit.methods._registry import catalogue
from stfmkit.methods.contract import MethodCard


def register_method(card: MethodCard, *, overwrite: bool = False) -> None:
    """Make a method known by its card, for this Python session.

    A package makes its methods known for good with an entry point of the group ``stfmkit.methods`` that holds a card
    or a list of cards. Check the method itself with `stfmkit.testing.check_method`.

    Parameters
    ----------
    card
        The facts of the method; `target` says where its class is.
    overwrite
        Replace a method of the same task and name.

    Raises
    ------
    InputTypeError
        `card` is not a card.
    InputError
        The card is not well formed, or its task has a method of this name.

    Examples
    --------
    A new method::

        card = sk.methods.MethodCard(
            task="annotate",
            name="my-method",
            target="my_package.methods:MyMethod",
            title="My method",
            summary="What it does, in one sentence.",
            needs=("counts",),
            reference_needs=("counts", "labels"),
            transductive=False,
            draws=False,
        )
        sk.methods.register_method(card)

    A name that is taken is replaced on request only:

    >>> import stfmkit as sk
    >>> sk.methods.register_method(sk.methods.method_card("annotate/knn"), overwrite=True)
    """
    catalogue.add(card, overwrite=overwrite)
