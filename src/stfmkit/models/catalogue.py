"""The catalogue of models: cards that come with the package, those of plug-ins, and those that the user registers."""

import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module

from stfmkit._core.arguments import check_choice, listed
from stfmkit._core.catalogue import NAME, Catalogue
from stfmkit._core.errors import InputError, InputTypeError
from stfmkit.models.card import FAMILIES, MODALITIES, ModelCard

GROUP = "stfmkit.models"
"""Entry-point group of plug-ins; an entry point holds a `ModelCard` or several in a list or tuple."""

_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def built_in() -> Iterator[ModelCard]:
    """Yield the ``CARDS`` of every file of baselines and of the ``card.py`` of every family of networks."""
    from stfmkit.models import baselines, zoo

    for module in pkgutil.iter_modules(baselines.__path__):
        yield from import_module(f"{baselines.__name__}.{module.name}").CARDS
    for family in pkgutil.iter_modules(zoo.__path__):
        yield from import_module(f"{zoo.__name__}.{family.name}.card").CARDS


def check_card(card: ModelCard) -> None:
    """Refuse a card that lookups and checks could not rely on."""
    if not isinstance(card, ModelCard):
        raise InputTypeError(
            f"a card of type {type(card).__name__}.",
            allowed="sk.models.ModelCard",
            remedy="describe the model with sk.models.ModelCard(...).",
        )
    for field, value, pattern, example in (
        ("name", card.name, NAME, "lower case with - or _, and a tag after a dot: 'scgpt-spatial.v1'"),
        ("target", card.target, _TARGET, "'package.module:Class'"),
    ):
        if field == "target" and not card.runnable and value == "":
            continue
        if not (isinstance(value, str) and pattern.fullmatch(value)):
            raise InputError(f"a card with {field}={value!r}.", allowed=example, remedy=f"correct the {field}.")
    check_choice(card.family, FAMILIES, name="family")
    if not isinstance(card.needs, tuple):
        raise InputError(
            f"a card with needs={card.needs!r}.",
            allowed=f"a tuple of {listed(MODALITIES)}",
            remedy="state what the model reads, () where it reads nothing.",
        )
    for need in card.needs:
        check_choice(need, MODALITIES, name="needs")
    if not card.runnable and not card.reason:
        raise InputError(
            f"the card of {card.name!r} says that it is not runnable, and not why.",
            allowed="runnable=True, or a reason",
            remedy="say why in reason=.",
        )


MODELS: Catalogue[ModelCard] = Catalogue(
    what="model", group=GROUP, built_in=built_in, name_of=lambda card: card.name, check=check_card
)
"""The models of this session."""
