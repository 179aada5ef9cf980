"""The table of known models."""

import pandas as pd

from stfmkit._validate import check_choice
from stfmkit.models._card import FAMILIES, Family
from stfmkit.models._extras import missing_packages
from stfmkit.models._registry import registry


def list_models(*, family: Family | None = None, runnable: bool | None = None) -> pd.DataFrame:
    """List the known models, one row each; no model is imported.

    Parameters
    ----------
    family
        Only models of this family.
    runnable
        True for models whose optional packages are installed, False for those that still need some, None for all.

    Returns
    -------
    Columns name, family, needs, fits, uses_neighbors, dimension (missing where options or data set it), licence,
    commercial, summary.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.models.list_models(family="baseline")[["name", "needs", "fits"]]
                       name                     needs   fits
    0          library_size                    counts  False
    1           coordinates               coordinates   True
    2                random                   nothing  False
    3         random_smooth               coordinates  False
    4               hvg_pca                    counts   True
    5          neighbor_pca       counts, coordinates   True
    6  celltype_composition  coordinates, composition  False
    """
    if family is not None:
        check_choice(family, FAMILIES, name="family")
    rows = [
        {
            "name": card.name,
            "family": card.family,
            "needs": ", ".join(card.needs),
            "fits": card.fits,
            "uses_neighbors": card.uses_neighbors,
            "dimension": card.dimension,
            "licence": card.licence,
            "commercial": card.commercial,
            "summary": card.summary,
        }
        for card in registry.cards().values()
        if family in {None, card.family} and runnable in {None, not missing_packages(card.extra)}
    ]
    columns = ["name", "family", "needs", "fits", "uses_neighbors", "dimension", "licence", "commercial", "summary"]
    return pd.DataFrame(rows, columns=columns).astype({"dimension": "Int64", "fits": bool, "uses_neighbors": bool})
