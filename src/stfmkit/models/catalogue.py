"""The one list of known models: built-in cards, plug-ins, and what the user registers."""

import re
import warnings
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

from stfmkit._core.arguments import check_choice, check_known, listed
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError, StfmkitWarning
from stfmkit.models.card import FAMILIES, INPUTS, ModelCard
from stfmkit.models._cards import BUILT_IN

GROUP = "stfmkit.models"
"""Entry-point group of plug-ins; an entry point holds a `ModelCard` or several in a list or tuple."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*(\.[a-z0-9][a-z0-9._-]*)?")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


_BROKEN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)
"""What the import of a plug-in may raise without taking the other models down."""


class Registry:
    """Cards by name; plug-ins are read on first use, and nothing but cards is imported.

    Parameters
    ----------
    cards
        The cards to start with.
    """

    def __init__(self, cards: Iterable[ModelCard]) -> None:
        self._cards = {card.name: card for card in cards}
        self._plugins_read = False

    def cards(self) -> dict[str, ModelCard]:
        """Return all cards by name, in the order of registration."""
        self._read_plugins()
        return dict(self._cards)

    def find(self, name: str) -> ModelCard:
        """Return the card of ``name`` or ``name.tag``; the tag may be left out where there is only one."""
        if not isinstance(name, str):
            raise InputTypeError(
                f"a model name of type {type(name).__name__}.",
                allowed="text",
                remedy="pass a name of sk.models.list_models().",
            )
        cards = self.cards()
        if name not in cards:
            tagged = [known for known in cards if known.startswith(f"{name}.")]
            if len(tagged) == 1:
                return cards[tagged[0]]
            if tagged:
                raise MissingKeyError(
                    f"the model name {name!r}, which has several tags.", allowed=listed(tagged), remedy="add the tag."
                )
        check_known(name, cards, what="model", remedy="see sk.models.list_models().")
        return cards[name]

    def add(self, card: ModelCard, *, overwrite: bool = False) -> None:
        """Add a card, checked."""
        check_card(card)
        if card.name in self.cards() and not overwrite:
            raise InputError(
                f"a model named {card.name!r} exists.",
                allowed="a new name",
                remedy="choose another name, add a tag (name.tag), or pass overwrite=True.",
            )
        self._cards[card.name] = card

    def _read_plugins(self) -> None:
        if self._plugins_read:
            return
        self._plugins_read = True
        for entry in entry_points(group=GROUP):
            problem = self._read_plugin(entry)
            if problem:
                warnings.warn(
                    f"The model plug-in {entry.name!r} ({entry.value}) is left out: {problem}",
                    StfmkitWarning,
                    stacklevel=4,
                )

    def _read_plugin(self, entry: EntryPoint) -> str:
        """Add the cards of a plug-in; return what is wrong with it, or nothing."""
        try:
            loaded = entry.load()
        except _BROKEN as error:
            return f"{type(error).__name__}: {error}"
        cards = list(loaded) if isinstance(loaded, (list, tuple)) else [loaded]
        try:
            for card in cards:
                check_card(card)
        except (InputError, InputTypeError) as error:
            return str(error)
        taken = [card.name for card in cards if card.name in self._cards]
        if taken:
            return f"the names {listed(taken)} are taken."
        self._cards.update({card.name: card for card in cards})
        return ""


def check_card(card: ModelCard) -> None:
    """Refuse a card that lookups and checks could not rely on."""
    if not isinstance(card, ModelCard):
        raise InputTypeError(
            f"a card of type {type(card).__name__}.",
            allowed="sk.models.ModelCard",
            remedy="describe the model with sk.models.ModelCard(...).",
        )
    for field, value, pattern, example in (
        ("name", card.name, _NAME, "lower case with - or _, and a tag after a dot: 'scgpt-spatial.v1'"),
        ("target", card.target, _TARGET, "'package.module:Class'"),
    ):
        if field == "target" and not getattr(card, "runnable", True) and value == "":
            continue
        if not (isinstance(value, str) and pattern.fullmatch(value)):
            raise InputError(f"a card with {field}={value!r}.", allowed=example, remedy=f"correct the {field}.")
    check_choice(card.family, FAMILIES, name="family")
    if not (isinstance(card.needs, tuple) and card.needs):
        raise InputError(
            f"a card with needs={card.needs!r}.",
            allowed=f"a tuple of {listed(INPUTS)}",
            remedy="state what the model reads, ('nothing',) where it reads nothing.",
        )
    for need in card.needs:
        check_choice(need, INPUTS, name="needs")
    if not card.runnable and not card.reason:
        raise InputError(
            f"the card of {card.name!r} says that it is not runnable, and not why.",
            allowed="runnable=True, or a reason",
            remedy="say why in reason=.",
        )


registry = Registry(BUILT_IN)
