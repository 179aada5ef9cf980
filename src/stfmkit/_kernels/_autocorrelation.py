"""Spatial autocorrelation of many sparse genes on one sparse graph, nothing densified."""

from typing import NamedTuple, TypeAlias

import numpy as np
from scipy import sparse

from stfmkit._kernels._compiled import compiled
from stfmkit._kernels._threads import over_spans

CSR: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]

_FLOATS = (np.float32, np.float64)


@compiled(nogil=True)
def _sums_of_rows(
    span: tuple[int, int], graph: tuple[CSR, np.ndarray], x: CSR, n_genes: int
) -> np.ndarray:  # pragma: no cover  compiled
    """Return the sums of :class:`Sums` (n_genes, 5) over a span of rows.

    What the neighbours of one row have in sum is all that is ever dense.
    """
    sums, lag = np.zeros((n_genes, 5)), np.zeros(n_genes)
    (weights, others, starts), sides = graph
    data, indices, indptr = x
    for i in range(span[0], span[1]):
        if indptr[i] == indptr[i + 1]:
            continue
        for edge in range(starts[i], starts[i + 1]):
            for at in range(indptr[others[edge]], indptr[others[edge] + 1]):
                lag[indices[at]] += weights[edge] * data[at]
        for at in range(indptr[i], indptr[i + 1]):
            gene, value = indices[at], np.float64(data[at])
            sums[gene, 0] += value
            sums[gene, 1] += value * value
            sums[gene, 2] += value * sides[i]
            sums[gene, 3] += value * value * sides[i]
            sums[gene, 4] += value * lag[gene]
        lag[:] = 0.0
    return sums


def pairs_of(graph: sparse.csr_array) -> sparse.csr_array:
    """Return the graph with both directions of an edge added up at the first of its ends, and loops as they are."""
    tidy = graph.sorted_indices()
    upper = sparse.triu(tidy, k=0, format="csr") + sparse.tril(tidy, k=-1, format="csr").T
    return sparse.csr_array(upper, dtype=np.float64)


def parts_of(matrix: sparse.csr_array) -> CSR:
    """Return data, indices and indptr; unsigned, as a sign costs the compiled loop a branch for every index."""
    data = matrix.data if matrix.data.dtype in _FLOATS else matrix.data.astype(np.float64)
    return data, _unsigned(matrix.indices), _unsigned(matrix.indptr)


def _unsigned(index: np.ndarray) -> np.ndarray:
    return index.view(np.uint64 if index.itemsize == 8 else np.uint32)


def total_weight(graph: sparse.csr_array) -> float:
    """Return Σw; ``graph.sum()`` would sort the caller's arrays in place, and move the last bit of the next result."""
    return float(graph.data.sum())


def sides_of(graph: sparse.csr_array) -> np.ndarray:
    """Return the weight that leaves and enters every observation (n_obs,)."""
    ones = np.ones(graph.shape[0])
    return np.asarray(graph @ ones + graph.T @ ones, dtype=np.float64)


class Sums(NamedTuple):
    """What Moran's I and Geary's C are made of, for every gene (n_genes,).

    Attributes
    ----------
    total, squares
        Σx and Σx².
    sides, square_sides
        Σ s·x and Σ s·x², s being the weight that leaves and enters an observation.
    cross
        ``x' W x``.
    """

    total: np.ndarray
    squares: np.ndarray
    sides: np.ndarray
    square_sides: np.ndarray
    cross: np.ndarray


def sums_of(values: sparse.csr_array, graph: sparse.csr_array) -> Sums:
    """Return the sums of every gene in float64, the same bits whatever the number of threads.

    Parameters
    ----------
    values
        Expression (n_obs, n_genes), without duplicated entries.
    graph
        Weights W (n_obs, n_obs).
    """
    pairs, sides = pairs_of(graph), sides_of(graph)
    w, x, n_genes = parts_of(pairs), parts_of(values), values.shape[1]

    def part(start: int, stop: int) -> np.ndarray:
        return _sums_of_rows((start, stop), (w, sides), x, n_genes)

    total = np.zeros((n_genes, 5))
    for found in over_spans(part, values.shape[0]):
        total += found
    return Sums(*total.T.copy())


def quadratic_form(values: sparse.csr_array, graph: sparse.csr_array) -> np.ndarray:
    """Return ``x' W x`` of every column x of `values` (n_genes,), in float64.

    Parameters
    ----------
    values
        Expression (n_obs, n_genes), without duplicated entries.
    graph
        Weights W (n_obs, n_obs).
    """
    return sums_of(values, graph).cross


def row_stochastic(graph: sparse.csr_array) -> sparse.csr_array:
    """Return the graph with rows that sum to 1 (n_obs, n_obs); rows without edges stay empty."""
    weight = np.asarray(graph.sum(axis=1), dtype=np.float64).ravel()
    scale = np.divide(1.0, weight, out=np.zeros(len(weight)), where=weight > 0)
    return sparse.csr_array(sparse.diags_array(scale) @ graph)


def _moments(sums: Sums, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the sum of squared deviations of every column; 0 where rounding is all there is."""
    mean = sums.total / n
    spread = sums.squares - n * mean**2
    spread[spread <= 1e-12 * np.maximum(sums.squares, 1e-300)] = 0.0
    return mean, spread


def moran_of(sums: Sums, n: int, weight: float) -> np.ndarray:
    """Return Moran's I (n_genes,) from the sums of every gene over `n` observations and the total weight."""
    mean, spread = _moments(sums, n)
    return _ratio(n * (sums.cross - mean * sums.sides + mean**2 * weight), weight * spread)


def geary_of(sums: Sums, n: int, weight: float) -> np.ndarray:
    """Return Geary's C (n_genes,) from the sums of every gene over `n` observations and the total weight."""
    _, spread = _moments(sums, n)
    return _ratio((n - 1) * (sums.square_sides - 2 * sums.cross), 2 * weight * spread)


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
    return moran_of(sums_of(values, graph), values.shape[0], total_weight(graph))


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
    return geary_of(sums_of(values, graph), values.shape[0], total_weight(graph))


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
    centered = covariate - covariate.mean()
    length = float(centered @ centered)
    if length <= 1e-12 * n:
        return morans_i(values, graph)
    sums = sums_of(values, graph)
    mean, spread = _moments(sums, n)
    slope = (values.T @ centered) / length
    left = spread - slope**2 * length
    left[left <= 1e-10 * np.maximum(spread, 1e-300)] = 0.0
    design = np.column_stack([np.ones(n), centered])
    weighted = graph @ design
    both = weighted + graph.T @ design  # (W + W') Z
    fit = np.vstack([mean, slope])
    cross = sums.cross - ((values.T @ both).T * fit).sum(axis=0)
    cross = cross + np.einsum("ig,ij,jg->g", fit, design.T @ weighted, fit)
    return _ratio(n * cross, total_weight(graph) * left)


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)
