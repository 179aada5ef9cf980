"""What decisions on all pairs allow to say: who may be the best, and between which ranks everybody lies."""

import numpy as np

from stfmkit.evaluation.sign_flips import ALPHA


def rank_intervals(means: np.ndarray, p_values: np.ndarray, *, alpha: float = ALPHA) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest rank that every contender may have; 1 is the best.

    A contender is below all that were shown to be better, and above all that were shown to be worse. Where the
    decisions hold together, so do the intervals (Mogstad, Romano, Shaikh & Wilhelm 2024, Rev Econ Stud 91:476).

    Parameters
    ----------
    means
        Mean of every contender (n_contenders,); higher is better.
    p_values
        Adjusted p of every pair (n_contenders, n_contenders).

    Examples
    --------
    >>> p = np.array([[1, 0.4, 0.01], [0.4, 1, 0.2], [0.01, 0.2, 1]])
    >>> rank_intervals(np.array([0.9, 0.7, 0.1]), p)
    (array([1, 1, 2]), array([2, 3, 3]))
    """
    shown_better = (p_values < alpha) & (means[:, None] > means[None, :])  # row better than column
    return 1 + shown_better.sum(axis=0), len(means) - shown_better.sum(axis=1)


def best_set(means: np.ndarray, p_values: np.ndarray, *, alpha: float = ALPHA) -> np.ndarray:
    """Return who is not shown to be worse than anybody (n_contenders,): the true best is among them.

    Since p falls with the difference of two means, whoever is worse than anybody is worse than the leader, too.

    Examples
    --------
    >>> p = np.array([[1, 0.4, 0.01], [0.4, 1, 0.2], [0.01, 0.2, 1]])
    >>> best_set(np.array([0.9, 0.7, 0.1]), p)
    array([ True,  True, False])
    """
    return rank_intervals(means, p_values, alpha=alpha)[0] == 1
