"""Bring matrices into memory, and check once that the parts of a sparse one fit each other."""

from typing import Any

import numpy as np
from scipy import sparse

from stfmkit._core.errors import InputError


def in_memory(matrix: Any) -> Any:
    """Return a matrix of a backed AnnData, or a dask array of dense or sparse chunks, as numpy or scipy hold it.

    What ranks, neighbours or permutations are computed from is needed as a whole: it is read once, sparse as it is
    stored, and costs the memory of its values. Anything else is returned as it came.
    """
    if hasattr(matrix, "to_memory"):  # a sparse data set of a file
        matrix = matrix.to_memory()
    if hasattr(matrix, "compute"):  # dask
        matrix = matrix.compute()
    return matrix


def check_sparse(matrix: Any, *, name: str) -> Any:
    """Return a sparse matrix whose parts fit each other, or refuse it; anything else is returned as it came.

    Compiled code takes indices and pointers on trust: one of them that leads outside the matrix reads, or writes, the
    memory of something else. A file that was cut, edited or made up is enough. The cost is one pass over the indices.

    Parameters
    ----------
    matrix
        A sparse matrix or array of any format.
    name
        Where it lies, for the error: "X", "layers['counts']", "obsp['spatial_connectivities']", or an argument.

    Raises
    ------
    InputError
        Indices lie outside the shape, pointers are not as many as rows, do not begin at 0, decrease or end elsewhere,
        or there are not as many values as indices.
    """
    if not sparse.issparse(matrix):
        return matrix
    fault = _fault(matrix)
    if fault:
        raise InputError(
            f"{name}, a sparse matrix ({matrix.format.upper()}) of shape {tuple(matrix.shape)} with {fault}.",
            allowed="indices within the shape, pointers that begin at 0 and rise to the number of indices, and as many "
            "values as indices",
            remedy="read or build the matrix again, as its file may be damaged; `matrix.prune()` removes indices "
            "beyond the last pointer.",
        )
    return matrix


def sound_rows(matrix: Any, *, name: str) -> sparse.csr_array:
    """Return a matrix as a CSR array whose rows hold every column once, in order; a sparse one is checked before.

    Entries that are there twice are added, integers in at least 64 bits. The matrix of the caller stays as it is.

    Raises
    ------
    InputError
        Its parts do not fit each other; see `check_sparse`.
    """
    if not sparse.issparse(matrix):
        return sparse.csr_array(matrix)
    check_sparse(matrix, name=name)
    rows = check_sparse(sparse.csr_array(matrix), name=name) if matrix.format == "lil" else sparse.csr_array(matrix)
    if not rows.has_canonical_format:
        wide = np.result_type(rows.dtype, np.int64) if rows.dtype.kind in "iu" else rows.dtype
        rows = rows.astype(wide, copy=True)
        rows.sum_duplicates()
    return rows


def sound_dense(values: Any, *, name: str) -> np.ndarray:
    """Return values as a dense array; a sparse matrix is checked before, as `check_sparse` says."""
    values = in_memory(values)
    return np.asarray(sound_rows(values, name=name).toarray() if sparse.issparse(values) else values)


def _fault(matrix: Any) -> str:
    """Return what is wrong with the parts of a sparse matrix; nothing where they fit."""
    if len(matrix.shape) != 2:
        return f"{len(matrix.shape)} axes instead of two"
    if matrix.format in {"csr", "csc", "bsr"}:
        return _compressed_fault(matrix)
    if matrix.format == "coo":
        (row, column), (n_rows, n_columns) = matrix.coords, matrix.shape
        if not len(row) == len(column) == len(matrix.data):
            return f"{len(row)} rows and {len(column)} columns for {len(matrix.data)} values"
        return _outside(row, n_rows, "rows") or _outside(column, n_columns, "columns")
    if matrix.format == "dia":
        fits = np.ndim(matrix.data) == 2 and np.shape(matrix.offsets) == (len(matrix.data),)
        return "" if fits else "not as many offsets as diagonals"
    return ""  # the others hold Python objects, which scipy checks as it reads them


def _compressed_fault(matrix: Any) -> str:
    block = matrix.data.shape[1:] if matrix.format == "bsr" else (1, 1)
    if len(block) != 2 or any(side < 1 or n % side for side, n in zip(block, matrix.shape, strict=True)):
        return f"blocks of shape {block}"
    n_rows, n_columns = matrix.shape[0] // block[0], matrix.shape[1] // block[1]
    by_column = matrix.format == "csc"
    lines, across = (n_columns, n_rows) if by_column else (n_rows, n_columns)
    indptr, indices = np.asarray(matrix.indptr), np.asarray(matrix.indices)
    axes = 3 if matrix.format == "bsr" else 1
    if indices.ndim != 1 or len(indices) != len(matrix.data) or np.ndim(matrix.data) != axes:
        return f"values of shape {np.shape(matrix.data)} for indices of shape {indices.shape}"
    what = ("columns", "rows") if by_column else ("rows", "columns")
    return _pointer_fault(indptr, lines, len(indices), what[0]) or _outside(indices, across, what[1])


def _pointer_fault(indptr: np.ndarray, lines: int, n_indices: int, what: str) -> str:
    if indptr.dtype.kind not in "iu":
        return f"pointers of dtype {indptr.dtype}"
    if indptr.shape != (lines + 1,):
        return f"pointers of shape {indptr.shape} for {lines} {what}"
    falls = int((indptr[1:] < indptr[:-1]).sum())
    if falls:
        return f"pointers that decrease {falls} times"
    if indptr[0] != 0 or indptr[-1] != n_indices:
        return f"pointers from {indptr[0]} to {indptr[-1]} for {n_indices} indices"
    return ""


def _outside(indices: np.ndarray, n: int, what: str) -> str:
    """Return how many indices lie outside `n`; below 0 they are very large as numbers without a sign."""
    if indices.dtype.kind not in "iu":
        return f"indices of dtype {indices.dtype}"
    if not indices.size or indices.view(f"u{indices.dtype.itemsize}").max() < n:
        return ""
    bad = (indices < 0) | (indices >= n)
    return f"{int(bad.sum())} indices of {what} outside 0 … {n - 1}, such as {indices[bad][0]}"
