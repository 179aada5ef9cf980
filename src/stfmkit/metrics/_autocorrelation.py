"""Spatial autocorrelation of genes on a graph."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from stfmkit._kernels import _autocorrelation as kernels
from stfmkit.metrics._arrays import constant, read_values, read_weights
from stfmkit.metrics._metric import metric

_GENES = 256  # at a time, so that the lagged values never fill the memory


@metric(
    title="Moran's I",
    family="spatial",
    higher_is_better=None,
    bounds=(None, None),
    chance=0,
    source="Moran 1950, Biometrika 37:17",
    summary="Similarity of neighbours: near 1 for smooth maps, -1/(n-1) expected without structure.",
)
def morans_i(X: ArrayLike | sparse.sparray, graph: sparse.sparray) -> np.ndarray:
    """Return Moran's I of every gene.

    ``I = (n / Σw) · Σ_ij w_ij z_i z_j / Σ_i z_i²`` with ``z = x - mean(x)`` (Moran 1950). The weights are used as they
    are: pass a row-normalised graph to get the values of ``squidpy.gr.spatial_autocorr``, which normalises rows by
    default; ``scanpy.metrics.morans_i`` takes the weights as they are, too.

    Parameters
    ----------
    X
        Values (n_obs, n_genes), dense or sparse; a sparse matrix is not densified.
    graph
        Weights (n_obs, n_obs), sparse, not negative; row i holds the neighbours of observation i.

    Returns
    -------
    One value per gene (n_genes,): near 1 for smooth maps, ``-1 / (n - 1)`` expected without structure, NaN for a
    constant gene.

    Raises
    ------
    InputError
        If shapes differ, values are not finite, or the graph has no edge.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> import stfmkit as sk
    >>> ring = sparse.csr_array(np.roll(np.eye(8), 1, axis=1) + np.roll(np.eye(8), -1, axis=1))
    >>> sk.metrics.morans_i(np.array([[1.0], [1], [1], [1], [0], [0], [0], [0]]), ring)
    array([0.5])
    """
    values, weights = _checked(X, graph)
    if isinstance(values, sparse.csr_array):
        return kernels.morans_i(values, weights)
    cross, _, spread = _dense_sums(values, weights)
    return values.shape[0] / weights.sum() * cross / spread


@metric(
    title="Geary's C",
    family="spatial",
    higher_is_better=None,
    bounds=(0, None),
    chance=1,
    source="Geary 1954, Incorporated Statistician 5:115",
    summary="Squared differences of neighbours: near 0 for smooth maps, 1 expected without structure.",
)
def gearys_c(X: ArrayLike | sparse.sparray, graph: sparse.sparray) -> np.ndarray:
    """Return Geary's C of every gene.

    ``C = (n - 1) / (2 Σw) · Σ_ij w_ij (x_i - x_j)² / Σ_i z_i²`` (Geary 1954), with the weights as they are; see
    `morans_i`.

    Parameters
    ----------
    X
        Values (n_obs, n_genes), dense or sparse; a sparse matrix is not densified.
    graph
        Weights (n_obs, n_obs), sparse, not negative.

    Returns
    -------
    One value per gene (n_genes,): near 0 for smooth maps, 1 expected without structure, NaN for a constant gene.

    Raises
    ------
    InputError
        If shapes differ, values are not finite, or the graph has no edge.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> import stfmkit as sk
    >>> ring = sparse.csr_array(np.roll(np.eye(8), 1, axis=1) + np.roll(np.eye(8), -1, axis=1))
    >>> sk.metrics.gearys_c(np.array([[1.0], [1], [1], [1], [0], [0], [0], [0]]), ring)
    array([0.4375])
    """
    values, weights = _checked(X, graph)
    if isinstance(values, sparse.csr_array):
        return kernels.gearys_c(values, weights)
    cross, squares, spread = _dense_sums(values, weights)
    return (values.shape[0] - 1) / (2 * weights.sum()) * (squares - 2 * cross) / spread


def _checked(
    X: ArrayLike | sparse.sparray, graph: sparse.sparray
) -> tuple[np.ndarray | sparse.csr_array, sparse.csr_array]:
    values = read_values(X)
    return values, read_weights(graph, n=values.shape[0])


def _dense_sums(values: np.ndarray, weights: sparse.csr_array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return Σ w z z, Σ w (z_i² + z_j²) and Σ z² per gene, some genes at a time; NaN spread for a constant gene."""
    both = np.asarray(weights.sum(axis=1)).ravel() + np.asarray(weights.sum(axis=0)).ravel()
    sums = np.empty((3, values.shape[1]))
    for start in range(0, values.shape[1], _GENES):
        part = values[:, start : start + _GENES]
        z = part - part.mean(axis=0)
        spread = np.where(constant(part), np.nan, (z**2).sum(axis=0))
        sums[:, start : start + _GENES] = (z * (weights @ z)).sum(axis=0), both @ z**2, spread
    return sums[0], sums[1], sums[2]
