"""How many clusters hold when the data are drawn again."""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from sklearn.metrics import adjusted_rand_score

from stfmkit._core.errors import InputError
from stfmkit._core.random import stream
from stfmkit.evaluation.clusters import cluster


class Choice(NamedTuple):
    """Stability of every number of clusters (n_numbers,), its standard deviation, and the number chosen."""

    numbers: np.ndarray
    stability: np.ndarray
    spread: np.ndarray
    chosen: int


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
        groups = np.full((n_draws, len(rows)), -1, dtype=np.int64)
        for i, part in enumerate(parts):
            rng = stream(seed, "niches", "start", k, i)
            groups[i, part] = cluster(features[rows[part]], k, method=method, rng=rng, few_starts=True)
        scores = [_agreement(groups[i], groups[j]) for i, j in combinations(range(n_draws), 2)]
        means.append(float(np.mean(scores)))
        spreads.append(float(np.std(scores)))
    stability = np.array(means)
    chosen = max(k for k, s in zip(numbers, means, strict=True) if s >= stability.max() - tolerance)
    return Choice(np.asarray(numbers), stability, np.array(spreads), int(chosen))


def _agreement(first: np.ndarray, second: np.ndarray) -> float:
    both = (first >= 0) & (second >= 0)
    return float(adjusted_rand_score(first[both], second[both]))
