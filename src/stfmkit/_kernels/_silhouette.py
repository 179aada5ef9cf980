"""Silhouette of every observation without a matrix of distances."""

import numpy as np
from numba import njit

from stfmkit._kernels._threads import over_spans


def silhouettes(points: np.ndarray, codes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return (b - a) / max(a, b) of every observation (n,), with Euclidean distances; 0 for the only one of a cluster.

    Parameters
    ----------
    points
        Positions (n, d), float64.
    codes
        Cluster of every observation (n,), int64.
    sizes
        Members of every cluster (n_clusters,), at least 1.
    """
    return np.concatenate(over_spans(lambda a, b: _of_rows((a, b), points, codes, sizes), len(points)))


@njit(cache=True, nogil=True)
def _of_rows(
    span: tuple[int, int], points: np.ndarray, codes: np.ndarray, sizes: np.ndarray
) -> np.ndarray:  # pragma: no cover  compiled
    n, d = points.shape
    found = np.zeros(span[1] - span[0])
    sums = np.empty(len(sizes))
    for i in range(span[0], span[1]):
        own = codes[i]
        if sizes[own] == 1:
            continue
        sums[:] = 0.0
        for j in range(n):
            square = 0.0
            for axis in range(d):
                gap = points[i, axis] - points[j, axis]
                square += gap * gap
            sums[codes[j]] += np.sqrt(square)
        a = sums[own] / (sizes[own] - 1)
        b = np.inf
        for cluster in range(len(sizes)):
            if cluster != own:
                b = min(b, sums[cluster] / sizes[cluster])
        widest = max(a, b)
        if widest > 0:
            found[i - span[0]] = (b - a) / widest
    return found
