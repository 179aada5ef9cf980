"""How large a difference must be for the test of all pairs to see it, and how likely it is to see a given one."""

import numpy as np
from scipy.stats import norm

from stfmkit.evaluation.sign_flips import TEST_FROM

POWER = 0.8
_CONTENDERS = np.array([2, 3, 5, 8, 12, 20])
_PATIENTS = np.array([6, 7, 8, 9, 10, 12, 16, 20, 30, 40])
_SEEN = {
    0.5: np.array(
        [
            [1.254, 0.925, 0.823, 0.767, 0.708, 0.625, 0.532, 0.470, 0.374, 0.319],
            [1.372, 1.040, 0.935, 0.859, 0.792, 0.719, 0.606, 0.533, 0.437, 0.370],
            [1.535, 1.168, 1.063, 0.977, 0.914, 0.827, 0.694, 0.623, 0.498, 0.425],
            [1.658, 1.289, 1.158, 1.073, 0.991, 0.915, 0.772, 0.678, 0.563, 0.478],
            [1.783, 1.393, 1.242, 1.144, 1.073, 0.994, 0.831, 0.744, 0.606, 0.523],
            [1.891, 1.492, 1.339, 1.236, 1.165, 1.071, 0.896, 0.807, 0.644, 0.568],
        ]
    ),
    0.8: np.array(
        [
            [1.815, 1.333, 1.183, 1.096, 1.010, 0.893, 0.760, 0.668, 0.536, 0.456],
            [1.912, 1.428, 1.284, 1.175, 1.083, 0.979, 0.828, 0.729, 0.593, 0.501],
            [2.049, 1.530, 1.389, 1.284, 1.191, 1.083, 0.908, 0.814, 0.653, 0.559],
            [2.182, 1.654, 1.471, 1.361, 1.266, 1.158, 0.983, 0.863, 0.716, 0.610],
            [2.299, 1.761, 1.557, 1.432, 1.335, 1.236, 1.036, 0.932, 0.758, 0.657],
            [2.412, 1.849, 1.657, 1.520, 1.426, 1.317, 1.110, 0.994, 0.800, 0.696],
        ]
    ),
}
"""Difference of a leader to each of the others, which are level, that `flipped_pairs` sees with this probability, in
standard deviations of a paired difference between patients; contenders in rows, patients in columns. Normal scores;
``benchmarks/simulate_verdicts.py --detectable`` prints it."""


def detectable_difference(
    sd: np.ndarray | float, *, n_patients: int, n_contenders: int, power: float = POWER
) -> np.ndarray | float:
    """Return the difference of two means that the test finds with probability `power`.

    Where a difference is "not shown", a true one smaller than this could well be there. With `sd` estimated from the
    same few patients the probability is about `power`: .72 to .77 for .8, by simulation.

    Parameters
    ----------
    sd
        Standard deviation over patients of the paired difference; scalar or array.
    n_patients, n_contenders
        Of the comparison.

    Returns
    -------
    In the units of `sd`; NaN of less than six patients or two contenders, where nothing can be found.

    Examples
    --------
    >>> few, many = (detectable_difference(0.04, n_patients=n, n_contenders=5) for n in (6, 20))
    >>> f"{few:.2f}", f"{many:.2f}"
    ('0.08', '0.03')
    """
    half, most = (_seen(level, n_patients, n_contenders) for level in (0.5, 0.8))
    return np.asarray(sd) * (half + (most - half) * norm.ppf(power) / norm.ppf(0.8))


def power_of(
    difference: np.ndarray | float, sd: np.ndarray | float, *, n_patients: int, n_contenders: int
) -> np.ndarray | float:
    """Return the probability that the test finds a true difference of two means.

    Parameters
    ----------
    difference
        The difference, of either sign.
    sd, n_patients, n_contenders
        As in `detectable_difference`.

    Returns
    -------
    From 0 to 1; NaN where nothing can be found, or where `sd` is 0.

    Examples
    --------
    >>> few, many = (power_of(0.04, 0.04, n_patients=n, n_contenders=5) for n in (6, 20))
    >>> f"{few:.1f}", f"{many:.1f}"
    ('0.2', '1.0')
    """
    half, most = (_seen(level, n_patients, n_contenders) for level in (0.5, 0.8))
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = np.where(np.asarray(sd) > 0, np.abs(difference) / np.asarray(sd), np.nan)
    return norm.cdf((effect - half) * norm.ppf(0.8) / (most - half))


def _seen(power: float, n: int, k: int) -> float:
    """Read the table: linear in logarithms, beyond its last column by the root of the number of patients."""
    if n < TEST_FROM or k < 2:
        return np.nan
    last = int(_PATIENTS[-1])
    by_contenders = [np.exp(np.interp(np.log(min(n, last)), np.log(_PATIENTS), np.log(row))) for row in _SEEN[power]]
    place, values = np.log(_CONTENDERS), np.array(by_contenders)
    slope = (values[-1] - values[-2]) / (place[-1] - place[-2])
    beyond = max(np.log(k) - place[-1], 0.0) * slope
    return float((np.interp(np.log(k), place, values) + beyond) * np.sqrt(last / max(n, last)))
