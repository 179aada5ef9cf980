"""The catalogue of methods: cards of the package, of plug-ins and of the user, to list, look up and add to."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pandas as pd

from stfmkit._core.arguments import check_choice, check_known, listed
from stfmkit._core.card import check_facts
from stfmkit._core.catalogue import Catalogue
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError
from stfmkit._core.optional import missing_packages
from stfmkit.methods.contract import NEEDS, RUNS, TASKS, MethodCard

GROUP = "stfmkit.methods"
"""Entry-point group of plug-ins; an entry point holds a `MethodCard` or several in a list or tuple."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def built_in() -> Iterator[MethodCard]:
    """Yield the card of every file ``<task>/<name>.py`` of this folder, in the order of the names."""
    for path in sorted(Path(__file__).parent.glob("*/[a-z]*.py")):
        yield import_module(f"stfmkit.methods.{path.parent.name}.{path.stem}").CARD


def check_card(card: MethodCard) -> None:
    """Refuse a card that lookups and checks could not rely on."""
    if not isinstance(card, MethodCard):
        raise InputTypeError(
            f"a card of type {type(card).__name__}.",
            allowed="sk.methods.MethodCard",
            remedy="describe the method with sk.methods.MethodCard(...).",
        )
    check_facts(card)
    check_choice(card.task, TASKS, name="task")
    check_choice(card.runs, RUNS, name="runs")
    checked = [("name", card.name, _NAME, "lower case with - or _, such as 'my-method'")]
    if card.runs != "card":
        checked.append(("target", card.target, _TARGET, "'package.module:Class'"))
    for field, value, pattern, example in checked:
        if not (isinstance(value, str) and pattern.fullmatch(value)):
            raise InputError(f"a card with {field}={value!r}.", allowed=example, remedy=f"correct the {field}.")
    for field, needs in (("needs", card.needs), ("reference_needs", card.reference_needs)):
        if not isinstance(needs, tuple) or not (needs or field == "reference_needs"):
            raise InputError(
                f"a card with {field}={needs!r}.",
                allowed=f"a tuple of {listed(NEEDS)}",
                remedy="state what the method reads.",
            )
        for need in needs:
            check_choice(need, NEEDS, name=field)
    if card.runs == "card" and not card.reason:
        raise InputError(
            f"the card of {card.full_name!r} says that it is not runnable, and not why.",
            allowed="another value of runs, or a reason",
            remedy="say why in reason=.",
        )


catalogue: Catalogue[MethodCard] = Catalogue(
    what="method",
    group=GROUP,
    built_in=built_in,
    name_of=lambda card: card.full_name,
    check=check_card,
)


def find(name: str, *, task: str | None = None) -> MethodCard:
    """Return the card of ``task/name``, or of ``name`` where the task is given or only one task has that name."""
    if task is not None:
        check_choice(task, TASKS, name="task")
    if not isinstance(name, str) or "/" in name:
        card = catalogue.find(name)
        if task not in {None, card.task}:
            raise InputError(
                f"the method {name!r} for the task {task!r}.",
                allowed=f"a method of sk.methods.list_methods({task!r})",
                remedy=f"pass one of them, or call the verb for {card.task!r}.",
            )
        return card
    in_task = {full: card for full, card in catalogue.entries().items() if task in {None, card.task}}
    cards = [card for card in in_task.values() if card.name == name]
    if len(cards) > 1:
        raise MissingKeyError(
            f"the method name {name!r}, which several tasks have.",
            allowed=listed(card.full_name for card in cards),
            remedy="pass the full name, task/name.",
        )
    if not cards:
        remedy = f"see sk.methods.list_methods({'' if task is None else repr(task)})."
        check_known(name, {card.name for card in in_task.values()}, what="method", remedy=remedy)
    return cards[0]


def list_methods(task: str | None = None, *, runnable: bool | None = None) -> pd.DataFrame:
    """List the known methods, one row each; no library that a method needs is imported.

    Parameters
    ----------
    task
        Only methods of this task, such as "annotate" or "domains".
    runnable
        True for methods that can be run here, False for those that cannot (the optional packages are not installed, or
        the card says why), None for all.

    Returns
    -------
    Indexed by full name (``task/name``), with the columns task, title, output, needs, reference_needs, transductive,
    draws, runs, species, licence, commercial (missing where a licence is not known), summary, reason (why a method
    cannot be run here).

    Raises
    ------
    InputError
        The task is not known.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.methods.list_methods("domains")["title"].to_dict()
    {'domains/gmm': 'Gaussian mixture', 'domains/kmeans': 'k-means', 'domains/leiden': 'Leiden'}
    """
    if task is not None:
        check_choice(task, TASKS, name="task")
    if runnable not in {None, True, False}:
        raise InputError(f"runnable={runnable!r}.", allowed="True, False or None", remedy="pass one of these.")

    def row(card: MethodCard) -> tuple[object, ...] | None:
        wanted = task in (None, card.task) and runnable in (None, not _why_not(card))
        return (card.full_name, *_row(card)) if wanted else None

    return _table(sorted(catalogue.rows(row, table=_table)))


def _table(rows: list[tuple[object, ...]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["name", *_COLUMNS]).set_index("name").astype(_TYPES)


_COLUMNS = [
    "task",
    "title",
    "output",
    "needs",
    "reference_needs",
    "transductive",
    "draws",
    "runs",
    "species",
    "licence",
    "commercial",
    "summary",
    "reason",
]
_TYPES = {"transductive": bool, "draws": bool, "commercial": "boolean"}


def _row(card: MethodCard) -> list[object]:
    return [
        card.task,
        card.title,
        card.output,
        ", ".join(card.needs),
        ", ".join(card.reference_needs),
        card.transductive,
        card.draws,
        card.runs,
        ", ".join(card.species),
        card.licence,
        card.commercial,
        card.summary,
        _why_not(card),
    ]


def _why_not(card: MethodCard) -> str:
    """Return why a method cannot be run here, or nothing."""
    if card.runs == "card":
        return card.reason
    missing = missing_packages(card.extra)
    return f"needs pip install 'stfmkit[{card.extra}]'" if missing else ""


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
