"""Agreement of predicted with true class labels."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from stfmkit.metrics._checks import label_pair


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
    >>> class_f1(["a", "a", "b"], ["a", "b", "b"]).round(3).to_dict()
    {'a': 0.667, 'b': 0.667}
    """
    true, guess, levels = label_pair(truth, predicted)
    hits = np.bincount(true[true == guess], minlength=len(levels))
    in_truth = np.bincount(true, minlength=len(levels))
    in_guess = np.bincount(guess, minlength=len(levels))
    present = in_truth > 0
    score = 2 * hits[present] / (in_truth + in_guess)[present]
    return pd.Series(score, index=pd.Index(levels[present], name="class"), name="f1")


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
    >>> macro_f1(["a", "a", "b", "b"], ["a", "a", "b", "c"])  # mean of 1 and 2/3
    0.8333333333333333
    """
    return float(class_f1(truth, predicted).mean())


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
    >>> balanced_accuracy(["a", "a", "a", "b"], ["a", "a", "a", "a"])
    0.5
    """
    true, guess, levels = label_pair(truth, predicted)
    hits = np.bincount(true[true == guess], minlength=len(levels))
    in_truth = np.bincount(true, minlength=len(levels))
    present = in_truth > 0
    return float((hits[present] / in_truth[present]).mean())
