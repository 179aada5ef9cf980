"""Composition and density of neighbourhoods, and scores of their prediction; the tasks of Nicheformer."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from stfmkit._core.arguments import check_integer, check_positive
from stfmkit._core.errors import InputError
from stfmkit._kernels._neighbors import knn_within
from stfmkit.metrics._arrays import constant, table, vector
from stfmkit.metrics._arrays import labels as check_labels
from stfmkit.metrics._labels import macro_f1
from stfmkit.metrics._metric import metric

_SOURCE = "stfmkit documentation; task of Tejada-Lapuerta et al. 2025, Nat Methods 22:2525 (Nicheformer)"
_SUM = 1e-6


class Neighborhoods(NamedTuple):
    """What surrounds every observation.

    Attributes
    ----------
    shares
        Share of every cell type among the neighbours (n_obs, n_types); zeros where there is no neighbour.
    counts
        Number of neighbours (n_obs,).
    types
        Names of the cell types (n_types,), sorted.
    """

    shares: np.ndarray
    counts: np.ndarray
    types: np.ndarray


def neighborhood_composition(
    coords: ArrayLike,
    celltypes: ArrayLike,
    samples: ArrayLike,
    *,
    n_neighbors: int | None = None,
    radius: float | None = None,
) -> Neighborhoods:
    """Return the shares of cell types around every observation, without itself and never across samples.

    Nicheformer counts the cells within a radius; shares are used here, so that density is a task of its own.

    Parameters
    ----------
    coords
        Coordinates (n_obs, 2).
    celltypes
        Cell type of every observation (n_obs,).
    samples
        Sample of every observation (n_obs,).
    n_neighbors
        Take this many nearest others (fewer where the sample is smaller). Their number says nothing about density.
    radius
        Take all within this distance, in the unit of the coordinates. Either this or `n_neighbors`.

    Returns
    -------
    Shares (n_obs, n_types), counts of neighbours (n_obs,) and the names of the types.

    Raises
    ------
    InputError
        If both or neither of `n_neighbors` and `radius` are given, coordinates are not finite, or lengths differ.

    Examples
    --------
    >>> import stfmkit as sk
    >>> around = sk.metrics.neighborhood_composition([[0, 0], [1, 0], [2, 0]], ["B", "T", "T"], ["S"] * 3, radius=1)
    >>> around.shares.tolist(), around.counts.tolist()
    ([[0.0, 1.0], [0.5, 0.5], [0.0, 1.0]], [1, 2, 1])
    """
    if (n_neighbors is None) == (radius is None):
        raise InputError(
            f"n_neighbors={n_neighbors!r} and radius={radius!r}.", allowed="one of them", remedy="leave one out."
        )
    xy = table(coords, name="coords").astype(np.float64)
    if xy.shape[1] != 2:
        raise InputError(f"coords of shape {xy.shape}.", allowed="two axes", remedy="pass x and y.")
    codes, types = pd.factorize(check_labels(celltypes, name="celltypes", n=len(xy)), sort=True)
    where = pd.factorize(check_labels(samples, name="samples", n=len(xy)))[0]
    if radius is not None:
        check_positive(radius, name="radius")
        one, other = _within(xy, where, float(radius))
    else:
        check_integer(n_neighbors, name="n_neighbors", least=1)  # type: ignore[arg-type]
        near = knn_within(xy, where, k=int(n_neighbors))  # type: ignore[arg-type]
        one, column = np.nonzero(near >= 0)
        other = near[one, column]
    pairs = np.bincount(one * len(types) + codes[other], minlength=len(xy) * len(types))
    table_of = pairs.reshape(len(xy), len(types)).astype(np.float64)
    counts = table_of.sum(axis=1)
    shares = np.divide(table_of, counts[:, None], out=np.zeros_like(table_of), where=counts[:, None] > 0)
    return Neighborhoods(shares, counts.astype(np.int64), np.asarray(types))


@metric(
    title="Composition R²",
    family="embedding",
    higher_is_better=True,
    bounds=(None, 1),
    chance=0,
    source=_SOURCE,
    summary="R² of predicted shares of surrounding cell types, averaged over types.",
)
def composition_r2(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return R² of the predicted shares of cell types, averaged over types.

    Parameters
    ----------
    truth, predicted
        Shares (n_obs, n_types); `predicted` as it comes from `grouped_ridge`. Types with one share everywhere in the
        truth are left out.

    Returns
    -------
    A number of at most 1; 0 for the mean composition. NaN where no type varies.

    Raises
    ------
    InputError
        If shapes differ, or the rows of `truth` are not shares.

    Examples
    --------
    >>> import stfmkit as sk
    >>> (
    ...     sk.metrics.composition_r2([[1, 0], [0, 1]], [[1, 0], [0, 1]]),
    ...     sk.metrics.composition_r2([[1, 0], [0, 1]], [[0.5, 0.5], [0.5, 0.5]]),
    ... )
    (1.0, 0.0)
    """
    true, guess = _shares(truth, predicted)
    varied = ~constant(true)
    if not varied.any():
        return float("nan")
    spread = ((true - true.mean(axis=0)) ** 2).sum(axis=0)[varied]
    return float((1 - ((true - guess) ** 2).sum(axis=0)[varied] / spread).mean())


