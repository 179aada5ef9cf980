"""What Moran's I and Geary's C are without spatial structure: moments by formula, and values by permutation."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy import sparse

from stfmkit._kernels._autocorrelation import (
    CSR,
    Sums,
    geary_of,
    moran_of,
    pairs_of,
    parts_of,
    sides_of,
    sums_of,
    total_weight,
)
from stfmkit._kernels._compiled import compiled
from stfmkit._kernels._threads import over_spans

_BLOCK = 64  # permutations at a time, so that what is held does not grow with their number
_TIE = 1e-10  # a permuted value this close to the observed one, as a share, is a tie and not below it

STATISTICS: dict[str, Callable[[Sums, int, float], np.ndarray]] = {"moran": moran_of, "geary": geary_of}
"""The two statistics, from the sums of a gene, the number of observations and the total weight."""


class Weights(NamedTuple):
    """Moments of a graph: ``S0 = Σw``, ``S1 = Σ(w_ij + w_ji)² / 2``, ``S2 = Σ_i(w_i. + w_.i)²``, and its size."""

    s0: float
    s1: float
    s2: float
    n: int


def weight_moments(graph: sparse.csr_array) -> Weights:
    """Return the moments of a graph that the variances are made of."""
    both = sparse.csr_array(graph + graph.T)
    return Weights(
        total_weight(graph), float((both.data**2).sum()) / 2, float((sides_of(graph) ** 2).sum()), graph.shape[0]
    )


def expectation(statistic: str, n: int) -> float:
    """Return the value that is expected without structure: -1 / (n - 1) for Moran's I, 1 for Geary's C."""
    return -1.0 / (n - 1) if statistic == "moran" else 1.0


def variance_normal(statistic: str, w: Weights) -> float:
    """Return the variance if values were drawn from one normal distribution (Cliff and Ord 1981)."""
    n, s02 = w.n, w.s0**2
    if statistic == "moran":
        return (n**2 * w.s1 - n * w.s2 + 3 * s02) / ((n**2 - 1) * s02) - 1.0 / (n - 1) ** 2
    return ((2 * w.s1 + w.s2) * (n - 1) - 4 * s02) / (2 * (n + 1) * s02)


def variance_random(statistic: str, w: Weights, kurtosis: np.ndarray) -> np.ndarray:
    """Return the variance over all orders of the values of a gene (n_genes,) (Cliff and Ord 1981).

    Parameters
    ----------
    statistic
        ``"moran"`` or ``"geary"``.
    w
        Moments of a graph without loops, of at least four observations.
    kurtosis
        ``n Σz⁴ / (Σz²)²`` of every gene (n_genes,).
    """
    n, s02 = w.n, w.s0**2
    if statistic == "moran":
        plain = n * ((n**2 - 3 * n + 3) * w.s1 - n * w.s2 + 3 * s02)
        top = plain - kurtosis * ((n**2 - n) * w.s1 - 2 * n * w.s2 + 6 * s02)
        return np.asarray(top / ((n - 1) * (n - 2) * (n - 3) * s02) - 1.0 / (n - 1) ** 2)
    first = (n - 1) * w.s1 * (n**2 - 3 * n + 3 - (n - 1) * kurtosis)
    second = (n - 1) * w.s2 * (n**2 + 3 * n - 6 - (n**2 - n + 2) * kurtosis) / 4
    third = s02 * (n**2 - 3 - (n - 1) ** 2 * kurtosis)
    return np.asarray((first - second + third) / (n * (n - 2) * (n - 3) * s02))


@compiled(nogil=True)
def _moments_of_rows(span: tuple[int, int], x: CSR, mean: np.ndarray) -> np.ndarray:  # pragma: no cover  compiled
    """Return the number of stored values, Σz² and Σz⁴ of every gene (n_genes, 3) over a span of rows."""
    data, indices, indptr = x
    out = np.zeros((len(mean), 3))
    for at in range(indptr[span[0]], indptr[span[1]]):
        gene = indices[at]
        square = (data[at] - mean[gene]) ** 2
        out[gene, 0] += 1
        out[gene, 1] += square
        out[gene, 2] += square * square
    return out


def kurtosis_of(values: sparse.csr_array) -> np.ndarray:
    """Return ``n Σz⁴ / (Σz²)²`` of every column, zeros included and not written down (n_genes,); NaN if constant."""
    n, n_genes = values.shape
    mean = np.bincount(values.indices, weights=values.data, minlength=n_genes) / n
    x = parts_of(values)
    found = np.zeros((n_genes, 3))
    for part in over_spans(lambda start, stop: _moments_of_rows((start, stop), x, mean), n):
        found += part
    stored, second, fourth = found.T
    second, fourth = second + (n - stored) * mean**2, fourth + (n - stored) * mean**4
    return np.divide(n * fourth, second**2, out=np.full(n_genes, np.nan), where=second > 0)


@compiled(nogil=True)
def _sums_of_order(
    order: np.ndarray, graph: tuple[CSR, np.ndarray], x: CSR, n_genes: int
) -> np.ndarray:  # pragma: no cover  compiled
    """Return Σ(side·x), Σ(side·x²) and x'Wx of every gene (3, n_genes), row `order[i]` standing at place i."""
    sums, lag = np.zeros((n_genes, 3)), np.zeros(n_genes)
    (weights, others, starts), sides = graph
    data, indices, indptr = x
    for i in range(len(order)):
        row = order[i]
        if indptr[row] == indptr[row + 1]:
            continue
        for edge in range(starts[i], starts[i + 1]):
            other = order[others[edge]]
            for at in range(indptr[other], indptr[other + 1]):
                lag[indices[at]] += weights[edge] * data[at]
        for at in range(indptr[row], indptr[row + 1]):
            gene, value = indices[at], np.float64(data[at])
            sums[gene, 0] += value * sides[i]
            sums[gene, 1] += value * value * sides[i]
            sums[gene, 2] += value * lag[gene]
        lag[:] = 0.0
    return sums.T


