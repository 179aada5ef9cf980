"""Clusters of observations, and how many of them hold when the data are drawn again."""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from stfmkit._core.errors import InputError
from stfmkit._core.random import int_seed, stream

METHODS = ("kmeans", "gmm")
_STARTS = {"kmeans": 10, "gmm": 3}
_FEW_STARTS = {"kmeans": 3, "gmm": 1}
_RIDGE = 1e-6  # keeps the shared covariance invertible where features sum to one


class Choice(NamedTuple):
    """Stability of every number of clusters (n_numbers,), its standard deviation, and the number chosen."""

    numbers: np.ndarray
    stability: np.ndarray
    spread: np.ndarray
    chosen: int


def clusters(features: np.ndarray, k: int, *, method: str, rng: np.random.Generator, few: bool = False) -> np.ndarray:
    """Return the cluster of every row (n,), numbered from the largest; "gmm" shares one covariance.

    Clusters of one size are numbered by their first row.
    """
    starts, seed = (_FEW_STARTS if few else _STARTS)[method], int_seed(rng)
    if method == "kmeans":
        found = KMeans(n_clusters=k, n_init=starts, random_state=seed).fit_predict(features)
    else:
        scale = float(features.var(axis=0).mean())
        ridge = _RIDGE * max(scale, 1e-12)
        mixture = GaussianMixture(
            k, covariance_type="tied", n_init=starts, reg_covar=ridge, max_iter=500, random_state=seed
        )
        found = mixture.fit_predict(features)
    size = np.bincount(found, minlength=k)
    first = np.array([np.argmax(found == j) if size[j] else len(found) for j in range(k)])
    order = np.lexsort((first, -size))
    place = np.empty(k, dtype=np.int64)
    place[order] = np.arange(k)
    return place[found]


def choose_number(
    features: np.ndarray,
    numbers: Sequence[int],
    *,
    method: str,
    seed: int,
    n_draws: int,
    share: float,
    most: int,
    tolerance: float,
) -> Choice:
    """Return the largest number of clusters that is about as reproducible as the most reproducible one.

    For every number, `n_draws` random parts of the rows are clustered on their own; stability is the mean adjusted Rand
    index over all pairs of parts, on the rows that they share. No labels are read.

    Parameters
    ----------
    features
        (n, d).
    numbers
        Numbers of clusters to compare.
    method
        One of `METHODS`.
    seed
        Each part and number has its own stream.
    n_draws, share
        Number of parts, and the share of the rows in each.
    most
        Rows that are used at most; a random choice of a larger table.
    tolerance
        How much less stable than the best the chosen number may be.
    """
    n = len(features)
    rows = np.sort(stream(seed, "niches", "rows").permutation(n)[: min(n, most)])
    size = max(round(share * len(rows)), 2)
    if max(numbers) >= size:
        raise InputError(
            f"{size} observations in a part of {share:g}, and up to {max(numbers)} niches.",
            allowed="more observations than niches",
            remedy="pass a smaller range of n_niches.",
        )
    parts = [np.sort(stream(seed, "niches", "part", i).permutation(len(rows))[:size]) for i in range(n_draws)]
    means, spreads = [], []
    for k in numbers:
        found = np.full((n_draws, len(rows)), -1, dtype=np.int64)
        for i, part in enumerate(parts):
            rng = stream(seed, "niches", "start", k, i)
            found[i, part] = clusters(features[rows[part]], k, method=method, rng=rng, few=True)
        scores = [_agreement(found[i], found[j]) for i, j in combinations(range(n_draws), 2)]
        means.append(float(np.mean(scores)))
        spreads.append(float(np.std(scores)))
    stability = np.array(means)
    chosen = max(k for k, s in zip(numbers, means, strict=True) if s >= stability.max() - tolerance)
    return Choice(np.asarray(numbers), stability, np.array(spreads), int(chosen))


def _agreement(first: np.ndarray, second: np.ndarray) -> float:
    both = (first >= 0) & (second >= 0)
    return float(adjusted_rand_score(first[both], second[both]))
