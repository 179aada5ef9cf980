"""Contenders over several tasks: mean ranks, and whether they differ more than chance allows.

Tasks of one patient are no independent witnesses: a patient with bad sections is bad for all of them. The patient stays
the unit, with one mean rank of every contender. Where contenders do not differ, their names may be exchanged within a
patient, in all tasks of this patient together; this is what `friedman_p` does. To exchange the names of two contenders
turns the sign of their difference of mean ranks, so pairs are judged by `stfmkit.evaluation.sign_flips`, as scores are.
"""

import numpy as np
from scipy.stats import rankdata

_PART = 1000


def patient_ranks(scores: np.ndarray) -> np.ndarray:
    """Return the mean rank of every contender in every patient (n_patients, n_contenders); 1 is the best.

    Parameters
    ----------
    scores
        Scores (n_patients, n_tasks, n_contenders), all finite; higher is better in all tasks. Contenders that are level
        share their ranks.

    Examples
    --------
    >>> patient_ranks(np.array([[[0.9, 0.5, 0.1], [30.0, 10.0, 20.0]]]))
    array([[1. , 2.5, 2.5]])
    """
    ranks: np.ndarray = rankdata(-scores, axis=2).mean(axis=1)
    return ranks


def friedman_p(ranks: np.ndarray, *, rng: np.random.Generator, n_draws: int = 9999) -> float:
    """Return the p of the hypothesis that no contender differs from any other.

    The statistic is that of Friedman 1937 (J Am Stat Assoc 32:675), the sum of squares of mean ranks, for means of
    ranks over tasks. Its null distribution comes from random orders of the contenders, drawn anew for whole
    patients. p is (hits + 1) / (n_draws + 1).

    Parameters
    ----------
    ranks
        What `patient_ranks` returned.

    Examples
    --------
    >>> friedman_p(np.array([[1.0, 2.0, 3.0]] * 6), rng=np.random.default_rng(0)) < 0.001
    True
    """
    n, k = ranks.shape
    if k < 2 or n == 0:
        return 1.0
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    observed = (centred.sum(axis=0) ** 2).sum()
    hits = 0
    for start in range(0, n_draws, _PART):
        size = min(_PART, n_draws - start)
        drawn = rng.permuted(np.broadcast_to(centred, (size, n, k)), axis=2)
        hits += int(((drawn.sum(axis=1) ** 2).sum(axis=1) >= observed * (1 - 1e-9) - 1e-9).sum())
    return (hits + 1) / (n_draws + 1)
