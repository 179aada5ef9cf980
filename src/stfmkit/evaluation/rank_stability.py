"""How alike contenders are ranked when something is drawn again: the folds, or the seed of a run."""

from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata


class RankStability(NamedTuple):
    """Ranks over repeats.

    Attributes
    ----------
    leads
        Share of the repeats in which a contender is first (n_contenders,); those that are level share it.
    mean_rank, sd_rank
        Mean and standard deviation of its rank (n_contenders,); the latter is NaN of one repeat.
    concordance
        Kendall's W with the correction for ties (Kendall & Babington Smith 1939): 1 where all repeats give the same
        order, about 1 / n_repeats where the order is random; NaN of one repeat.
    """

    leads: np.ndarray
    mean_rank: np.ndarray
    sd_rank: np.ndarray
    concordance: float


def rank_stability(scores: np.ndarray) -> RankStability:
    """Return how stable ranks are over repeats.

    Parameters
    ----------
    scores
        Scores (n_repeats, n_contenders), all finite; higher is better.

    Examples
    --------
    >>> found = rank_stability(np.array([[0.9, 0.5, 0.1], [0.8, 0.6, 0.2], [0.5, 0.6, 0.1]]))
    >>> found.leads.round(2), found.mean_rank.round(2), round(found.concordance, 2)
    (array([0.67, 0.33, 0.  ]), array([1.33, 1.67, 3.  ]), 0.78)
    """
    m, k = scores.shape
    ranks = rankdata(-scores, axis=1)
    first = ranks == ranks.min(axis=1, keepdims=True)
    sd = ranks.std(axis=0, ddof=1) if m > 1 else np.full(k, np.nan)
    return RankStability(
        (first / first.sum(axis=1, keepdims=True)).mean(axis=0), ranks.mean(axis=0), sd, _concordance(ranks)
    )


def _concordance(ranks: np.ndarray) -> float:
    m, k = ranks.shape
    ties = sum(float((counts**3 - counts).sum()) for row in ranks for counts in [np.unique(row, return_counts=True)[1]])
    most = m**2 * (k**3 - k) - m * ties
    if m < 2 or most == 0:
        return np.nan
    return float(12 * ((ranks.sum(axis=0) - m * (k + 1) / 2) ** 2).sum() / most)
