"""Further columns and matrices that the options of a model name, checked."""

import numpy as np
from anndata import AnnData
from scipy import sparse

from stfmkit._core.arguments import listed, nearest
from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit._data._read import read_groups, read_matrix


def read_labels(adata: AnnData, key: str) -> np.ndarray:
    """Return a column of labels of ``obs`` as text (n_obs,); none may be missing."""
    return np.asarray(read_groups(adata, key, role=key).astype(str), dtype=object)


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


def read_expression(adata: AnnData, layer: str | None) -> sparse.csr_array:
    """Return any finite values ≥ 0 as a CSR array (n_obs, n_vars) without explicit zeros."""
    where = "X" if layer is None else f"layers[{layer!r}]"
    matrix = read_matrix(adata, layer)
    good = matrix.dtype.kind in "iuf"
    values = sparse.csr_array(matrix, copy=True) if good else sparse.csr_array((0, 0))
    if not good or not np.isfinite(values.data).all() or (values.data < 0).any():
        raise InputError(
            f"{where} of dtype {matrix.dtype} with values that are negative or not finite.",
            allowed="finite expression values ≥ 0",
            remedy="pass layer= with counts or log-normalised values; scaled data have negative values.",
        )
    values.eliminate_zeros()
    return values
