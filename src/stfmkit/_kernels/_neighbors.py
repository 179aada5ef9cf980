"""Nearest neighbours in space, never across samples."""

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

_SPARE = 16


def knn_within(coords: np.ndarray, samples: np.ndarray, *, k: int) -> np.ndarray:
    """Return the `k` nearest other observations of the same sample (n_obs, k), -1 where a sample has too few.

    Ties are broken by position (x, then y), so that lattices give the same neighbours on every machine and in every
    order of the rows.
    """
    found = np.full((len(coords), k), -1, dtype=np.int64)
    for sample in np.unique(samples):
        rows = np.flatnonzero(samples == sample)
        rows = rows[np.lexsort((coords[rows, 1], coords[rows, 0]))]
        want = min(k, len(rows) - 1)
        if want < 1:
            continue
        ask = min(len(rows), k + 1 + _SPARE)
        distance, index = cKDTree(coords[rows]).query(coords[rows], k=ask)
        scale = np.finfo(np.float64).eps * 64 * max(np.abs(coords[rows]).max(), 1.0)
        distance = np.round(distance / scale) * scale
        distance[index == np.arange(len(rows))[:, None]] = np.inf  # an observation is not its own neighbour
        order = np.lexsort((index, distance), axis=1)[:, :want]
        found[rows, :want] = rows[np.take_along_axis(index, order, axis=1)]
    return found


def mean_operator(neighbors: np.ndarray, *, include_self: bool = True) -> sparse.csr_array:
    """Return the row-stochastic CSR matrix (n, n) that averages over neighbours (and self)."""
    n, k = neighbors.shape
    rows = np.repeat(np.arange(n), k)
    cols = neighbors.ravel()
    keep = cols >= 0
    rows, cols = rows[keep], cols[keep]
    if include_self:
        rows, cols = np.concatenate([rows, np.arange(n)]), np.concatenate([cols, np.arange(n)])
    matrix = sparse.csr_array((np.ones(len(rows)), (rows, cols)), shape=(n, n))
    degree = np.asarray(matrix.sum(axis=1)).ravel()
    scale = np.divide(1.0, degree, out=np.zeros(n), where=degree > 0)
    return sparse.csr_array(sparse.diags_array(scale) @ matrix)