def permuted(
    values: sparse.csr_array,
    graph: sparse.csr_array,
    *,
    statistic: str,
    n_permutations: int,
    rng: np.random.Generator,
) -> Iterator[np.ndarray]:
    """Yield blocks (n_block, n_genes) of the statistic with the observations put in random order.

    One order serves all genes, and the orders do not depend on the number of threads.

    Parameters
    ----------
    values
        Expression (n_obs, n_genes), without duplicated entries.
    graph
        Weights (n_obs, n_obs).
    statistic
        ``"moran"`` or ``"geary"``.
    n_permutations
        How many orders in all.
    """
    n, n_genes = values.shape
    plain, weight = sums_of(values, graph), total_weight(graph)
    w, sides, x = parts_of(pairs_of(graph)), sides_of(graph), parts_of(values)

    def one(order: np.ndarray) -> np.ndarray:
        side, square_side, cross = _sums_of_order(order, (w, sides), x, n_genes)
        sums = plain._replace(sides=side, square_sides=square_side, cross=cross)
        return STATISTICS[statistic](sums, n, weight)

    for start in range(0, n_permutations, _BLOCK):
        orders = [rng.permutation(n).astype(np.uint32) for _ in range(min(_BLOCK, n_permutations - start))]
        found = over_spans(lambda a, b, orders=orders: [one(o) for o in orders[a:b]], len(orders))  # type: ignore[misc]
        yield np.stack([values for part in found for values in part])


class Permuted(NamedTuple):
    """What permutations say of every gene (n_genes,): how many reach the observed value, their mean and variance."""

    n: int
    at_least: np.ndarray
    at_most: np.ndarray
    mean: np.ndarray
    variance: np.ndarray


def permutation_null(
    values: sparse.csr_array,
    graph: sparse.csr_array,
    *,
    observed: np.ndarray,
    statistic: str,
    n_permutations: int,
    rng: np.random.Generator,
) -> Permuted:
    """Return how the observed values stand among permuted ones; a tie counts for both sides.

    Parameters
    ----------
    observed
        The statistic of every gene (n_genes,).
    """
    center = expectation(statistic, values.shape[0])
    margin = _TIE * np.maximum(1.0, np.abs(observed))
    counts, sums = np.zeros((2, len(observed)), dtype=np.int64), np.zeros((2, len(observed)))
    blocks = permuted(values, graph, statistic=statistic, n_permutations=n_permutations, rng=rng)
    for block in blocks:
        counts += (block >= observed - margin).sum(axis=0), (block <= observed + margin).sum(axis=0)
        apart = block - center
        sums += apart.sum(axis=0), (apart**2).sum(axis=0)
    first, second = sums / n_permutations
    return Permuted(n_permutations, counts[0], counts[1], center + first, np.maximum(second - first**2, 0.0))
