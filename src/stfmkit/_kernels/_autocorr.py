"""Spatial autocorrelation of many sparse genes on one sparse graph, nothing densified."""

import numpy as np
from numba import njit
from scipy import sparse


@njit(cache=True)
def _add_products(
    sums: tuple[np.ndarray, np.ndarray], weights: np.ndarray, others: np.ndarray, x: tuple[np.ndarray, ...]
) -> None:  # pragma: no cover  compiled
    """Add the products of one dense row with its neighbours, gene by gene."""
    total, row = sums
    data, indices, indptr = x
    for edge in range(len(others)):
        for at in range(indptr[others[edge]], indptr[others[edge] + 1]):
            total[indices[at]] += weights[edge] * row[indices[at]] * data[at]


@njit(cache=True)
def _quadratic(
    w: tuple[np.ndarray, ...], x: tuple[np.ndarray, ...], n_genes: int
) -> np.ndarray:  # pragma: no cover  compiled
    """Return x' W x of every column; one row of genes is all that is ever dense."""
    total, row = np.zeros(n_genes), np.zeros(n_genes)
    w_data, w_indices, w_indptr = w
    data, indices, indptr = x
    for i in range(len(w_indptr) - 1):
        start, stop, first, last = indptr[i], indptr[i + 1], w_indptr[i], w_indptr[i + 1]
        if start == stop or first == last:
            continue
        for at in range(start, stop):
            row[indices[at]] = data[at]
        _add_products((total, row), w_data[first:last], w_indices[first:last], x)
        for at in range(start, stop):
            row[indices[at]] = 0.0
    return total


def quadratic_form(values: sparse.csr_array, graph: sparse.csr_array) -> np.ndarray:
    """Return ``x' W x`` of every column x of `values` (n_genes,), in float64.

    Parameters
    ----------
    values
        Expression (n_obs, n_genes), without duplicated entries.
    graph
        Weights W (n_obs, n_obs).
    """
    left, right = graph.astype(np.float64), values.astype(np.float64)
    return _quadratic(
        (left.data, left.indices, left.indptr), (right.data, right.indices, right.indptr), values.shape[1]
    )


def row_stochastic(graph: sparse.csr_array) -> sparse.csr_array:
    """Return the graph with rows that sum to 1 (n_obs, n_obs); rows without edges stay empty."""
    weight = np.asarray(graph.sum(axis=1), dtype=np.float64).ravel()
    scale = np.divide(1.0, weight, out=np.zeros(len(weight)), where=weight > 0)
    return sparse.csr_array(sparse.diags_array(scale) @ graph)


def _moments(values: sparse.csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the sum of squared deviations of every column; 0 where rounding is all there is."""
    n = values.shape[0]
    mean = np.asarray(values.sum(axis=0), dtype=np.float64).ravel() / n
    squares = _column_sum(values.data.astype(np.float64) ** 2, values)
    spread = squares - n * mean**2
    spread[spread <= 1e-12 * np.maximum(squares, 1e-300)] = 0.0
    return mean, spread


def _column_sum(data: np.ndarray, like: sparse.csr_array) -> np.ndarray:
    return np.bincount(like.indices, weights=data, minlength=like.shape[1])


def morans_i(values: sparse.csr_array, graph: sparse.csr_array) -> np.ndarray:
    """Return Moran's I of every gene (n_genes,), NaN for a constant gene or a graph without edges.

    ``I = n / ΣW · z' W z / z' z`` with z the deviation from the mean (Moran 1950, Biometrika 37:17).

    Parameters
    ----------
    values
        Expression (n_obs, n_genes).
    graph
        Weights (n_obs, n_obs); row-stochastic weights give the usual "W" style.
    """
    n = values.shape[0]
    mean, spread = _moments(values)
    weight = float(graph.sum())
    sides = np.asarray(graph.sum(axis=0)).ravel() + np.asarray(graph.sum(axis=1)).ravel()
    cross = quadratic_form(values, graph) - mean * (values.T @ sides) + mean**2 * weight
    return _ratio(n * cross, weight * spread)


def gearys_c(values: sparse.csr_array, graph: sparse.csr_array) -> np.ndarray:
    """Return Geary's C of every gene (n_genes,), NaN for a constant gene or a graph without edges.

    ``C = (n - 1) Σ w_ij (x_i - x_j)² / (2 ΣW z' z)`` (Geary 1954, Incorporated Statistician 5:115).

    Parameters
    ----------
    values
        Expression (n_obs, n_genes).
    graph
        Weights (n_obs, n_obs).
    """
    n = values.shape[0]
    _, spread = _moments(values)
    sides = np.asarray(graph.sum(axis=0)).ravel() + np.asarray(graph.sum(axis=1)).ravel()
    squared = values.copy()
    squared.data = squared.data.astype(np.float64) ** 2
    apart = squared.T @ sides - 2 * quadratic_form(values, graph)
    return _ratio((n - 1) * apart, 2 * float(graph.sum()) * spread)


def joincount_moran(values: sparse.csr_array, graph: sparse.csr_array) -> np.ndarray:
    """Return Moran's I of the binary detection map of every gene (n_genes,).

    It counts how often both ends of an edge detect the gene, against what the detection rate alone gives; NaN for a
    gene that is detected nowhere or everywhere.

    Parameters
    ----------
    values
        Counts (n_obs, n_genes) without explicit zeros.
    graph
        Weights (n_obs, n_obs).
    """
    detected = sparse.csr_array((np.ones(len(values.data)), values.indices, values.indptr), shape=values.shape)
    return morans_i(detected, graph)


def residual_moran(values: sparse.csr_array, graph: sparse.csr_array, *, covariate: np.ndarray) -> np.ndarray:
    """Return Moran's I of the residuals of every gene on an intercept and one covariate (n_genes,).

    The residuals are never formed: with the fit ``f = Z b`` the numerator is ``x' W x - f' (W + W') x + f' W f``.

    Parameters
    ----------
    values
        Expression (n_obs, n_genes).
    graph
        Weights (n_obs, n_obs).
    covariate
        The variable to take out (n_obs,), such as log library size.
    """
    n = values.shape[0]
    mean, spread = _moments(values)
    centered = covariate - covariate.mean()
    length = float(centered @ centered)
    if length <= 1e-12 * n:
        return morans_i(values, graph)
    slope = (values.T @ centered) / length
    left = spread - slope**2 * length
    left[left <= 1e-10 * np.maximum(spread, 1e-300)] = 0.0
    design = np.column_stack([np.ones(n), centered])
    weighted = graph @ design
    both = weighted + graph.T @ design  # (W + W') Z
    fit = np.vstack([mean, slope])
    cross = quadratic_form(values, graph)
    cross = cross - ((values.T @ both).T * fit).sum(axis=0)
    cross = cross + np.einsum("ig,ij,jg->g", fit, design.T @ weighted, fit)
    return _ratio(n * cross, float(graph.sum()) * left)


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)
