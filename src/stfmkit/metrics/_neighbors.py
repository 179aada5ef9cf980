"""Nearest neighbours in an embedding, found once for all metrics that ask for them."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from stfmkit._core.arguments import check_choice, check_integer
from stfmkit._core.errors import InputError
from stfmkit._core.optional import require
from stfmkit._core.random import RNGLike, as_seed
from stfmkit.metrics._arrays import labels, table

METHODS = ("exact", "approximate")


class Neighbors(NamedTuple):
    """The nearest others of every observation, nearest first: row numbers and distances, (n_obs, n_neighbors)."""

    indices: np.ndarray
    distances: np.ndarray

    def subset(self, n_neighbors: int) -> "Neighbors":
        """Return the nearest of them."""
        return Neighbors(self.indices[:, :n_neighbors], self.distances[:, :n_neighbors])


def embedding_neighbors(
    embedding: ArrayLike,
    n_neighbors: int,
    *,
    method: str = "exact",
    rng: RNGLike = 0,
    exclude: ArrayLike | None = None,
) -> Neighbors:
    """Return the nearest other observations of every observation in an embedding.

    Euclidean distances on the embedding as it is. Find them once at the largest number and hand them to
    `robustness_index`, `neighborhood_purity` and the ``scib_*`` metrics, which take the nearest of them.

    Parameters
    ----------
    embedding
        Embedding (n_obs, d).
    n_neighbors
        Number of neighbours, without the observation itself.
    method
        "exact", or "approximate" by nearest neighbour descent (pynndescent) for a million observations, where exact
        search takes hours.
    rng
        Seed or generator of the approximate search.
    exclude
        Group of every observation (n_obs,), such as the slide: members of the own group are no neighbours. By exact
        search only.

    Returns
    -------
    ``indices``, int64, and ``distances``, float64, both (n_obs, n_neighbors), nearest first.

    Raises
    ------
    InputError
        If there are not more than `n_neighbors` observations (outside each group, with `exclude`), values are not
        finite, or `method` is unknown or does not go with `exclude`.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.embedding_neighbors([[0.0], [1.0], [3.0]], 1).indices.ravel().tolist()
    [1, 0, 1]
    """
    check_integer(n_neighbors, name="n_neighbors", least=1)
    check_choice(method, METHODS, name="method")
    features = table(embedding, name="embedding").astype(np.float64)
    _enough(len(features), n_neighbors)
    k = int(n_neighbors)
    if exclude is not None:
        return _outside(features, k, labels(exclude, name="exclude", n=len(features)), method=method)
    if method == "approximate":
        return _approximate(features, k, as_seed(rng))
    from sklearn.neighbors import NearestNeighbors

    distances, indices = NearestNeighbors(n_neighbors=k).fit(features).kneighbors()
    return Neighbors(indices.astype(np.int64), distances)


def nearest(features: np.ndarray, k: int, neighbors: Neighbors | None) -> Neighbors:
    """Return the `k` nearest others of every observation: the first of `neighbors`, or by a search."""
    check_integer(k, name="n_neighbors", least=1)
    _enough(len(features), k)
    if neighbors is None:
        return embedding_neighbors(features, k)
    indices = np.asarray(neighbors[0])
    if indices.ndim != 2 or len(indices) != len(features) or indices.shape[1] < k:
        raise InputError(
            f"neighbors of shape {indices.shape}, {len(features)} observations and n_neighbors={k}.",
            allowed="at least n_neighbors neighbours of every observation",
            remedy="pass the result of sk.metrics.embedding_neighbors on the same observations.",
        )
    return Neighbors(indices[:, :k], np.asarray(neighbors[1])[:, :k])


def _enough(n: int, k: int) -> None:
    if n <= k:
        raise InputError(
            f"{n} observations and n_neighbors={k}.",
            allowed="more observations than neighbours",
            remedy="pass a smaller n_neighbors, or more observations.",
        )


def _outside(features: np.ndarray, k: int, groups: np.ndarray, *, method: str) -> Neighbors:
    """Search for every group among the rest."""
    if method != "exact":
        raise InputError(
            f"method={method!r} with exclude.", allowed="method='exact'", remedy="leave exclude out, or search exactly."
        )
    from sklearn.neighbors import NearestNeighbors

    codes, names = pd.factorize(groups, sort=True)
    most = int(np.bincount(codes).max())
    if len(codes) - most < k:
        raise InputError(
            f"{len(codes)} observations, {most} of them in one group of exclude, and n_neighbors={k}.",
            allowed="at least n_neighbors observations outside every group",
            remedy="pass a smaller n_neighbors, or more groups.",
        )
    found = Neighbors(np.empty((len(codes), k), dtype=np.int64), np.empty((len(codes), k)))
    for code in range(len(names)):
        rows, rest = np.flatnonzero(codes == code), np.flatnonzero(codes != code)
        distances, indices = NearestNeighbors(n_neighbors=k).fit(features[rest]).kneighbors(features[rows])
        found.indices[rows], found.distances[rows] = rest[indices], distances
    return found


def _approximate(features: np.ndarray, k: int, seed: int) -> Neighbors:
    """Nearest neighbour descent returns an observation itself as a rule, not always: it is taken out where it is."""
    descent = require("pynndescent", extra="scib").NNDescent
    index = descent(features.astype(np.float32), n_neighbors=k + 1, random_state=int(seed), low_memory=True, n_jobs=1)
    indices, distances = (np.array(part) for part in index.neighbor_graph)
    itself = indices == np.arange(len(features))[:, None]
    itself[~itself.any(axis=1), -1] = True  # not found: the farthest goes
    kept = ~itself
    shape = (len(features), k)
    return Neighbors(indices[kept].reshape(shape).astype(np.int64), distances[kept].reshape(shape).astype(np.float64))
