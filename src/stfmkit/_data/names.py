"""Names of observations and genes, checked."""

import numpy as np
from anndata import AnnData

from stfmkit._core.arguments import listed, nearest
from stfmkit._core.errors import InputError, MissingKeyError


def check_names(adata: AnnData) -> None:
    """Refuse an empty table and duplicated names of observations or genes."""
    if adata.n_obs == 0 or adata.n_vars == 0:
        raise InputError(
            f"a table of {adata.n_obs} observations and {adata.n_vars} genes.",
            allowed="at least one of each",
            remedy="check the filters before this step.",
        )
    for axis, names, fix in (
        ("observation", adata.obs_names, "adata.obs_names_make_unique()"),
        ("gene", adata.var_names, "sum or drop the duplicates, or adata.var_names_make_unique()"),
    ):
        if not names.is_unique:
            twice = names[names.duplicated()].unique()
            raise InputError(
                f"{len(twice)} duplicated {axis} names: {listed(twice, most=5)}.",
                allowed=f"unique {axis} names",
                remedy=f"{fix}.",
            )


def read_gene_names(adata: AnnData, key: str) -> np.ndarray:
    """Return a column of ``var`` with names of genes as text (n_vars,); a missing name is empty text."""
    if key not in adata.var.columns:
        known = [str(column) for column in adata.var.columns]
        raise MissingKeyError(
            f"gene_key={key!r}, but var has no such column.",
            allowed=f"None for var_names, or one of {listed(known) or 'none'}",
            remedy=f"pass the column with the names of the genes.{nearest(str(key), known)}",
        )
    column = adata.var[key]
    return np.asarray(column.astype(object).where(column.notna(), "").astype(str), dtype=object)
