"""The one list of known methods: those of this package, of plug-ins, and what the user registers."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from stfmkit._core.arguments import check_choice, check_known, listed
from stfmkit._core.catalogue import Catalogue
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError
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
    what="method", group=GROUP, built_in=built_in, name_of=lambda card: card.full_name, check=check_card
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
