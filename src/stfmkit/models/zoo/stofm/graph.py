"""The graph of SToFM: square tiles of a sample, each with the clusters of the whole sample as hyper-nodes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from anndata import AnnData
from scipy.spatial.distance import cdist

from stfmkit._core.errors import InputError
from stfmkit._core.optional import require
from stfmkit._core.random import global_state_kept
from stfmkit._kernels._neighbors import knn_within

CELL, CLS, HYPER = 0, 1, 2
FAR = 100.0
"""Distance of nodes that are no neighbours."""
N_NEIGHBORS = 50
CLUSTER_NEIGHBORS = 10


@dataclass(frozen=True, eq=False)
class Tile:
    """One tile: a class node, the hyper-nodes, the cells.

    Attributes
    ----------
    rows
        Observation of every node (n_nodes,), -1 for the class node and hyper-nodes.
    features
        Vectors (n_nodes, d).
    types
        0 cell, 1 class node, 2 hyper-node (n_nodes,).
    distances
        Symmetric (n_nodes, n_nodes): 0 to the class node and to itself, 100 where neither is a neighbour of the other.
    """

    rows: np.ndarray
    features: np.ndarray
    types: np.ndarray
    distances: np.ndarray


def tiles_of(
    coords: np.ndarray,
    vectors: np.ndarray,
    clusters: np.ndarray | None,
    *,
    split_num: int,
    leiden_alpha: float,
    leiden_res: float,
) -> Iterator[Tile]:
    """Yield the tiles of a sample, every observation in one of them.

    Parameters
    ----------
    coords
        Coordinates (n_obs, 2), in any unit.
    vectors
        Vectors of the cells (n_obs, d).
    clusters
        Codes of given clusters (n_obs,), or None to find them.
    split_num
        About how many cells a tile has.
    leiden_alpha
        Weight of the coordinates against the expression when clusters are found.
    leiden_res
        Resolution of the clustering.
    """
    nodes = scaled(coords)
    if clusters is None:
        clusters = find_clusters(nodes, vectors, alpha=leiden_alpha, resolution=leiden_res)
    groups = [clusters == code for code in np.unique(clusters)]
    hyper = np.array([nodes[group].mean(axis=0) for group in groups])
    hyper_vectors = np.array([vectors[group].mean(axis=0) for group in groups])
    first = np.full(1 + len(hyper), -1)
    for rows in split(nodes, split_num=split_num):
        types = np.r_[CLS, np.full(len(hyper), HYPER), np.full(len(rows), CELL)]
        yield Tile(
            rows=np.concatenate([first, rows]),
            features=np.concatenate([np.zeros((1, vectors.shape[1])), hyper_vectors, vectors[rows]]).astype(np.float32),
            types=types,
            distances=pair_distances(np.concatenate([np.zeros((1, 2)), hyper, nodes[rows]]), types == HYPER),
        )


def scaled(coords: np.ndarray) -> np.ndarray:
    """Return coordinates around the middle of the sample, its diagonal 100 long."""
    low, high = coords.min(axis=0), coords.max(axis=0)
    diagonal = float(np.hypot(*(high - low)))
    return np.asarray((coords - (low + high) / 2) / (diagonal or 1.0) * 100)


def split(nodes: np.ndarray, *, split_num: int) -> list[np.ndarray]:
    """Return the observations of every square tile, in their order; tiles of twice the size are dealt out again."""
    if len(nodes) <= split_num:
        return [np.arange(len(nodes))]
    low = nodes.min(axis=0)
    width, height = nodes.max(axis=0) - low
    if width * height == 0:
        raise InputError(
            f"{len(nodes)} observations on one line.",
            allowed=f"an area that can be cut into tiles of {split_num} observations",
            remedy="check the coordinates, or pass a higher split_num=.",
        )
    side = np.sqrt(width * height / (len(nodes) // split_num + 1))
    parts: list[np.ndarray] = []
    for i in range(int(width / side) + 1):
        for j in range(int(height // side) + 1):
            # the limits as the original computes them, so that a cell on one falls to the same side
            corner, end = low + np.array([i, j]) * side, low + np.array([i + 1, j + 1]) * side
            rows = np.flatnonzero(((nodes >= corner) & (nodes < end)).all(axis=1))
            pieces = len(rows) // split_num
            parts += np.array_split(rows, pieces) if pieces >= 2 else [rows] if len(rows) else []
    return parts


def find_clusters(nodes: np.ndarray, vectors: np.ndarray, *, alpha: float, resolution: float) -> np.ndarray:
    """Return Leiden clusters of position and two principal components, each within the unit circle (n_obs,)."""
    if len(nodes) < 3:
        return np.zeros(len(nodes), dtype=np.int64)
    require("igraph", extra="torch")
    with global_state_kept():
        import scanpy as sc
        from sklearn.decomposition import PCA

        components = PCA(n_components=2).fit_transform(vectors)
        mixed = alpha * _within_circle(nodes) + (1 - alpha) * _within_circle(components)
        held = AnnData(X=mixed)
        k = CLUSTER_NEIGHBORS if len(nodes) >= CLUSTER_NEIGHBORS else 1 + len(nodes) // 2
        sc.pp.neighbors(held, n_neighbors=k, use_rep="X")
        sc.tl.leiden(held, flavor="igraph", resolution=resolution, directed=False)
    return np.asarray(held.obs["leiden"].to_numpy(), dtype=np.int64)


def _within_circle(points: np.ndarray) -> np.ndarray:
    longest = np.sqrt((points**2).sum(axis=1).max())
    return np.asarray(points / (longest or 1.0))


def pair_distances(nodes: np.ndarray, hyper: np.ndarray) -> np.ndarray:
    """Return the distances (n_nodes, n_nodes) as float32: those of neighbours and of hyper-nodes, otherwise 100.

    As in the original, the class node at (0, 0) and the hyper-nodes take part when neighbours are counted, a node is
    one of its own 50, and nodes at the same place are no neighbours.
    """
    n = len(nodes)
    out = np.zeros((n, n))
    neighbors = knn_within(nodes, np.zeros(n, dtype=np.int64), k=max(1, min(N_NEIGHBORS, n - 1) - 1))
    rows = np.repeat(np.arange(n), neighbors.shape[1])
    columns = neighbors.ravel()
    rows, columns = rows[columns >= 0], columns[columns >= 0]
    length = np.sqrt(((nodes[rows] - nodes[columns]) ** 2).sum(axis=1))
    out[rows, columns] = length
    out[columns, rows] = length
    to_hyper = cdist(nodes[hyper], nodes)
    out[hyper] = to_hyper
    out[:, hyper] = to_hyper.T
    out[out == 0] = FAR
    out[0], out[:, 0] = 0, 0
    np.fill_diagonal(out, 0)
    return out.astype(np.float32)
