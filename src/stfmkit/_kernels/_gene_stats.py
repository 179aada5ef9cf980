"""Statistics of genes from sparse counts: detection, evenness, depth, slide, and all of them per sample."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit._kernels._autocorrelation import joincount_moran, morans_i, residual_moran
from stfmkit._kernels._autocorrelation_null import permutation_null
from stfmkit._kernels._compiled import compiled
from stfmkit._kernels._normalize import median_total, size_factor_log1p, totals
from stfmkit._kernels._thinning import split_half_reliability
from stfmkit._kernels._threads import over_spans

STATISTICS = (
    "detect_frac",
    "area_frac",
    "n_eff",
    "gini",
    "mean_counts",
    "overdispersion",
    "fano",
    "depth_r2",
    "morans_i",
    "morans_i_within_depth",
    "joincount_moran",
    "reliability",
)
"""Statistics that exist per gene and sample."""

MORAN_P = "morans_i_p"
"""Permutation p-value of ``morans_i``, where permutations are asked for."""

PATTERNS = ("morans_i", "morans_i_within_depth", "joincount_moran", "reliability")
"""Statistics of a pattern: undefined for a flat map, and counted as 0 when patients are summarised."""


def column_sum(matrix: sparse.csr_array, *, power: int = 1) -> np.ndarray:
    """Return the sum of the values, or of a power of them, of every column (n_genes,)."""
    return np.bincount(matrix.indices, weights=matrix.data.astype(np.float64) ** power, minlength=matrix.shape[1])


def log1p(counts: sparse.csr_array) -> sparse.csr_array:
    """Return log1p of raw counts as CSR float64, whatever the counts are stored as."""
    return sparse.csr_array((np.log1p(counts.data.astype(np.float64)), counts.indices, counts.indptr), counts.shape)


def detect_frac(counts: sparse.csr_array) -> np.ndarray:
    """Return the share of observations in which a gene is detected (n_genes,)."""
    return np.bincount(counts.indices[counts.data > 0], minlength=counts.shape[1]) / counts.shape[0]


def n_eff(counts: sparse.csr_array) -> np.ndarray:
    """Return the effective share of observations that carry a gene, ``(Σx)² / (n Σx²)`` (n_genes,).

    1 where all carry the same, 1/n where one carries all, 0 without counts.
    """
    squares = column_sum(counts, power=2)
    top = column_sum(counts) ** 2
    return np.divide(top, counts.shape[0] * squares, out=np.zeros(len(top)), where=squares > 0)


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


@compiled(nogil=True)
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


def depth_r2(logged: sparse.csr_array, log_depth: np.ndarray) -> np.ndarray:
    """Return the share of variance of every column that a linear fit on `log_depth` explains (n_genes,).

    NaN for a constant gene or a constant depth.
    """
    n = logged.shape[0]
    centered = log_depth - log_depth.mean()
    length = float(centered @ centered)
    mean = column_sum(logged) / n
    squares = column_sum(logged, power=2)
    spread = squares - n * mean**2
    usable = (spread > 1e-12 * np.maximum(squares, 1e-300)) & (length > 1e-12 * n)
    top = (logged.T @ centered) ** 2
    return np.divide(top, length * spread, out=np.full(len(top), np.nan), where=usable)


def dispersion_given_depth(counts: sparse.csr_array, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the index of dispersion and the overdispersion of every gene against a Poisson of known depth.

    With ``μ_i = d_i Σx / Σd`` the index is ``Σ(x - μ)² / Σμ`` (1 for a Poisson; with equal depths it is CV² over
    the CV² of a Poisson), and the overdispersion is the moment estimate ``φ = (Σ(x - μ)² - Σμ) / Σμ²`` of
    ``var = μ + φμ²``. NaN without counts.
    """
    total, whole = column_sum(counts), float(depth.sum())
    rate = total / whole if whole > 0 else np.zeros(len(total))
    square_depth = float(depth @ depth)
    apart = column_sum(counts, power=2) - 2 * rate * (counts.T @ depth) + rate**2 * square_depth
    index = np.divide(apart, total, out=np.full(len(total), np.nan), where=total > 0)
    bottom = rate**2 * square_depth
    extra = np.divide(apart - total, bottom, out=np.full(len(total), np.nan), where=bottom > 0)
    return index, extra


def group_r2(logged: sparse.csr_array, groups: np.ndarray) -> np.ndarray:
    """Return the share of variance of every column between groups (n_genes,), η² of a one-way layout.

    NaN for a constant gene, and for all genes where there is one group only.

    Parameters
    ----------
    logged
        Expression (n_obs, n_genes).
    groups
        Integer code of the group of every observation (n_obs,).
    """
    n, n_genes = logged.shape
    _, codes = np.unique(groups, return_inverse=True)
    sizes = np.bincount(codes)
    if len(sizes) < 2:
        return np.full(n_genes, np.nan)
    member = sparse.csr_array((np.ones(n), (codes, np.arange(n))), shape=(len(sizes), n))
    sums = (member @ logged).toarray()
    mean = sums.sum(axis=0) / n
    squares = column_sum(logged, power=2)
    spread = squares - n * mean**2
    between = (sums**2 / sizes[:, None]).sum(axis=0) - n * mean**2
    usable = spread > 1e-12 * np.maximum(squares, 1e-300)
    return np.clip(np.divide(between, spread, out=np.full(n_genes, np.nan), where=usable), 0.0, 1.0)


