"""Ranks of sparse columns, zeros included, without writing the zeros down."""

from typing import TypeAlias

import numpy as np
from numba import njit
from scipy import sparse

from stfmkit._kernels._threads import over_spans

Arrays: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]


@njit(cache=True, nogil=True)
def _add_rank_sums(
    values: np.ndarray, order: np.ndarray, groups: tuple[np.ndarray, np.ndarray], sums: np.ndarray
) -> None:
    """Add the mid-ranks of one column to the rank sum of every group.

    Parameters
    ----------
    values
        The values that are written down (m,).
    order
        Positions of the values, smallest first (m,).
    groups
        Group of each value (m,), and the number of zeros of every group that are not written down (n_groups,).
    sums
        Rank sums (n_groups,), added to in place.
    """
    codes, zeros = groups
    n_zeros = zeros.sum()
    ranked = 0  # observations that already have a rank
    zeros_done = False
    start = 0
    while start < len(values):
        value = values[order[start]]
        if value > 0 and not zeros_done:
            sums += zeros * (ranked + (n_zeros + 1) / 2)
            ranked += n_zeros
            zeros_done = True
        stop = start
        while stop < len(values) and values[order[stop]] == value:
            stop += 1
        rank = ranked + (stop - start + 1) / 2
        for m in range(start, stop):
            sums[codes[order[m]]] += rank
        ranked += stop - start
        start = stop
    if not zeros_done:
        sums += zeros * (ranked + (n_zeros + 1) / 2)


@njit(cache=True, nogil=True)
def rank_sums_sparse(
    span: tuple[int, int], columns: Arrays, order: np.ndarray, groups: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Return the rank sum of every group in a span of columns of a CSC matrix (n_columns, n_groups).

    `columns` holds indptr, indices and data, without stored zeros; `order` sorts the values within every column of
    the span; `groups` holds the code of every observation and the size of every group.
    """
    first, last = span
    indptr, indices, data = columns
    codes, sizes = groups
    out = np.zeros((last - first, len(sizes)))
    zeros = np.empty(len(sizes))
    offset = indptr[first]
    for column in range(first, last):
        start, stop = indptr[column], indptr[column + 1]
        members = codes[indices[start:stop]]
        zeros[:] = sizes
        for code in members:
            zeros[code] -= 1
        _add_rank_sums(data[start:stop], order[start - offset : stop - offset], (members, zeros), out[column - first])
    return out


@njit(cache=True, nogil=True)
def rank_sums_dense(columns: np.ndarray, order: np.ndarray, codes: np.ndarray, n_groups: int) -> np.ndarray:
    """Return the rank sum of every group (n_columns, n_groups); `columns` holds one column per row, C-contiguous."""
    out = np.zeros((len(columns), n_groups))
    none = np.zeros(n_groups)
    for column in range(len(columns)):
        _add_rank_sums(columns[column], order[column], (codes, none), out[column])
    return out


def _orders(indptr: np.ndarray, data: np.ndarray, span: tuple[int, int]) -> np.ndarray:
    """Return what sorts the values of every column of a span; numpy's sort is several times that of compiled code."""
    first, last = span
    out = np.empty(indptr[last] - indptr[first], dtype=np.intp)
    for column in range(first, last):
        start, stop = indptr[column], indptr[column + 1]
        out[start - indptr[first] : stop - indptr[first]] = np.argsort(data[start:stop])
    return out


def rank_sums(X: np.ndarray | sparse.csr_array | sparse.csc_array, *, codes: np.ndarray, n_groups: int) -> np.ndarray:
    """Return the sum of mid-ranks of every group in every column (n_groups, n_columns).

    Parameters
    ----------
    X
        Values (n_obs, n_columns); a sparse matrix is not densified.
    codes
        Group of every observation (n_obs,), in ``range(n_groups)``.
    n_groups
        Number of groups.
    """
    if isinstance(X, np.ndarray):

        def dense(start: int, stop: int) -> np.ndarray:
            columns = np.ascontiguousarray(X[:, start:stop].T)
            return rank_sums_dense(columns, np.argsort(columns, axis=1), codes, n_groups)

        return _stacked(over_spans(dense, X.shape[1]), n_groups)
    csc = _canonical(X)
    columns = csc.indptr, csc.indices, csc.data
    groups = codes, np.bincount(codes, minlength=n_groups).astype(np.float64)

    def part(start: int, stop: int) -> np.ndarray:
        return rank_sums_sparse((start, stop), columns, _orders(csc.indptr, csc.data, (start, stop)), groups)

    return _stacked(over_spans(part, csc.shape[1]), n_groups)


def _stacked(parts: list[np.ndarray], n_groups: int) -> np.ndarray:
    return np.concatenate([np.empty((0, n_groups)), *parts]).T


def _canonical(X: sparse.csr_array | sparse.csc_array) -> sparse.csc_array:
    """Return X by columns, without doubles and zeros, and never the caller's own arrays where they would change."""
    columns = sparse.csc_array(X)
    if columns.has_canonical_format and columns.data.all():
        return columns
    if X.format == "csc":
        columns = columns.copy()
    columns.sum_duplicates()
    columns.eliminate_zeros()
    return columns


@njit(cache=True)
def _shifted_ranks(indptr: np.ndarray, data: np.ndarray, orders: np.ndarray, n_obs: int) -> np.ndarray:
    """Return mid-rank minus the mid-rank of zero, for every value of a CSC matrix without stored zeros."""
    out = np.empty(len(data))
    for column in range(len(indptr) - 1):
        first = indptr[column]
        values = data[first : indptr[column + 1]]
        order = orders[first : indptr[column + 1]]
        n_zeros = n_obs - len(values)
        negative = 0
        for value in values:
            negative += value < 0
        zero_rank = negative + (n_zeros + 1) / 2
        start = 0
        while start < len(values):
            value = values[order[start]]
            stop = start
            while stop < len(values) and values[order[stop]] == value:
                stop += 1
            below = start if value < 0 else start + n_zeros
            for m in range(start, stop):
                out[first + order[m]] = below + (stop - start + 1) / 2 - zero_rank
            start = stop
    return out


def shifted_ranks(X: sparse.csr_array | sparse.csc_array) -> sparse.csr_array:
    """Return the mid-ranks of every column, shifted so that zero has rank 0 and the result stays sparse.

    A shift per column changes no correlation, so Spearman's ρ of `X` is Pearson's r of the result.
    """
    columns = _canonical(X)
    orders = over_spans(lambda a, b: _orders(columns.indptr, columns.data, (a, b)), columns.shape[1])
    sort = np.concatenate([np.empty(0, dtype=np.intp), *orders])
    ranks = _shifted_ranks(columns.indptr, columns.data, sort, columns.shape[0])
    return sparse.csr_array(sparse.csc_array((ranks, columns.indices, columns.indptr), shape=columns.shape))
