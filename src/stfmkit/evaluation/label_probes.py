"""Predict labels from a frozen embedding: a linear and a nearest-neighbour probe, tuned inside training groups."""

import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.neighbors import NearestNeighbors

from stfmkit.evaluation.ridge_probe import Scaler
from stfmkit.splits.folds import Folds

_ITERATIONS = 500
_TOLERANCE = 1e-6

Value = TypeVar("Value", int, float)


def linear_probe(
    train: np.ndarray,
    labels: np.ndarray,
    test: np.ndarray,
    *,
    grid: Sequence[float],
    folds: Folds,
) -> tuple[np.ndarray, float]:
    """Predict labels by class-balanced logistic regression on scaled columns; return them and the chosen C.

    It runs until it converges: stopped early, a strong penalty leaves it near its start, and labels of other places.
    """

    def fit_predict(fit: np.ndarray, y: np.ndarray, check: np.ndarray, c: float) -> np.ndarray:
        if len(np.unique(y)) == 1:
            return np.full(len(check), y[0])
        scaler = Scaler(fit)
        model = LogisticRegression(C=c, class_weight="balanced", max_iter=_ITERATIONS, tol=_TOLERANCE)
        with warnings.catch_warnings():  # a C that does not converge is one candidate, judged by its inner score
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(scaler(fit), y)
        return model.predict(scaler(check))

    best = _tune(
        grid, folds, lambda fit, check, c: f1(labels[check], fit_predict(train[fit], labels[fit], train[check], c))
    )
    return fit_predict(train, labels, test, best), best


def knn_probe(
    train: np.ndarray,
    labels: np.ndarray,
    test: np.ndarray,
    *,
    grid: Sequence[int],
    folds: Folds,
) -> tuple[np.ndarray, int]:
    """Predict labels by majority of the k nearest training rows (Euclidean); return them and the chosen k."""
    votes = [(labels[check], _vote(train[fit], labels[fit], train[check], grid)) for fit, check in folds]
    best = len(grid) // 2
    if votes:
        best = int(np.argmax([np.mean([f1(truth, vote[i]) for truth, vote in votes]) for i in range(len(grid))]))
    return _vote(train, labels, test, [grid[best]])[0], grid[best]


def _vote(train: np.ndarray, labels: np.ndarray, test: np.ndarray, grid: Sequence[int]) -> list[np.ndarray]:
    """Return the majority label for every k of the grid; neighbours are found once, at the largest k."""
    most = min(max(grid), len(train))
    found = NearestNeighbors(n_neighbors=most).fit(train).kneighbors(test, return_distance=False)
    near = labels[found]
    n_classes = int(labels.max()) + 1
    majority = []
    for k in grid:
        count = np.zeros((len(test), n_classes), dtype=np.int64)
        for column in near[:, : min(k, most)].T:
            count[np.arange(len(test)), column] += 1
        majority.append(np.argmax(count, axis=1))
    return majority


def _tune(grid: Sequence[Value], folds: Folds, score: Callable[[np.ndarray, np.ndarray, Value], float]) -> Value:
    """Return the grid value with the best mean inner score; the smallest (strongest penalty) where tied."""
    if not folds or len(grid) == 1:
        return grid[len(grid) // 2]
    means = [np.mean([score(fit, check, value) for fit, check in folds]) for value in grid]
    return grid[int(np.argmax(means))]


def f1(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Return macro-F1 over the classes that are present in truth."""
    return float(f1_score(truth, predicted, labels=np.unique(truth), average="macro", zero_division=0))