def sample_statistics(
    counts: sparse.csr_array,
    *,
    graph: sparse.csr_array,
    target: float,
    wanted: Iterable[str] = STATISTICS,
    rng: np.random.Generator,
    n_permutations: int | None = None,
) -> dict[str, np.ndarray]:
    """Return the statistics of every gene in one sample, by name (n_genes,) each.

    Parameters
    ----------
    counts
        Raw counts of the sample (n_obs, n_genes).
    graph
        Spatial weights within the sample (n_obs, n_obs).
    target
        Library size that expression is scaled to before log1p.
    wanted
        Names out of :data:`STATISTICS`; only these are computed.
    rng
        Used by the thinning of ``reliability``; permutations have a stream of their own.
    n_permutations
        Random orders for the p-value of ``morans_i``, which is then there as :data:`MORAN_P`.
    """
    wanted = set(wanted)
    depth = totals(counts)
    log_depth = np.log(np.maximum(depth, 1.0))
    found: dict[str, np.ndarray] = {"detect_frac": detect_frac(counts), "n_eff": n_eff(counts)}
    found["mean_counts"] = column_sum(counts) / counts.shape[0]
    found["fano"], found["overdispersion"] = dispersion_given_depth(counts, depth)
    if "gini" in wanted:
        found["gini"] = gini(counts)
    if "area_frac" in wanted:
        found["area_frac"] = area_frac(counts, graph)
    if "depth_r2" in wanted:
        logged = log1p(counts)
        found["depth_r2"] = depth_r2(logged, log_depth)
    if wanted & {"morans_i", "morans_i_within_depth"}:
        values = size_factor_log1p(counts, depth=depth, target=target)
        if "morans_i" in wanted:
            found["morans_i"] = morans_i(values, graph)
        if "morans_i" in wanted and n_permutations is not None:
            found[MORAN_P] = _moran_p(values, graph, observed=found["morans_i"], orders=(n_permutations, rng))
        if "morans_i_within_depth" in wanted:
            found["morans_i_within_depth"] = residual_moran(values, graph, covariate=log_depth)
    if "joincount_moran" in wanted:
        found["joincount_moran"] = joincount_moran(counts, graph)
    if "reliability" in wanted:
        found["reliability"] = split_half_reliability(counts, rng=rng)
    return {name: found[name] for name in (*STATISTICS, MORAN_P) if name in found and name in {*wanted, MORAN_P}}


def _moran_p(
    values: sparse.csr_array, graph: sparse.csr_array, *, observed: np.ndarray, orders: tuple[int, np.random.Generator]
) -> np.ndarray:
    """Return ``(k + 1) / (n + 1)``, k random orders having at least the observed Moran's I; NaN for a flat gene."""
    n, rng = orders
    own = rng.spawn(1)[0]
    null = permutation_null(values, graph, observed=observed, statistic="moran", n_permutations=n, rng=own)
    return np.where(np.isnan(observed), np.nan, (null.at_least + 1) / (n + 1))


def statistics_by_sample(
    counts: sparse.csr_array,
    *,
    samples: np.ndarray,
    graph: sparse.csr_array,
    wanted: Iterable[str] = STATISTICS,
    rng: np.random.Generator,
    measured: np.ndarray | None = None,
    n_permutations: int | None = None,
) -> dict[str, np.ndarray]:
    """Return the statistics of every sample and gene, by name (n_samples, n_genes) each.

    Samples are those of ``np.unique(samples)``, in that order; expression is scaled to the median library size of
    all observations, so that samples agree.

    Parameters
    ----------
    counts
        Raw counts (n_obs, n_genes).
    samples
        Integer code of the sample (n_obs,).
    graph
        Spatial weights (n_obs, n_obs).
    wanted
        Names out of :data:`STATISTICS`.
    rng
        Used by ``reliability`` and by permutations.
    measured
        Whether a sample measures a gene (n_samples, n_genes); NaN where it does not.
    n_permutations
        Random orders in every sample for :data:`MORAN_P`; none where it is left out.
    """
    wanted = tuple(wanted)
    target = median_total(totals(counts))
    order = np.unique(samples)
    names = [*(name for name in STATISTICS if name in wanted), *([] if n_permutations is None else [MORAN_P])]
    found = {name: np.full((len(order), counts.shape[1]), np.nan) for name in names}
    for at, sample in enumerate(order):
        rows = np.flatnonzero(samples == sample)
        one = sparse.csr_array(counts[rows])
        inside = sparse.csr_array(graph[rows][:, rows])
        got = sample_statistics(one, graph=inside, target=target, wanted=wanted, rng=rng, n_permutations=n_permutations)
        for name, values in got.items():
            found[name][at] = values
    if measured is not None:
        for values in found.values():
            values[~measured] = np.nan
    return found


def over_patients(values: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """Return the median over patients of the mean over the samples of a patient (n_genes,); NaN is left out.

    Parameters
    ----------
    values
        One row for every sample (n_samples, n_genes).
    patients
        Patient of every sample (n_samples,).
    """
    mean = pd.DataFrame(values).groupby(np.asarray(patients), sort=True).mean()
    return mean.median(axis=0).to_numpy()


def summarize(
    found: dict[str, np.ndarray], patients: np.ndarray, *, measured: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Return every statistic over patients (n_genes,), by name.

    A flat map in a sample that measures the gene shows no pattern, so the statistics of :data:`PATTERNS` count as 0
    there. Elsewhere what is not defined is left out.

    Parameters
    ----------
    found
        What :func:`statistics_by_sample` returns.
    patients
        Patient of every sample (n_samples,).
    measured
        Whether a sample measures a gene (n_samples, n_genes); all do where it is left out.
    """
    out = {}
    for name, values in found.items():
        if name in PATTERNS:
            flat = np.isnan(values) if measured is None else np.isnan(values) & measured
            values = np.where(flat, 0.0, values)  # noqa: PLW2901  the caller's array stays as it is
        out[name] = over_patients(values, patients)
    return out
