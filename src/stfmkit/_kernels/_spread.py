"""How a gene is spread over observations: unevenly (Gini), and over how much of the tissue."""

import numpy as np
from numba import njit
from scipy import sparse

from stfmkit._kernels._threads import over_spans


def gini(counts: sparse.csr_array) -> np.ndarray:
    """Return the Gini coefficient of every gene over observations, zeros included (n_genes,); NaN without counts.

    ``G = Σ_i (2i - n - 1) x_(i) / (n Σx)`` with x in ascending order: 0 where all carry the same, ``1 - 1 / n`` where
    one observation carries all.

    Parameters
    ----------
    counts
        Counts (n_obs, n_genes), at least 0.
    """
    n, n_genes = counts.shape
    columns = sparse.csc_array(counts)
    starts = columns.indptr

    def part(first: int, last: int) -> np.ndarray:
        return np.concatenate([np.sort(columns.data[starts[g] : starts[g + 1]]) for g in range(first, last)])

    ordered = np.concatenate([np.empty(0), *over_spans(part, n_genes)])
    gene = np.repeat(np.arange(n_genes), np.diff(starts))
    rank = n - starts[gene + 1] + np.arange(1, len(ordered) + 1)  # the zeros come first
    top = np.bincount(gene, weights=ordered * (2.0 * rank - n - 1), minlength=n_genes)
    total = np.bincount(gene, weights=ordered, minlength=n_genes)
    return np.divide(top, n * total, out=np.full(n_genes, np.nan), where=total > 0)


@njit(cache=True, nogil=True)
def _reached(
    span: tuple[int, int], columns: tuple[np.ndarray, np.ndarray], seen_by: tuple[np.ndarray, np.ndarray], n_obs: int
) -> np.ndarray:  # pragma: no cover  compiled
    """Return how many observations detect a gene or have a neighbour that does, for a span of genes."""
    first, last = span
    indptr, indices = columns
    starts, watchers = seen_by
    mark = np.full(n_obs, -1, np.int64)
    out = np.zeros(last - first, np.int64)
    for gene in range(first, last):
        for at in range(indptr[gene], indptr[gene + 1]):
            here = indices[at]
            if mark[here] != gene:
                mark[here] = gene
                out[gene - first] += 1
            for edge in range(starts[here], starts[here + 1]):
                there = watchers[edge]
                if mark[there] != gene:
                    mark[there] = gene
                    out[gene - first] += 1
    return out


def area_frac(counts: sparse.csr_array, graph: sparse.csr_array) -> np.ndarray:
    """Return the share of observations that detect a gene, or have a neighbour in the graph that does (n_genes,).

    It is `detect_frac` after a maximum over one ring of neighbours: near 1 for a gene that is thinly spread over the
    whole tissue, and not much above `detect_frac` for one that is confined to a place.

    Parameters
    ----------
    counts
        Counts (n_obs, n_genes) without explicit zeros.
    graph
        Weights (n_obs, n_obs); row i holds the neighbours of observation i.
    """
    n, n_genes = counts.shape
    columns, neighbors = sparse.csc_array(counts), sparse.csc_array(graph)
    x, w = (columns.indptr, columns.indices), (neighbors.indptr, neighbors.indices)
    reached = over_spans(lambda first, last: _reached((first, last), x, w, n), n_genes)
    return np.concatenate([np.empty(0, dtype=np.int64), *reached]) / n
