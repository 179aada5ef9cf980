"""The table of known models."""

import pandas as pd

from stfmkit._core.arguments import check_choice
from stfmkit._core.errors import InputError
from stfmkit._core.extras import missing_packages
from stfmkit.models.card import FAMILIES, Family, ModelCard
from stfmkit.models.catalogue import MODELS


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
    cards = MODELS.entries().values()
    missing = {extra: missing_packages(extra) for extra in {card.extra for card in cards}}
    rows = [
        {
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
        for card in cards
        if family in {None, card.family}
        for reason in [_why_not(card, missing[card.extra])]
        if runnable in {None, not reason}
    ]
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
