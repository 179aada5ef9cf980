"""Ranks of sparse columns, zeros included, without writing the zeros down."""

from typing import TypeAlias

import numpy as np
from numba import njit
from scipy import sparse

Arrays: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]


@njit(cache=True)
def _add_rank_sums(values: np.ndarray, codes: np.ndarray, zeros: np.ndarray, sums: np.ndarray) -> None:
    """Add the mid-ranks of one column to the rank sum of every group.

    Parameters
    ----------
    values
        The values that are written down (m,).
    codes
        Group of each of them (m,).
    zeros
        Number of zeros of every group that are not written down (n_groups,).
    sums
        Rank sums (n_groups,), added to in place.
    """
    order = np.argsort(values)
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


@njit(cache=True)
def rank_sums_sparse(columns: Arrays, codes: np.ndarray, n_groups: int) -> np.ndarray:
    """Return the rank sum of every group in every column (n_groups, n_columns) of a CSC matrix.

    `columns` holds indptr, indices and data, without stored zeros.
    """
    indptr, indices, data = columns
    sizes = np.zeros(n_groups)
    for code in codes:
        sizes[code] += 1
    out = np.zeros((len(indptr) - 1, n_groups))
    for column in range(len(indptr) - 1):
        part = slice(indptr[column], indptr[column + 1])
        members = codes[indices[part]]
        zeros = sizes.copy()
        for code in members:
            zeros[code] -= 1
        _add_rank_sums(data[part], members, zeros, out[column])
    return out.T


@njit(cache=True)
def rank_sums_dense(columns: np.ndarray, codes: np.ndarray, n_groups: int) -> np.ndarray:
    """Return the rank sum of every group (n_groups, n_columns); `columns` holds one column per row, C-contiguous."""
    out = np.zeros((len(columns), n_groups))
    none = np.zeros(n_groups)
    for column in range(len(columns)):
        _add_rank_sums(columns[column], codes, none, out[column])
    return out.T


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
        return rank_sums_dense(np.ascontiguousarray(X.T), codes, n_groups)
    columns = sparse.csc_array(X, copy=True)
    columns.sum_duplicates()
    columns.eliminate_zeros()
    return rank_sums_sparse((columns.indptr, columns.indices, columns.data), codes, n_groups)


@njit(cache=True)
def _shifted_ranks(indptr: np.ndarray, data: np.ndarray, n_obs: int) -> np.ndarray:
    """Return mid-rank minus the mid-rank of zero, for every value of a CSC matrix without stored zeros."""
    out = np.empty(len(data))
    for column in range(len(indptr) - 1):
        first = indptr[column]
        values = data[first : indptr[column + 1]]
        order = np.argsort(values)
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
    columns = sparse.csc_array(X, copy=True)
    columns.sum_duplicates()
    columns.eliminate_zeros()
    ranks = _shifted_ranks(columns.indptr, columns.data, columns.shape[0])
    return sparse.csr_array(sparse.csc_array((ranks, columns.indices, columns.indptr), shape=columns.shape))
