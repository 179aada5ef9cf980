"""Ridge regression with whole groups held out, from sums over groups: one pass over the data for every fold."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from stfmkit._core.arguments import check_integer
from stfmkit._core.errors import InputError
from stfmkit.metrics._arrays import labels, table
from stfmkit.splits.folds import deal_groups

PENALTIES = 10.0 ** np.arange(-6.0, 3.0)
_FALLBACK = 1e-2
_FLAT = 1e-12


class _Sums(NamedTuple):
    """Sums over observations; they add and subtract, so that every training set is the total less its fold."""

    n: float
    x: np.ndarray
    y: np.ndarray
    xx: np.ndarray
    xy: np.ndarray
    yy: np.ndarray

    def minus(self, other: "_Sums") -> "_Sums":
        return _Sums(*(mine - theirs for mine, theirs in zip(self, other, strict=True)))  # type: ignore[operator]


class _Line(NamedTuple):
    """A fit: ``(x - mean_x) @ coefficients + mean_y``, coefficients (d, n_targets)."""

    mean_x: np.ndarray
    mean_y: np.ndarray
    coefficients: np.ndarray


def grouped_ridge(embedding: ArrayLike, targets: ArrayLike, groups: ArrayLike, *, n_folds: int = 5) -> np.ndarray:
    """Predict targets from an embedding by ridge regression, every group held out whole.

    Features are standardised by the training groups, the intercept is free, and the penalty of every target is chosen
    among ``1e-6, …, 1e2`` times the number of training observations by holding out the training folds in turn; with
    two groups there is nothing to hold out, and it is 1e-2. Groups are dealt to folds by size, so nothing is random.

    Parameters
    ----------
    embedding
        Embedding (n_obs, d).
    targets
        Values to predict (n_obs, n_targets).
    groups
        Patient of every observation (n_obs,), at least two.
    n_folds
        Most folds; each holds one group or more.

    Returns
    -------
    Held-out predictions (n_obs, n_targets), float64.

    Raises
    ------
    InputError
        If there is one group, values are not finite, or lengths differ.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> x = np.random.default_rng(0).normal(size=(60, 3))
    >>> guess = sk.metrics.grouped_ridge(x, x[:, :1] - x[:, 1:2], np.repeat(["P1", "P2", "P3"], 20))
    >>> bool(np.abs(guess[:, 0] - (x[:, 0] - x[:, 1])).max() < 1e-3)
    True
    """
    check_integer(n_folds, name="n_folds", least=2)
    x = table(embedding, name="embedding").astype(np.float64)
    y = table(targets, name="targets", n=len(x)).astype(np.float64)
    fold = deal(labels(groups, name="groups", n=len(x)), int(n_folds))
    shift = y.mean(axis=0)
    x, y = x - x.mean(axis=0), y - shift  # a shift changes no fit, but keeps the sums exact
    names = range(int(fold.max()) + 1)
    parts = [_sums(x[fold == f], y[fold == f]) for f in names]
    total = _Sums(*(sum(values) for values in zip(*parts, strict=True)))  # type: ignore[arg-type]
    guess = np.empty_like(y)
    for f in names:
        rest = total.minus(parts[f])
        inner = [parts[g] for g in names if g != f]
        line = _fit(rest, _choose(rest, inner, n_targets=y.shape[1]))
        guess[fold == f] = (x[fold == f] - line.mean_x) @ line.coefficients + line.mean_y
    return guess + shift


def deal(groups: np.ndarray, n_folds: int) -> np.ndarray:
    """Return the fold of every observation, groups whole; nothing is random, so that a score has no seed."""
    n_groups = len(np.unique(groups))
    if n_groups < 2:
        raise InputError(
            "one group.", allowed="at least two", remedy="pass patients, or blocks of one patient, as groups."
        )
    return deal_groups(groups, min(n_folds, n_groups), None)


def _sums(x: np.ndarray, y: np.ndarray) -> _Sums:
    return _Sums(float(len(x)), x.sum(axis=0), y.sum(axis=0), x.T @ x, x.T @ y, (y**2).sum(axis=0))


def _moments(sums: _Sums, mean_x: np.ndarray, mean_y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the sums of squares and products about given means."""
    n, x, y = sums.n, sums.x, sums.y
    xx = sums.xx - np.outer(mean_x, x) - np.outer(x, mean_x) + n * np.outer(mean_x, mean_x)
    xy = sums.xy - np.outer(mean_x, y) - np.outer(x, mean_y) + n * np.outer(mean_x, mean_y)
    return xx, xy, sums.yy - 2 * mean_y * y + n * mean_y**2


def _path(sums: _Sums) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return means, eigenvalues, rotation to features, and rotated products, of standardised features."""
    mean_x, mean_y = sums.x / sums.n, sums.y / sums.n
    xx, xy, _ = _moments(sums, mean_x, mean_y)
    variance = np.diag(xx) / sums.n
    flat = variance <= _FLAT * max(float(variance.max()), np.finfo(float).tiny)
    scale = np.where(flat, 0.0, 1 / np.sqrt(np.where(flat, 1.0, variance)))
    values, vectors = np.linalg.eigh(xx * np.outer(scale, scale) / sums.n)
    turn = scale[:, None] * vectors
    return mean_x, mean_y, np.clip(values, 0, None), turn, turn.T @ xy / sums.n


def _fit(sums: _Sums, penalty: np.ndarray) -> _Line:
    mean_x, mean_y, values, turn, products = _path(sums)
    return _Line(mean_x, mean_y, turn @ (products / (values[:, None] + penalty)))


def _choose(rest: _Sums, folds: list[_Sums], *, n_targets: int) -> np.ndarray:
    """Return the penalty of every target (n_targets,) with the least squared error over the inner folds."""
    if len(folds) < 2:
        return np.full(n_targets, _FALLBACK)
    errors = np.zeros((len(PENALTIES), n_targets))
    for fold in folds:
        mean_x, mean_y, values, turn, products = _path(rest.minus(fold))
        xx, xy, yy = _moments(fold, mean_x, mean_y)
        inner_xx, inner_xy = turn.T @ xx @ turn, turn.T @ xy
        for row, penalty in enumerate(PENALTIES):
            weights = products / (values[:, None] + penalty)
            errors[row] += yy - 2 * (weights * inner_xy).sum(axis=0) + (weights * (inner_xx @ weights)).sum(axis=0)
    return np.asarray(PENALTIES[errors.argmin(axis=0)])
