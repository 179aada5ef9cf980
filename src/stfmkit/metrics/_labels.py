"""Agreement of class labels: predicted with true ones, and clusters with labels."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from stfmkit._core.errors import InputTypeError
from stfmkit.metrics._arrays import kind_of, labels
from stfmkit.metrics._metric import metric


@metric(
    title="F1 per class",
    family="labels",
    higher_is_better=True,
    bounds=(0, 1),
    chance=None,
    source="van Rijsbergen 1979, Information Retrieval",
    summary="Harmonic mean of precision and recall of every class that is present in the truth.",
)
def class_f1(truth: ArrayLike, predicted: ArrayLike) -> pd.Series:
    """Return the F1 score of every class that is present in the truth.

    Parameters
    ----------
    truth, predicted
        One label per observation (n_obs,); text or numbers, none missing.

    Returns
    -------
    F1 in [0, 1] by class, indexed by the sorted classes of `truth`. A class that is never predicted scores 0.

    Raises
    ------
    InputError
        If lengths differ, a label is missing, or there is none.
    InputTypeError
        If one side holds text and the other numbers.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.class_f1(["a", "a", "b"], ["a", "b", "b"]).round(3).to_dict()
    {'a': 0.667, 'b': 0.667}
    """
    true, guess, levels = label_pair(truth, predicted)
    hits = np.bincount(true[true == guess], minlength=len(levels))
    in_truth = np.bincount(true, minlength=len(levels))
    in_guess = np.bincount(guess, minlength=len(levels))
    present = in_truth > 0
    score = 2 * hits[present] / (in_truth + in_guess)[present]
    return pd.Series(score, index=pd.Index(levels[present], name="class"), name="f1")


@metric(
    title="Macro F1",
    family="labels",
    higher_is_better=True,
    bounds=(0, 1),
    chance=None,
    source="scikit-learn f1_score over the classes of the truth",
    summary="Mean F1 over the classes that are present in the truth.",
)
def macro_f1(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return the mean F1 over the classes that are present in the truth.

    scikit-learn averages over the union of true and predicted classes by default, so that one observation put into a
    class which the test patient does not have adds a zero to the mean. Here such an observation costs what it should:
    the recall of its own class. The value equals ``f1_score(labels=present, average="macro", zero_division=0)``.

    Parameters
    ----------
    truth, predicted
        One label per observation (n_obs,); text or numbers, none missing.

    Returns
    -------
    A number in [0, 1].

    Raises
    ------
    InputError, InputTypeError
        As `class_f1`.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.macro_f1(["a", "a", "b", "b"], ["a", "a", "b", "c"])  # mean of 1 and 2/3
    0.8333333333333333
    """
    return float(class_f1(truth, predicted).mean())


@metric(
    title="Balanced accuracy",
    family="labels",
    higher_is_better=True,
    bounds=(0, 1),
    chance=None,
    source="Brodersen et al. 2010, ICPR",
    summary="Mean recall over the classes that are present in the truth; chance is one over their number.",
)
def balanced_accuracy(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return the mean recall over the classes that are present in the truth.

    Parameters
    ----------
    truth, predicted
        One label per observation (n_obs,); text or numbers, none missing.

    Returns
    -------
    A number in [0, 1]; a constant prediction scores one over the number of classes.

    Raises
    ------
    InputError, InputTypeError
        As `class_f1`.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.balanced_accuracy(["a", "a", "a", "b"], ["a", "a", "a", "a"])
    0.5
    """
    true, guess, levels = label_pair(truth, predicted)
    hits = np.bincount(true[true == guess], minlength=len(levels))
    in_truth = np.bincount(true, minlength=len(levels))
    present = in_truth > 0
    return float((hits[present] / in_truth[present]).mean())


def same_kind(first: np.ndarray, second: np.ndarray, *, names: Sequence[str]) -> None:
    """Refuse text on one side and numbers on the other: they would never be equal."""
    kinds = kind_of(first, name=names[0]), kind_of(second, name=names[1])
    if kinds[0] != kinds[1]:
        raise InputTypeError(
            f"{names[0]} holds {kinds[0]}, {names[1]} holds {kinds[1]}.",
            allowed="the same kind on both sides",
            remedy="convert one of them, such as `list(map(str, values))`.",
        )


def label_pair(
    first: object, second: object, *, names: Sequence[str] = ("truth", "predicted")
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return two codings (n,) over the sorted union of the labels, and that union."""
    a = labels(first, name=names[0])
    b = labels(second, name=names[1], n=len(a))
    same_kind(a, b, names=names)
    codes, levels = pd.factorize(np.concatenate([a, b]), sort=True)
    return codes[: len(a)], codes[len(a) :], np.asarray(levels)


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
    >>> import stfmkit as sk
    >>> sk.metrics.ari(["a", "a", "b", "b"], ["x", "x", "y", "y"])
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
    >>> import stfmkit as sk
    >>> round(sk.metrics.nmi(["a", "a", "b", "b"], ["x", "x", "y", "z"]), 3)
    0.8
    """
    first, second = _partitions(truth, predicted)
    return float(normalized_mutual_info_score(first, second, average_method="arithmetic"))


def _partitions(truth: ArrayLike, predicted: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    first = labels(truth, name="truth")
    second = labels(predicted, name="predicted", n=len(first))
    return first.astype(str), second.astype(str)
