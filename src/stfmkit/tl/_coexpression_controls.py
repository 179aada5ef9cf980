"""Controls of co-expression: what a sound score must put at the bottom, and what is the best to expect."""

import numpy as np
from scipy import sparse

from stfmkit._kernels._normalize import median_total, size_factor_log1p, totals
from stfmkit._kernels._thinning import thin

_FEATURES = 50
_DRAWN = 2000
_BITS = 16


def halves(
    counts: sparse.csr_array, genes: np.ndarray, *, rng: np.random.Generator
) -> tuple[list[sparse.csr_array], list[np.ndarray]]:
    """Return two independent halves of the molecules as size-factor log1p of some genes, and their library sizes."""
    values, depths = [], []
    for half in thin(counts, rng=rng):
        depth = totals(half)
        logged = size_factor_log1p(half, depth=depth, target=median_total(depth))
        values.append(logged[:, genes])
        depths.append(depth)
    return values, depths


def permuted(
    values: np.ndarray | sparse.csr_array, samples: np.ndarray, *, rng: np.random.Generator
) -> sparse.csr_array:
    """Return the matrix with the observations of every gene mixed up within samples, each gene in its own way."""
    columns = _columns(values)
    for gene in range(columns.shape[1]):
        part = slice(columns.indptr[gene], columns.indptr[gene + 1])
        columns.indices[part] = _mixed(samples, rng)[columns.indices[part]]
    columns.has_sorted_indices = False
    return sparse.csr_array(columns)


def rotated(
    values: np.ndarray | sparse.csr_array, samples: np.ndarray, *, coords: np.ndarray, rng: np.random.Generator
) -> sparse.csr_array:
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


def random_prediction(values: np.ndarray | sparse.csr_array, *, rng: np.random.Generator) -> np.ndarray:
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


def _columns(values: np.ndarray | sparse.csr_array) -> sparse.csc_array:
    return sparse.csc_array(values, copy=True)


def _mixed(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a random permutation that maps every sample to itself."""
    order = np.argsort(samples, kind="stable")
    mixed = np.lexsort((rng.random(len(samples)), samples))
    target = np.empty(len(samples), dtype=np.int64)
    target[order] = mixed
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
    for bit in reversed(range(_BITS)):
        right, upper = (x >> bit) & 1, (y >> bit) & 1
        code += ((3 * right) ^ upper) << (2 * bit)
        mirrored = (right & (1 - upper)).astype(bool)
        x, y = np.where(mirrored, last - x, x), np.where(mirrored, last - y, y)
        x, y = np.where(upper, x, y), np.where(upper, y, x)
    return code
