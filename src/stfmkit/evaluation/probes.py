"""Probes on frozen embeddings: linear, nearest neighbours, and ridge, tuned inside training groups."""

import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.neighbors import NearestNeighbors

from stfmkit.splits.folds import Folds

_RANK = 1e-14  # squared singular values below this share of the largest are rounding noise
_ITERATIONS = 500
_TOLERANCE = 1e-3

Value = TypeVar("Value", int, float)


class Scaler:
    """Centre and scale columns by training rows; constant columns become 0."""

    def __init__(self, train: np.ndarray) -> None:
        self.mean = train.mean(axis=0)
        spread = train.std(axis=0)
        flat = spread <= 1e-12 * np.maximum(np.abs(self.mean), 1.0)
        self.scale = np.where(flat, 0.0, 1.0 / np.where(flat, 1.0, spread))

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return scaled values."""
        return (values - self.mean) * self.scale


def ridge_probe(
    train: np.ndarray,
    target: np.ndarray,
    test: np.ndarray,
    *,
    grid: Sequence[float],
    folds: Folds,
    max_components: int,
) -> tuple[np.ndarray, float]:
    """Predict columns by ridge with an intercept; one alpha for all columns, chosen by inner groups.

    The inner score is the squared error relative to the variance of each column in training, averaged over columns.
    """
    alphas = np.asarray(grid, dtype=np.float64)
    spread = target.var(axis=0)
    spread[spread == 0] = 1.0
    loss = np.zeros(len(alphas))
    for fit, check in folds:
        guess = _ridge_path(train[fit], target[fit], train[check], alphas=alphas, max_components=max_components)
        loss += [(((g - target[check]) ** 2).mean(axis=0) / spread).mean() for g in guess]
    best = alphas[np.flatnonzero(loss == loss.min())[-1]] if folds else alphas[len(alphas) // 2]
    return _ridge_path(train, target, test, alphas=np.array([best]), max_components=max_components)[0], float(best)


def _ridge_path(
    train: np.ndarray, target: np.ndarray, test: np.ndarray, *, alphas: np.ndarray, max_components: int
) -> list[np.ndarray]:
    """Return predictions for every alpha from one decomposition of the scaled columns."""
    scaler = Scaler(train)
    scaled = scaler(train)
    squares, axes = _components(scaled)
    keep = min(max_components, int((squares > squares[0] * _RANK).sum())) if squares.size and squares[0] > 0 else 0
    squares, axes = squares[:keep], axes[:, :keep]
    center = target.mean(axis=0)
    projected = axes.T @ (scaled.T @ (target - center))
    scores = scaler(test) @ axes
    return [center + (scores / (squares + a)) @ projected for a in alphas]


def _components(scaled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return squared singular values in falling order, and their axes (d, n_components)."""
    if scaled.shape[0] < scaled.shape[1]:
        _, s, vt = np.linalg.svd(scaled, full_matrices=False)
        return s**2, vt.T
    values, axes = np.linalg.eigh(scaled.T @ scaled)  # a fraction of the time, and no copy of the rows
    return np.maximum(values[::-1], 0.0), axes[:, ::-1]


def linear_probe(
    train: np.ndarray,
    labels: np.ndarray,
    test: np.ndarray,
    *,
    grid: Sequence[float],
    folds: Folds,
) -> tuple[np.ndarray, float]:
    """Predict labels by class-balanced logistic regression on scaled columns; return them and the chosen C."""

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
