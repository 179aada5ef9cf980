"""Probe of an embedding that is trained on few labels of each class."""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from stfmkit._core.arguments import check_integer
from stfmkit._core.errors import InputError
from stfmkit._core.random import RNGLike, as_generator, int_seed
from stfmkit.metrics._arrays import labels as check_labels
from stfmkit.metrics._arrays import table
from stfmkit.metrics._grouped_ridge import deal
from stfmkit.metrics._labels import macro_f1
from stfmkit.metrics._metric import metric

_ITERATIONS = 500


@metric(
    title="Few-shot macro F1",
    family="embedding",
    higher_is_better=True,
    bounds=(0, 1),
    chance=None,
    source="stfmkit documentation",
    summary="Macro F1 on held-out groups of a linear probe trained on a few labels of each class.",
)
def few_shot_f1(
    embedding: ArrayLike,
    labels: ArrayLike,
    groups: ArrayLike,
    *,
    n_labels: Sequence[int] = (1, 5, 10, 50),
    n_repeats: int = 5,
    n_folds: int = 5,
    rng: RNGLike = 0,
) -> pd.DataFrame:
    """Return the macro F1 of a linear probe that is trained on a few labels of each class.

    Groups are held out whole, in up to five folds. In every fold and repeat, `n_labels` observations of every class
    are drawn from the training groups (each draw holds the smaller ones), a logistic regression with C = 1 is fitted
    on them, and the held-out groups are predicted. Features are standardised by all training observations, which asks
    for no label. Scores are averaged over folds, then repeats.

    Parameters
    ----------
    embedding
        Embedding (n_obs, d).
    labels
        Class of every observation (n_obs,), at least two.
    groups
        Patient of every observation (n_obs,), at least two.
    n_labels
        Labels of each class, in rising order.
    n_repeats
        Draws of labels in every fold.
    n_folds
        Most folds; each holds one group or more.
    rng
        Seed or generator of the draws.

    Returns
    -------
    Mean and standard deviation over repeats ("macro_f1", "sd") by number of labels. NaN where a class has fewer
    labels than that in the training groups of some fold: a point of the curve means the same for every class.

    Raises
    ------
    InputError
        If there is one class or group, `n_labels` does not rise, or lengths differ.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> niche, patient = np.tile(["a", "b"], 30), np.repeat(["P1", "P2", "P3"], 20)
    >>> known = np.where(niche == "a", -1.0, 1.0)[:, None] + np.random.default_rng(0).normal(0, 0.1, size=(60, 1))
    >>> sk.metrics.few_shot_f1(known, niche, patient, n_labels=(1, 5, 50))["macro_f1"].to_dict()
    {1: 1.0, 5: 1.0, 50: nan}
    """
    sizes = _sizes(n_labels)
    check_integer(n_repeats, name="n_repeats", least=1)
    check_integer(n_folds, name="n_folds", least=2)
    features = table(embedding, name="embedding").astype(np.float64)
    codes, names = pd.factorize(check_labels(labels, name="labels", n=len(features)), sort=True)
    if len(names) < 2:
        raise InputError("one class.", allowed="at least two", remedy="pass labels that differ.")
    fold = deal(check_labels(groups, name="groups", n=len(features)), int(n_folds))
    generators = as_generator(int_seed(as_generator(rng))).spawn(int(n_repeats) * (int(fold.max()) + 1))
    scores = np.full((len(sizes), int(n_repeats), int(fold.max()) + 1), np.nan)
    for held in range(scores.shape[2]):
        train, test = np.flatnonzero(fold != held), np.flatnonzero(fold == held)
        scaled = _standardised(features, train)
        rarest = np.bincount(codes[train], minlength=len(names)).min()
        for repeat in range(scores.shape[1]):
            drawn = generators[held * scores.shape[1] + repeat].permutation(train)
            order = [drawn[codes[drawn] == c] for c in range(len(names))]
            for row, size in enumerate(sizes):
                if size <= rarest:
                    picked = np.concatenate([rows[:size] for rows in order])
                    guess = _probe(scaled[picked], codes[picked], scaled[test])
                    scores[row, repeat, held] = macro_f1(codes[test], guess)
    by_repeat = scores.mean(axis=2)
    return pd.DataFrame(
        {"macro_f1": by_repeat.mean(axis=1), "sd": by_repeat.std(axis=1)}, index=pd.Index(sizes, name="n_labels")
    )


def _sizes(n_labels: Sequence[int]) -> list[int]:
    for size in n_labels:
        check_integer(size, name="n_labels", least=1)
    sizes = [int(size) for size in n_labels]
    if not sizes or sorted(set(sizes)) != sizes:
        raise InputError(
            f"n_labels={n_labels!r}.", allowed="rising numbers", remedy="pass (1, 5, 10, 50), for example."
        )
    return sizes


def _standardised(features: np.ndarray, train: np.ndarray) -> np.ndarray:
    spread = features[train].std(axis=0)
    flat = spread <= 1e-12 * max(float(spread.max()), np.finfo(float).tiny)
    return np.where(flat, 0.0, (features - features[train].mean(axis=0)) / np.where(flat, 1.0, spread))


def _probe(train: np.ndarray, classes: np.ndarray, test: np.ndarray) -> np.ndarray:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():  # a fit that stops early is judged by its held-out score like any other
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(C=1.0, max_iter=_ITERATIONS).fit(train, classes)
    return np.asarray(model.predict(test))