@metric(
    title="Composition JS divergence",
    label="Composition JS",
    family="embedding",
    higher_is_better=False,
    bounds=(0, 1),
    chance=None,
    source=_SOURCE,
    summary="Mean Jensen–Shannon divergence in bits of true and predicted shares of surrounding cell types.",
)
def composition_js(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return the Jensen–Shannon divergence of true and predicted shares in bits, averaged over observations.

    Negative predictions count as 0 and rows are brought to a sum of 1; a row without anything positive becomes
    uniform. It is the divergence, not its square root, the distance.

    Parameters
    ----------
    truth, predicted
        Shares (n_obs, n_types), as for `composition_r2`.

    Returns
    -------
    A number in [0, 1]; lower is better.

    Raises
    ------
    InputError
        If shapes differ, or the rows of `truth` are not shares.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.composition_js([[1.0, 0.0]], [[1.0, 0.0]]), sk.metrics.composition_js([[1.0, 0.0]], [[0.0, 1.0]])
    (0.0, 1.0)
    """
    true, guess = _shares(truth, predicted)
    guess = np.clip(guess, 0, None)
    total = guess.sum(axis=1, keepdims=True)
    guess = np.where(total > 0, guess / np.where(total > 0, total, 1.0), 1 / guess.shape[1])
    middle = (true + guess) / 2
    divergence = (_relative_entropy(true, middle) + _relative_entropy(guess, middle)) / 2
    return float(np.clip(divergence, 0, 1).mean())


@metric(
    title="Composition macro F1",
    family="embedding",
    higher_is_better=True,
    bounds=(0, 1),
    chance=None,
    source=_SOURCE,
    summary="Macro F1 of the most frequent surrounding cell type.",
)
def composition_f1(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return the macro F1 of the most frequent cell type around every observation.

    Parameters
    ----------
    truth, predicted
        Shares (n_obs, n_types), as for `composition_r2`. Of equal shares the first type wins.

    Returns
    -------
    A number in [0, 1], averaged over the types that are the most frequent anywhere in the truth.

    Raises
    ------
    InputError
        If shapes differ, or the rows of `truth` are not shares.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.composition_f1([[0.7, 0.3], [0.1, 0.9]], [[0.6, 0.4], [0.2, 0.8]])
    1.0
    """
    true, guess = _shares(truth, predicted)
    return macro_f1(true.argmax(axis=1), guess.argmax(axis=1))


@metric(
    title="Density R²",
    family="embedding",
    higher_is_better=True,
    bounds=(None, 1),
    chance=0,
    source=_SOURCE,
    summary="R² of the predicted number of neighbours within a radius.",
)
def density_r2(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return R² of the predicted density.

    Parameters
    ----------
    truth
        Number of neighbours within a radius (n_obs,), or its logarithm.
    predicted
        Prediction of it (n_obs,).

    Returns
    -------
    A number of at most 1; 0 for the mean. NaN where the density is the same everywhere.

    Raises
    ------
    InputError
        If lengths differ or values are not finite.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.density_r2([1, 2, 3], [1, 2, 3]), sk.metrics.density_r2([1, 2, 3], [2, 2, 2])
    (1.0, 0.0)
    """
    true = vector(truth, name="truth")
    guess = vector(predicted, name="predicted", n=len(true))
    if not len(true) or constant(true[:, None])[0]:
        return float("nan")
    return float(1 - ((true - guess) ** 2).sum() / ((true - true.mean()) ** 2).sum())


def _within(xy: np.ndarray, where: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Return all ordered pairs of one sample that are at most `radius` apart."""
    ones, others = [], []
    for sample in np.unique(where):
        rows = np.flatnonzero(where == sample)
        pairs = cKDTree(xy[rows]).query_pairs(radius, output_type="ndarray")
        ones += [rows[pairs[:, 0]], rows[pairs[:, 1]]]
        others += [rows[pairs[:, 1]], rows[pairs[:, 0]]]
    return np.concatenate(ones), np.concatenate(others)


def _shares(truth: ArrayLike, predicted: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    true, guess = (table(part, name=name) for part, name in ((truth, "truth"), (predicted, "predicted")))
    if true.shape != guess.shape:
        raise InputError(
            f"truth of shape {true.shape}, predicted of shape {guess.shape}.",
            allowed="one shape (observations × types)",
            remedy="bring both to the same observations and types, in the same order.",
        )
    true, guess = true.astype(np.float64), guess.astype(np.float64)
    bad = (true.min(axis=1) < 0) | (np.abs(true.sum(axis=1) - 1) > _SUM)
    if bad.any():
        raise InputError(
            f"{int(bad.sum())} rows of truth that are not shares.",
            allowed="numbers of at least 0 that sum to 1 in every row",
            remedy="leave out observations without neighbours, and divide counts by their sum.",
        )
    return true, guess


def _relative_entropy(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Kullback–Leibler divergence in bits of every row, where q is above 0 wherever p is."""
    held = p > 0
    ratio = np.where(held, p, 1.0) / np.where(held, q, 1.0)
    return np.asarray((p * np.log2(ratio)).sum(axis=1))
