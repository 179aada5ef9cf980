"""One test of all pairs of contenders: exact flips of the signs of whole patients, with one p-value for every pair.

Under the null hypothesis a difference of two contenders in a patient is as likely to favour the one as the other, so
its sign may be turned. Whole patients are turned, all contenders together: what links them stays as it is. A pair
is judged by the absolute sum of its differences over patients, against the largest sum among this pair and all pairs
with smaller sums (maximum statistic, step-down: Westfall & Young 1993; Romano & Wolf 2005, Econometrica 73:1237). The
probability of any false decision among all pairs is thus held, whichever contender was seen to lead, and the smallest p
is 2 / 2**n whatever the number of contenders.
"""

from collections.abc import Iterator

import numpy as np

ALPHA = 0.05
TEST_FROM = 6
"""Patients from which the smallest p, 2 / 2**n, lies below `ALPHA` (six patients: .031)."""
EXACT_UP_TO = 20
N_DRAWS = 100_000
_CELLS = 2_000_000
"""Numbers in memory at once."""


def flipped_pairs(
    scores: np.ndarray, *, rng: np.random.Generator, exact_up_to: int = EXACT_UP_TO, n_draws: int = N_DRAWS
) -> np.ndarray:
    """Return the adjusted two-sided p of every pair of contenders.

    Parameters
    ----------
    scores
        Scores (n_patients, n_contenders), all finite.
    rng
        Draws signs where there are too many patients to try all.
    exact_up_to
        Patients up to which all signs are tried.
    n_draws
        Random signs beyond that; p is then (hits + 1) / (n_draws + 1).

    Returns
    -------
    p (n_contenders, n_contenders), symmetric, 1 on the diagonal. The larger the difference of two means, the smaller p.

    Examples
    --------
    >>> scores = np.array([[0.9, 0.5, 0.1]] * 6) + np.arange(6)[:, None] / 100
    >>> flipped_pairs(scores, rng=np.random.default_rng(0))
    array([[1.     , 0.03125, 0.03125],
           [0.03125, 1.     , 0.03125],
           [0.03125, 0.03125, 1.     ]])
    """
    n, k = scores.shape
    p = np.ones((k, k))
    if k < 2 or n == 0:
        return p
    centred, (first, second), sums, slack = _ordered_pairs(scores)
    hits, total, sampled = np.zeros(len(first), dtype=np.int64), 0, n > exact_up_to
    for signs in _signs(n, len(first), rng=rng, exact_up_to=exact_up_to, n_draws=n_draws):
        flipped = np.abs((turned := signs @ centred)[:, first] - turned[:, second])
        largest = np.maximum.accumulate(flipped[:, ::-1], axis=1)[:, ::-1]  # of this pair and all that are smaller
        hits += (largest >= sums - slack).sum(axis=0)
        total += len(signs)
    adjusted = np.maximum.accumulate((hits + sampled) / (total + sampled))
    p[first, second] = p[second, first] = adjusted
    return p


def critical_difference(
    scores: np.ndarray, p_values: np.ndarray, *, rng: np.random.Generator, exact_up_to: int = EXACT_UP_TO,
    n_draws: int = N_DRAWS, alpha: float = ALPHA,
) -> float:  # fmt: skip
    """Return the difference of two means beyond which, and only beyond which, pairs are told apart at `alpha`.

    It is the quantile of the largest difference among the pairs that are not told apart (of the closest pair, where all
    are), under the same flips: the limit of the last step. Pairs that were told apart before had to pass a higher one,
    up to that of all pairs in one step, which Demsar (2006, J Mach Learn Res 7:1) calls by this name. So it describes
    one decision, and is no yardstick for other contenders.

    Parameters
    ----------
    scores, rng, exact_up_to, n_draws
        As in `flipped_pairs`.
    p_values
        What it returned.
    """
    n, k = scores.shape
    if k < 2 or n == 0:
        return np.nan
    centred, (first, second), _, _ = _ordered_pairs(scores)
    level = np.flatnonzero(p_values[first, second] >= alpha)
    start = int(level[0]) if len(level) else len(first) - 1
    first, second, sampled = first[start:], second[start:], n > exact_up_to
    largest = np.concatenate(
        [
            np.abs((turned := signs @ centred)[:, first] - turned[:, second]).max(axis=1)
            for signs in _signs(n, len(first), rng=rng, exact_up_to=exact_up_to, n_draws=n_draws)
        ]
    )
    allowed = max(int(np.ceil(alpha * (len(largest) + sampled))) - 1 - sampled, 0)
    return float(np.sort(largest)[::-1][allowed]) / n


def _ordered_pairs(scores: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray], np.ndarray, float]:
    """Return centred scores, all pairs, the largest sum of differences first, these sums, and what rounding costs."""
    n, k = scores.shape
    centred = scores - scores.mean(axis=1, keepdims=True)
    first, second = np.triu_indices(k, 1)
    sums = np.abs((total := centred.sum(axis=0))[first] - total[second])
    order = np.argsort(-sums, kind="stable")
    slack = 1e-12 * np.abs(centred).sum() + 8 * n * np.finfo(float).eps * np.abs(scores).max()
    return centred, (first[order], second[order]), sums[order], float(slack)


def _signs(n: int, n_pairs: int, *, rng: np.random.Generator, exact_up_to: int, n_draws: int) -> Iterator[np.ndarray]:
    """Yield signs (n_flips, n) part by part; of two opposite flips, which give the same sums, one."""
    total = 2 ** (n - 1) if n <= exact_up_to else n_draws
    step = max(_CELLS // max(n_pairs, n), 1)
    for start in range(0, total, step):
        size = min(step, total - start)
        if n <= exact_up_to:
            yield 1.0 - 2.0 * ((np.arange(start, start + size)[:, None] >> np.arange(n)) & 1)
        else:
            yield rng.choice(np.array([-1.0, 1.0]), size=(size, n))
