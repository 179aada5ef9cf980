"""Intervals of means over patients by Student's t: for one contender, for a pair, and for all pairs at once."""

import numpy as np
from scipy import stats

INTERVAL_FROM = 3
"""Patients from which an interval is given; that of two patients would span almost anything."""


def mean_interval(values: np.ndarray, *, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval of the mean of `values` (n_patients, ...) along the first axis; NaN without two patients.

    Examples
    --------
    >>> low, high = mean_interval(np.array([0.1, 0.2, 0.3, 0.4]))
    >>> round(float(low), 3), round(float(high), 3)
    (0.045, 0.455)
    """
    n = len(values)
    if n < 2:
        return np.full(values.shape[1:], np.nan), np.full(values.shape[1:], np.nan)
    mean = values.mean(axis=0)
    half = stats.t.ppf((1 + level) / 2, n - 1) * values.std(axis=0, ddof=1) / np.sqrt(n)
    return mean - half, mean + half


def difference_intervals(scores: np.ndarray, *, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Return intervals of all differences that hold together, with probability `level` (Bonferroni over all pairs).

    They hold whichever pair is looked at, so also for differences to the contender that was seen to lead.

    Parameters
    ----------
    scores
        Scores (n_patients, n_contenders), all finite.

    Returns
    -------
    Low and high (n_contenders, n_contenders); entry (i, j) is about contender i minus contender j.
    """
    k = scores.shape[1]
    n_pairs = max(k * (k - 1) // 2, 1)
    return mean_interval(scores[:, :, None] - scores[:, None, :], level=1 - (1 - level) / n_pairs)
