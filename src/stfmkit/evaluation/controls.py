"""Predictions that know the answer, or nothing: what a sound metric must put first, and what it must put last."""

from typing import TypeAlias

import numpy as np
from scipy import sparse

Matrix: TypeAlias = np.ndarray | sparse.csr_array

NOISE = 0.25
"""Standard deviation of the noise on the one-hot labels that stand for the truth."""
_FEATURES = 50
_DRAWN = 2000
_BITS = 16


def training_mean(train: np.ndarray, n_obs: int) -> np.ndarray:
    """Return the mean of every column of the training values, for every observation (n_obs, n_columns)."""
    return np.tile(train.mean(axis=0), (n_obs, 1))


def covariance_draws(train: np.ndarray, n_obs: int, *, rng: np.random.Generator) -> np.ndarray:
    """Return normal draws with mean and covariance of the training values (n_obs, n_columns).

    They know how genes vary together in training, and nothing of any observation.
    """
    centred = train - train.mean(axis=0)
    spread, basis = np.linalg.eigh(centred.T @ centred / max(len(train) - 1, 1))
    root = basis * np.sqrt(np.maximum(spread, 0))
    return np.asarray(train.mean(axis=0) + rng.normal(size=(n_obs, len(spread))) @ root.T)


def majority(train: np.ndarray, n_obs: int) -> np.ndarray:
    """Return the most frequent label of training, for every observation (n_obs,); of equals the first by name."""
    names, counts = np.unique(train, return_counts=True)
    return np.full(n_obs, names[np.argmax(counts)])


def shuffled(values: np.ndarray, samples: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Return values with the observations of every column permuted within samples, each column in its own way.

    Parameters
    ----------
    values
        One column (n_obs,), such as labels, or several (n_obs, n_columns), such as genes.
    samples
        Sample of every observation (n_obs,).
    """
    out = np.array(values)
    for sample in np.unique(samples):
        rows = np.flatnonzero(samples == sample)
        out[rows] = rng.permutation(values[rows]) if values.ndim == 1 else rng.permuted(values[rows], axis=0)
    return out


def noisy_labels(codes: np.ndarray, *, rng: np.random.Generator, noise: float = NOISE) -> np.ndarray:
    """Return an embedding that knows the labels: one column for every label, 1 or 0, and noise (n_obs, n_labels).

    Parameters
    ----------
    codes
        Code of the label of every observation (n_obs,), from 0; -1 where there is none.
    rng
        Draws the noise.
    noise
        Standard deviation of the noise.
    """
    n_labels = int(codes.max()) + 1
    one_hot = np.eye(n_labels + 1)[codes, :-1]  # -1 is the last row, whose 1 is cut off
    return np.asarray(one_hot + rng.normal(0, noise, size=one_hot.shape))


def shuffled_sparse(values: Matrix, samples: np.ndarray, *, rng: np.random.Generator) -> sparse.csr_array:
    """Return the same as `shuffled` for a sparse matrix (n_obs, n_genes), without densifying."""
    columns = _columns(values)
    for gene in range(columns.shape[1]):
        part = slice(columns.indptr[gene], columns.indptr[gene + 1])
        columns.indices[part] = _permutation_within(samples, rng)[columns.indices[part]]
    columns.has_sorted_indices = False
    return sparse.csr_array(columns)


def rotated(values: Matrix, samples: np.ndarray, *, coords: np.ndarray, rng: np.random.Generator) -> sparse.csr_array:
    """Return the matrix with the map of every gene shifted along a path through its sample, each gene by its own step.

    The path visits neighbours one after the other (Hilbert's curve) and is closed to a ring, so that a map keeps its
    values and most of its autocorrelation, and what genes have in common by place is gone.
    """
    columns = _columns(values)
    path = np.lexsort((_hilbert(coords, samples), samples))  # sample by sample
    size = np.bincount(samples)
    start = np.cumsum(size) - size
    place = np.empty(len(path), dtype=np.int64)
    place[path] = np.arange(len(path)) - start[samples[path]]
    steps = rng.integers(size[:, None], size=(len(size), columns.shape[1]))
    gene = np.repeat(np.arange(columns.shape[1]), np.diff(columns.indptr))
    sample = samples[columns.indices]
    moved = (place[columns.indices] + steps[sample, gene]) % size[sample]
    columns.indices = path[start[sample] + moved].astype(columns.indices.dtype)
    columns.has_sorted_indices = False
    return sparse.csr_array(columns)


def random_features(values: Matrix, *, rng: np.random.Generator) -> np.ndarray:
    """Return what ridge predicts from random features that it was trained on (n_drawn, n_genes).

    The weights are regressions of every gene on the same noise, so that they covary as the genes do in training: a
    prediction that knows nothing of an observation has the co-expression of the training data.
    """
    n = values.shape[0]
    features = rng.normal(size=(n, _FEATURES))
    features -= features.mean(axis=0)
    cross = np.asarray((values.T @ features).T)
    weights = np.linalg.solve(features.T @ features + np.eye(_FEATURES), cross)
    return np.asarray(rng.normal(size=(min(max(n, 2), _DRAWN), _FEATURES)) @ weights)


def _columns(values: Matrix) -> sparse.csc_array:
    return sparse.csc_array(values, copy=True)


def _permutation_within(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a random permutation (n_obs,) that maps every sample to itself."""
    order = np.argsort(samples, kind="stable")
    drawn = np.lexsort((rng.random(len(samples)), samples))
    target = np.empty(len(samples), dtype=np.int64)
    target[order] = drawn
    return target


def _hilbert(coords: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Return the place of every observation on the curve of Hilbert (1891, Math Ann 38:459) through its sample."""
    low = np.full((samples.max() + 1, 2), np.inf)
    high = -low
    np.minimum.at(low, samples, coords)
    np.maximum.at(high, samples, coords)
    side = (high - low).max(axis=1)
    side[side == 0] = 1.0
    last = 2**_BITS - 1
    x, y = ((coords - low[samples]) / side[samples, None] * last).astype(np.int64).T
    code = np.zeros(len(coords), dtype=np.int64)
    for bit in reversed(range(_BITS)):  # from the largest quadrants to the smallest
        right, upper = (x >> bit) & 1, (y >> bit) & 1
        code += ((3 * right) ^ upper) << (2 * bit)
        mirrored = (right & (1 - upper)).astype(bool)
        x, y = np.where(mirrored, last - x, x), np.where(mirrored, last - y, y)
        x, y = np.where(upper, x, y), np.where(upper, y, x)
    return code
