"""Silhouette of every observation without a matrix of distances."""

import numpy as np

from stfmkit._kernels._compiled import compiled
from stfmkit._kernels._threads import over_spans


def silhouettes(
    points: np.ndarray, codes: np.ndarray, sizes: np.ndarray, *, rows: np.ndarray | None = None
) -> np.ndarray:
    """Return (b - a) / max(a, b) of observations (n_rows,), with Euclidean distances; 0 for the only one of a cluster.

    Time grows with the number of rows times that of observations; memory does not.

    Parameters
    ----------
    points
        Positions (n, d), float64.
    codes
        Cluster of every observation (n,), int64.
    sizes
        Members of every cluster (n_clusters,), at least 1.
    rows
        Observations whose silhouette is wanted (n_rows,), int64; all where it is left out.
    """
    wanted = np.arange(len(points)) if rows is None else rows
    order = np.argsort(codes, kind="stable")  # members of a cluster side by side, so that its distances are one sum
    columns = np.ascontiguousarray(points[order].T)
    edges = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    centres, own = np.ascontiguousarray(points[wanted]), codes[wanted]
    parts = over_spans(lambda a, b: _of_rows(centres[a:b], own[a:b], columns, edges), len(wanted))
    return np.concatenate(parts)


@compiled(nogil=True)
def _of_rows(
    centres: np.ndarray, own: np.ndarray, columns: np.ndarray, edges: np.ndarray
) -> np.ndarray:  # pragma: no cover  compiled
    n_clusters = len(edges) - 1
    found, sums = np.zeros(len(centres)), np.empty(n_clusters)
    for i in range(len(centres)):
        mine = own[i]
        size = edges[mine + 1] - edges[mine]
        if size == 1:
            continue
        for cluster in range(n_clusters):
            members = columns[:, edges[cluster] : edges[cluster + 1]]
            sums[cluster] = _to_plane(centres[i], members) if len(columns) == 2 else _to_all(centres[i], members)
        a, b = sums[mine] / (size - 1), np.inf
        for cluster in range(n_clusters):
            if cluster != mine:
                b = min(b, sums[cluster] / (edges[cluster + 1] - edges[cluster]))
        widest = max(a, b)
        if widest > 0:
            found[i] = (b - a) / widest
    return found


@compiled(nogil=True, fastmath={"reassoc", "contract"})
def _to_plane(centre: np.ndarray, members: np.ndarray) -> float:  # pragma: no cover  compiled
    """Sum of distances in the plane, several at a time."""
    total = 0.0
    x, y = members[0], members[1]
    for j in range(len(x)):
        right, up = x[j] - centre[0], y[j] - centre[1]
        total += np.sqrt(right * right + up * up)
    return total


@compiled(nogil=True, fastmath={"reassoc", "contract"})
def _to_all(centre: np.ndarray, members: np.ndarray) -> float:  # pragma: no cover  compiled
    total = 0.0
    for j in range(members.shape[1]):
        square = 0.0
        for axis in range(len(centre)):
            gap = members[axis, j] - centre[axis]
            square += gap * gap
        total += np.sqrt(square)
    return total
