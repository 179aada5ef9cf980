"""Read measured expression on the scale of a prediction."""

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from stfmkit._core.arguments import check_choice
from stfmkit._core.errors import InputError, InputTypeError
from stfmkit._data.columns import read_column
from stfmkit._data.matrices import check_no_empty, read_counts, read_matrix
from stfmkit._kernels._normalize import totals
from stfmkit.evaluation.expression import SCALES
from stfmkit.evaluation.measured import Matrix, Measured


def read_measured(adata: AnnData, *, layer: str | None, scale: str, library_size_key: str | None) -> Measured:
    """Return measured expression; its values must be counts where the scale is made of counts.

    Raises
    ------
    InputError
        An unknown scale, values that are no counts or not finite, or observations without any count.
    InputTypeError
        Values or library sizes that are not numbers.
    MissingKeyError
        There is no such layer or column.
    """
    check_choice(scale, SCALES, name="scale")
    if scale == "as_is":
        matrix = read_matrix(adata, layer)
        _check_finite(matrix, where="X" if layer is None else f"layers[{layer!r}]")
    else:
        matrix = read_counts(adata, layer)
    depth = None
    if library_size_key is not None:
        depth = _library_sizes(adata, library_size_key)
    elif scale != "as_is":
        counts = sparse.csr_array(matrix)
        if scale == "size_factor_log1p":
            check_no_empty(counts, adata.obs_names)
        depth = totals(counts)
    return Measured(matrix=matrix, scale=scale, depth=depth)


def _library_sizes(adata: AnnData, key: str) -> np.ndarray:
    column = read_column(adata, key, role="library_size_key")
    if not pd.api.types.is_numeric_dtype(column):
        raise InputTypeError(
            f"obs[{key!r}] of dtype {column.dtype}.", allowed="library sizes", remedy="pass a column of numbers."
        )
    depth = column.to_numpy(dtype=np.float64)
    if not (np.isfinite(depth).all() and (depth > 0).all()):
        bad = int((~(np.isfinite(depth) & (depth > 0))).sum())
        raise InputError(
            f"{bad} library sizes in obs[{key!r}] that are not above 0.",
            allowed="finite numbers above 0",
            remedy="drop these observations.",
        )
    return depth


def _check_finite(matrix: Matrix, *, where: str) -> None:
    values = matrix.data if isinstance(matrix, sparse.csr_array) else matrix
    if values.dtype.kind not in "biuf":
        raise InputTypeError(f"{where} of dtype {values.dtype}.", allowed="numbers", remedy="store numbers there.")
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise InputError(
            f"{bad} NaN or infinite values in {where}.", allowed="finite truth", remedy="drop what was not measured."
        )
