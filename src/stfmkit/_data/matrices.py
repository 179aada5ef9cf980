"""Read matrices of counts or expression out of a table, checked."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from stfmkit._core.arguments import listed, nearest
from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit._core.matrices import check_sparse, in_memory, sound_rows

_BLOCK_ROWS = 8192


def read_matrix(adata: AnnData, layer: str | None = None) -> sparse.csr_array | np.ndarray:
    """Return ``X`` or a layer as a CSR array or a dense array, in memory, never a view that a caller may change.

    A sparse matrix has every gene of a row once, in order. A matrix of a backed table, or a dask array, is read as a
    whole: it costs the memory of its values.
    """
    return as_matrix(in_memory(stored_matrix(adata, layer)), where=_where(layer))


def as_matrix(held: Any, *, where: str) -> sparse.csr_array | np.ndarray:
    """Return a matrix in memory as a CSR array whose rows hold every column once, in order, or as a dense array.

    Half precision, which no sparse matrix knows, becomes single precision.

    Raises
    ------
    InputError
        The parts of a sparse matrix do not fit each other.
    """
    if not sparse.issparse(held):
        dense = np.asarray(held)
        return dense.astype(np.float32) if dense.dtype == np.float16 else dense
    return sound_rows(held, name=where)


def read_counts(adata: AnnData, layer: str | None = None) -> sparse.csr_array:
    """Return raw counts as a CSR array (n_obs, n_vars) without explicit zeros, or say what is not a count.

    Raises
    ------
    InputError
        Values are negative, not finite, or not integers, or the parts of a sparse matrix do not fit each other.
    """
    return as_counts(read_matrix(adata, layer), where=_where(layer))


def as_counts(matrix: sparse.csr_array | np.ndarray, *, where: str) -> sparse.csr_array:
    """Return a matrix of raw counts as `read_counts` does."""
    _check_numbers(matrix.dtype, where=where)
    counts = sparse.csr_array(matrix)
    _check_counts(counts.data, where=where)
    if (counts.data == 0).any():
        counts = counts.copy()
        counts.eliminate_zeros()
    return counts


def read_totals(adata: AnnData, layer: str | None = None) -> np.ndarray:
    """Return the raw counts of every observation (n_obs,) as float64, a backed or dask matrix read in blocks of rows.

    Raises
    ------
    InputError
        Values are negative, not finite, or not integers.
    """
    found = [np.empty(0)]
    for block in _row_blocks(stored_matrix(adata, layer)):
        counts = sparse.csr_array(as_matrix(block, where=_where(layer)))
        _check_counts(counts.data, where=_where(layer))
        found.append(np.asarray(counts.sum(axis=1), dtype=np.float64).ravel())
    return np.concatenate(found)


def read_expression(adata: AnnData, layer: str | None) -> sparse.csr_array:
    """Return any finite values ≥ 0 as a CSR array (n_obs, n_vars) without explicit zeros."""
    return as_expression(read_matrix(adata, layer), where=_where(layer))


def as_expression(matrix: sparse.csr_array | np.ndarray, *, where: str) -> sparse.csr_array:
    """Return a matrix of finite values ≥ 0 as `read_expression` does."""
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


def check_no_empty(counts: sparse.csr_array, obs_names: pd.Index, *, what: str = "observations") -> None:
    """Refuse observations without a single count."""
    empty = np.diff(counts.indptr) == 0
    if empty.any():
        raise InputError(
            f"{int(empty.sum())} {what} without any count: {listed(obs_names[empty], most=3)}.",
            allowed=f"{what} with at least one count",
            remedy="drop them first: sc.pp.filter_cells(adata, min_counts=1).",
        )


def stored_matrix(adata: AnnData, layer: str | None) -> Any:
    """Return ``X`` or a layer as the table holds it; of a table of some rows of another one, the whole is checked."""
    if layer is not None and layer not in adata.layers:
        raise MissingKeyError(
            f"no layer named {layer!r}.",
            allowed=f"None for X, or {listed(adata.layers)}",
            remedy=f"pass the layer that holds the matrix.{nearest(layer, list(adata.layers))}",
        )
    whole = table_of(adata)
    if whole is not adata:
        check_sparse(whole.X if layer is None else whole.layers[layer], name=_where(layer))
    matrix = adata.X if layer is None else adata.layers[layer]
    if matrix is None:
        raise MissingKeyError(
            "a table without X.",
            allowed="a matrix in X or in a layer",
            remedy=f"pass layer=, one of {listed(adata.layers)}." if adata.layers else "store raw counts in X.",
        )
    if hasattr(matrix, "map_blocks"):  # dask: before rows are taken from a block
        return matrix.map_blocks(partial(check_sparse, name=_where(layer)), meta=matrix._meta)
    return matrix


def table_of(adata: AnnData) -> AnnData:
    """Return the table that a view shows some rows or genes of; the table itself where it is no view.

    Taking rows runs compiled code on the matrices of the whole, which are therefore checked first.
    """
    whole = getattr(adata, "_adata_ref", None)
    return whole if isinstance(whole, AnnData) else adata


def _row_blocks(matrix: Any) -> Iterator[Any]:
    """Yield a matrix in memory, in blocks of rows where it is not there yet; columns of a file are read at once."""
    n = matrix.shape[0]
    if isinstance(matrix, np.ndarray) or sparse.issparse(matrix) or getattr(matrix, "format", "") == "csc":
        yield in_memory(matrix)
        return
    sizes = matrix.chunks[0] if hasattr(matrix, "compute") else [_BLOCK_ROWS] * -(-n // _BLOCK_ROWS)
    start = 0
    for size in sizes:
        yield in_memory(matrix[start : start + size])
        start += size


def _where(layer: str | None) -> str:
    return "X" if layer is None else f"layers[{layer!r}]"


def _check_numbers(dtype: np.dtype, *, where: str) -> None:
    if dtype.kind not in "iuf":
        raise InputError(f"{where} of dtype {dtype}.", allowed="numbers", remedy="store raw counts there.")


def _check_counts(values: np.ndarray, *, where: str) -> None:
    _check_numbers(values.dtype, where=where)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise InputError(
            f"{bad} NaN or infinite values in {where}.",
            allowed="raw counts",
            remedy="store raw counts there.",
        )
    if (values < 0).any():
        raise InputError(
            f"{int((values < 0).sum())} negative values in {where}, the least {values.min()}.",
            allowed="raw counts (integers ≥ 0)",
            remedy="pass layer= with raw counts; scaled or batch-corrected data are not counts.",
        )
    if values.dtype.kind == "f":
        broken = values != np.rint(values)
        if broken.any():
            raise InputError(
                f"{int(broken.sum())} of {values.size} stored values in {where} are not integers (for example "
                f"{float(values[np.argmax(broken)]):.10g}).",
                allowed="raw counts (integers ≥ 0)",
                remedy="pass layer= with raw counts; log-normalised data are not counts.",
            )
