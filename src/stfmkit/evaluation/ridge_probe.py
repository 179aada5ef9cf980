"""Predict expression from a frozen embedding: ridge regression with its penalty chosen inside training groups."""

from collections.abc import Sequence

import numpy as np

from stfmkit.splits.folds import Folds

_RANK = 1e-14  # squared singular values below this share of the largest are rounding noise


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
