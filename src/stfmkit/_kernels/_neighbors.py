"""Nearest neighbours in space and their graph, never across samples."""

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from stfmkit._kernels._threads import n_threads

_SPARE = 16
_TRIAL = 256


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
        tree, everyone = cKDTree(coords[rows]), np.arange(len(rows))
        few, many = (min(len(rows), want + 1 + spare) for spare in (1, _SPARE))
        lattice = len(_tied(_others(tree, everyone[:: max(1, len(rows) // _TRIAL)], ask=few)[1], want)) > _TRIAL / 2
        index, distance = _others(tree, everyone, ask=many if lattice else few)
        if not lattice:
            tied = _tied(distance, want)
            index[tied, :want] = _others(tree, tied, ask=many)[0][:, :want]
        found[rows, :want] = rows[index[:, :want]]
    return found


def _tied(distance: np.ndarray, want: int) -> np.ndarray:
    """Return the rows in which the last neighbour wanted is as far as the next."""
    return np.flatnonzero(distance[:, want - 1] == distance[:, want]) if distance.shape[1] > want else np.arange(0)


def _others(tree: cKDTree, rows: np.ndarray, *, ask: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest of some points, themselves last, by distance, then position: numbers and distances."""
    distance, index = tree.query(tree.data[rows], k=ask, workers=n_threads())
    scale = np.finfo(np.float64).eps * 64 * max(np.abs(tree.data).max(), 1.0)
    distance = np.round(distance / scale) * scale
    distance[index == rows[:, None]] = np.inf  # an observation is not its own neighbour
    order = np.lexsort((index, distance), axis=1)
    return np.take_along_axis(index, order, axis=1), np.take_along_axis(distance, order, axis=1)


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


N_NEIGHBORS = 6
"""Neighbours of an observation; the six of a Visium lattice."""


def neighbor_graph(
    coords: np.ndarray, samples: np.ndarray | None = None, *, n_neighbors: int = N_NEIGHBORS
) -> sparse.csr_array:
    """Return row-stochastic weights of the nearest neighbours within every sample, without observations themselves.

    Parameters
    ----------
    coords
        Coordinates (n_obs, 2), in any unit.
    samples
        Sample of every observation (n_obs,); all are one sample where it is left out. No edge crosses samples.
    n_neighbors
        Neighbours of every observation; fewer where a sample has no more.

    Returns
    -------
    Weights (n_obs, n_obs), CSR, whose rows sum to 1; a row is empty where an observation is alone in its sample.
    """
    codes = np.zeros(len(coords), dtype=np.int64) if samples is None else np.unique(samples, return_inverse=True)[1]
    return mean_operator(knn_within(coords, codes, k=n_neighbors), include_self=False)
