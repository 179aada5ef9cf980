"""Statistics with the patient as the unit: arrays in, numbers out."""

from collections.abc import Sequence

import numpy as np

_EXACT_UP_TO = 20
_MONTE_CARLO = 100_000


def hierarchical_bootstrap(patients: Sequence[np.ndarray], *, n_boot: int, rng: np.random.Generator) -> np.ndarray:
    """Draw patients, then their samples, with replacement, and average; every model gets the same draws.

    Parameters
    ----------
    patients
        For every patient the scores (n_samples, n_models); NaN where a model has no score.
    n_boot
        Number of draws.

    Returns
    -------
    Mean over the drawn patients (n_boot, n_models).
    """
    n = len(patients)
    drawn = rng.integers(n, size=(n_boot, n))
    sums = np.zeros((n_boot, patients[0].shape[1]))
    for p, scores in enumerate(patients):
        draw, _ = np.nonzero(drawn == p)
        slides = rng.integers(len(scores), size=(len(draw), len(scores)))
        np.add.at(sums, draw, scores[slides].mean(axis=1))
    return sums / n


def interval(draws: np.ndarray, *, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Return the percentile interval of bootstrap draws (n_boot, …) along the first axis."""
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(draws, [tail, 100 - tail], axis=0)
    return low, high


def sign_flip(differences: np.ndarray, *, rng: np.random.Generator) -> float:
    """Return the two-sided p of paired differences (n,) under random signs; exact up to 20 patients.

    With n patients the smallest possible p is 2 / 2**n.
    """
    n = len(differences)
    observed = abs(differences.sum())
    tolerance = 1e-12 * np.abs(differences).sum()
    if n <= _EXACT_UP_TO:
        bits = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        totals = np.abs((1 - 2 * bits) @ differences)
        return float((totals >= observed - tolerance).mean())
    signs = rng.choice(np.array([-1.0, 1.0]), size=(_MONTE_CARLO, n))
    hits = int((np.abs(signs @ differences) >= observed - tolerance).sum())
    return (hits + 1) / (_MONTE_CARLO + 1)


def holm(p_values: np.ndarray) -> np.ndarray:
    """Return p-values adjusted by Holm 1979 (Scand J Stat 6:65); NaN stays NaN and does not count."""
    adjusted = np.full(len(p_values), np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    steps = p_values[order] * (len(order) - np.arange(len(order)))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
