"""The catalogue of models: cards of the package, of plug-ins and of the user, to list, look up and add to."""

import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module

import pandas as pd

from stfmkit._core.arguments import check_choice, listed
from stfmkit._core.card import check_facts
from stfmkit._core.catalogue import NAME, Catalogue
from stfmkit._core.errors import InputError, InputTypeError
from stfmkit._core.optional import missing_packages
from stfmkit.models.card import FAMILIES, MODALITIES, Family, ModelCard

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
    check_facts(card)
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
    what="model",
    group=GROUP,
    built_in=built_in,
    name_of=lambda card: card.name,
    check=check_card,
)
"""The models of this session."""


def list_models(*, family: Family | None = None, runnable: bool | None = None) -> pd.DataFrame:
    """List the known models, one row each; no network is imported.

    Parameters
    ----------
    family
        Only models of this family.
    runnable
        True for models that can be run here, False for those that cannot (the optional packages are not installed, or
        the card says why), None for all.

    Returns
    -------
    Columns name, family, needs, fits, uses_neighbors, species, gene_ids, dimension (missing where options or data set
    it), licence, commercial (missing where a licence is not known), summary, reason (why a model cannot be run here).

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.models.list_models(family="baseline")[["name", "needs", "fits"]]
                       name                     needs   fits
    0  celltype_composition  coordinates, composition  False
    1           coordinates               coordinates   True
    2               hvg_pca                    counts   True
    3          library_size                    counts  False
    4          neighbor_pca       counts, coordinates   True
    5                random                   nothing  False
    6         random_smooth               coordinates  False
    """
    if family is not None:
        check_choice(family, FAMILIES, name="family")
    if runnable not in {None, True, False}:
        raise InputError(f"runnable={runnable!r}.", allowed="True, False or None", remedy="pass one of these.")
    missing = cache(missing_packages)

    def row(card: ModelCard) -> dict[str, object] | None:
        reason = _why_not(card, missing(card.extra))
        if family not in (None, card.family) or runnable not in (None, not reason):
            return None
        return {
            "name": card.name,
            "family": card.family,
            "needs": ", ".join(card.needs) or "nothing",
            "fits": card.fits,
            "uses_neighbors": card.uses_neighbors,
            "species": ", ".join(card.species),
            "gene_ids": card.gene_ids or "",
            "dimension": card.dimension,
            "licence": card.licence,
            "commercial": card.commercial,
            "summary": card.summary,
            "reason": reason,
        }

    return _table(MODELS.rows(row, table=_table))


def _table(rows: list[dict[str, object]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=_COLUMNS).astype(_TYPES)


_TYPES = {"dimension": "Int64", "fits": bool, "uses_neighbors": bool, "commercial": "boolean"}
_COLUMNS = [
    "name",
    "family",
    "needs",
    "fits",
    "uses_neighbors",
    "species",
    "gene_ids",
    "dimension",
    "licence",
    "commercial",
    "summary",
    "reason",
]


def _why_not(card: ModelCard, missing: tuple[str, ...]) -> str:
    """Return why a model cannot be run here, or nothing."""
    if not card.runnable:
        return card.reason
    return f"needs pip install 'stfmkit[{card.extra}]'" if missing else ""


def model_card(name: str) -> ModelCard:
    """Return the card of a model; the model itself is not imported.

    Parameters
    ----------
    name
        Registry name, ``name`` or ``name.tag``.

    Raises
    ------
    MissingKeyError
        No model has this name; the nearest names are suggested.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.models.model_card("hvg_pca").fits
    True
    """
    return MODELS.find(name)


def register_model(card: ModelCard, *, overwrite: bool = False) -> None:
    """Make a model known by its card, for this Python session.

    A package makes its models known for good with an entry point of the group ``stfmkit.models`` that holds a card
    or a list of cards. Check the model itself with `stfmkit.testing.check_model`.

    Parameters
    ----------
    card
        The facts of the model.
    overwrite
        Replace a model of the same name.

    Raises
    ------
    InputTypeError
        `card` is not a card.
    InputError
        The card is not well formed, or its name is taken.

    Examples
    --------
    A new model::

        card = sk.models.ModelCard(
            name="my-model.v1",
            target="my_package.models:MyModel",  # a class under sk.models.EmbeddingModel
            family="rna",
            summary="What it does, in one sentence.",
            needs=("counts",),
        )
        sk.models.register_model(card)

    A name that is taken is replaced on request only:

    >>> import stfmkit as sk
    >>> sk.models.register_model(sk.models.model_card("hvg_pca"), overwrite=True)
    """
    MODELS.add(card, overwrite=overwrite)
