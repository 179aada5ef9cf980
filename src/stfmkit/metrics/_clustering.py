"""Agreement of clusters with labels."""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from stfmkit.metrics._arrays import labels
from stfmkit.metrics._metric import metric


@metric(
    title="Adjusted Rand index",
    label="ARI",
    family="clustering",
    higher_is_better=True,
    bounds=(-0.5, 1),
    chance=0,
    source="Hubert and Arabie 1985, J Classif 2:193",
    summary="Agreement of two partitions on pairs of observations, adjusted for chance.",
)
def ari(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return the adjusted Rand index of two partitions (Hubert and Arabie 1985), as scikit-learn has it.

    Parameters
    ----------
    truth, predicted
        One label per observation (n_obs,). Names need not match; only who is with whom counts.

    Returns
    -------
    A number in [-0.5, 1]; 0 is expected by chance.

    Raises
    ------
    InputError
        If lengths differ, a label is missing, or there is none.

    Examples
    --------
    >>> ari(["a", "a", "b", "b"], ["x", "x", "y", "y"])
    1.0
    """
    first, second = _partitions(truth, predicted)
    return float(adjusted_rand_score(first, second))


@metric(
    title="Normalised mutual information",
    label="NMI",
    family="clustering",
    higher_is_better=True,
    bounds=(0, 1),
    chance=None,
    source="Strehl and Ghosh 2002, J Mach Learn Res 3:583; arithmetic mean of the entropies",
    summary="Information that two partitions share; not adjusted, so that many small clusters score above 0.",
)
def nmi(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return the mutual information of two partitions over the arithmetic mean of their entropies.

    It is not adjusted for chance: many small clusters score above 0 on random labels.

    Parameters
    ----------
    truth, predicted
        One label per observation (n_obs,).

    Returns
    -------
    A number in [0, 1].

    Raises
    ------
    InputError
        If lengths differ, a label is missing, or there is none.

    Examples
    --------
    >>> round(nmi(["a", "a", "b", "b"], ["x", "x", "y", "z"]), 3)
    0.8
    """
    first, second = _partitions(truth, predicted)
    return float(normalized_mutual_info_score(first, second, average_method="arithmetic"))


def _partitions(truth: ArrayLike, predicted: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    first = labels(truth, name="truth")
    second = labels(predicted, name="predicted", n=len(first))
    return first.astype(str), second.astype(str)
