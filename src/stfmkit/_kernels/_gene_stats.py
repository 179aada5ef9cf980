"""Statistics of genes from sparse counts: detection, evenness, depth, slide, and all of them per sample."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit._core.arguments import check_fraction, check_positive
from stfmkit._kernels._autocorr import joincount_moran, morans_i, residual_moran
from stfmkit._kernels._autocorr_null import permutation_null
from stfmkit._kernels._normalize import median_total, size_factor_log1p, totals
from stfmkit._kernels._spread import area_frac, gini
from stfmkit._kernels._thinning import split_half_reliability

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


@dataclass(frozen=True, kw_only=True)
class GeneLimits:
    """Limits beyond which `gene_sparsity` flags a gene.

    Parameters
    ----------
    min_detect_frac, min_n_eff
        Below either: `too_sparse`.
    flat_detect_frac, flat_moran, flat_fano
        Detected in more than `flat_detect_frac` of the observations, and a Moran's I below `flat_moran` or an index
        of dispersion of at most `flat_fano` (a Poisson has 1): `too_flat`.
    max_depth_r2
        Above: `depth_driven`.
    """

    min_detect_frac: float = 0.05
    min_n_eff: float = 0.02
    flat_detect_frac: float = 0.98
    flat_moran: float = 0.05
    flat_fano: float = 1.1
    max_depth_r2: float = 0.5

    def __post_init__(self) -> None:
        for name in ("min_detect_frac", "min_n_eff", "flat_detect_frac", "max_depth_r2"):
            check_fraction(getattr(self, name), name=name)
        check_positive(self.flat_fano, name="flat_fano")


FLAGGED_BY = ("detect_frac", "n_eff", "fano", "morans_i", "depth_r2")
"""Statistics that the flags read."""


def flags(summary: dict[str, np.ndarray], limits: GeneLimits) -> dict[str, np.ndarray]:
    """Return the flags ``too_sparse``, ``too_flat`` and ``depth_driven`` of every gene (n_genes,) of bool.

    Only a gene that is detected nearly everywhere can be flat: at low counts every gene looks like a Poisson, also
    one with a sharp pattern.
    """
    with np.errstate(invalid="ignore"):
        sparse_ = (summary["detect_frac"] < limits.min_detect_frac) | (summary["n_eff"] < limits.min_n_eff)
        no_pattern = (summary["morans_i"] < limits.flat_moran) | (summary["fano"] <= limits.flat_fano)
        flat = (summary["detect_frac"] > limits.flat_detect_frac) & no_pattern
        depth = summary["depth_r2"] > limits.max_depth_r2
    return {"too_sparse": sparse_, "too_flat": flat, "depth_driven": depth}
