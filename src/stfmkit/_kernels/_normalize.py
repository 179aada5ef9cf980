"""Size factors, log1p and the normalised dispersion of genes on CSR, without densifying."""

import numpy as np
import pandas as pd
from scipy import sparse

_BINS = 20
_DIGITS = 9


def totals(counts: sparse.csr_array) -> np.ndarray:
    """Return the counts of every observation (n_obs,), as float64."""
    return np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()


def median_total(depth: np.ndarray) -> float:
    """Return the median of the positive totals; 1 where there is none."""
    positive = depth[depth > 0]
    return float(np.median(positive)) if positive.size else 1.0


def size_factor_log1p(counts: sparse.csr_array, *, depth: np.ndarray, target: float | np.ndarray) -> sparse.csr_array:
    """Return ``log1p(counts / depth * target)`` as CSR float64 (n_obs, n_genes).

    The share is divided out first, and rounded once: 1 of 50 and 3 of 150 are one number, and so are their logarithms.
    A factor ``target / depth``, rounded before, would break such ties.

    Parameters
    ----------
    counts
        Raw counts (n_obs, n_genes).
    depth
        Library size of every observation (n_obs,); rows with depth 0 stay 0.
    target
        The library size that all are scaled to, or that of every observation (n_obs,), fixed by the caller so that
        training and test agree.
    """
    n_values = np.diff(counts.indptr)
    data = counts.data / np.repeat(np.where(depth > 0, depth, np.inf), n_values)
    data *= target if np.ndim(target) == 0 else np.repeat(target, n_values)
    return sparse.csr_array((np.log1p(data, out=data), counts.indices, counts.indptr), shape=counts.shape)


def on_scale(counts: sparse.csr_array, *, scale: str, depth: np.ndarray, target: float) -> sparse.csr_array:
    """Return counts on the scale "size_factor_log1p" or "log1p" as CSR float64 (n_obs, n_genes)."""
    if scale == "log1p":
        return sparse.csr_array(np.log1p(counts.astype(np.float64)))
    return size_factor_log1p(counts, depth=depth, target=target)


def normalized_dispersion(logged: sparse.csr_array) -> np.ndarray:
    """Return the normalised dispersion of every gene (n_genes,), larger for more variable genes.

    The method is that of Satija et al. 2015 (Nat Biotechnol 33:495) as scanpy's flavor "seurat" has it: dispersion
    = variance / mean of the un-logged values, logged, z-scored within 20 equal-width bins of the logged mean; a gene
    alone in its bin gets 1. Genes without counts get -inf.

    Parameters
    ----------
    logged
        Size-factor log1p expression (n_obs, n_genes).
    """
    n = logged.shape[0]
    values = sparse.csr_array((np.expm1(logged.data), logged.indices, logged.indptr), shape=logged.shape)
    mean = np.asarray(values.sum(axis=0)).ravel() / n
    squares = sparse.csr_array((values.data**2, values.indices, values.indptr), shape=values.shape)
    variance = (np.asarray(squares.sum(axis=0)).ravel() / n - mean**2) * n / max(n - 1, 1)
    mean[mean == 0] = 1e-12
    dispersion = variance / mean
    dispersion[dispersion <= 0] = np.nan
    table = pd.DataFrame({"mean": np.log1p(mean), "dispersion": np.log(dispersion)})
    bins = pd.cut(table["mean"], bins=_BINS)
    grouped = table.groupby(bins, observed=True)["dispersion"]
    center, spread = grouped.transform("mean"), grouped.transform("std")
    alone = spread.isna()
    spread = spread.mask(alone, center)
    center = center.mask(alone, 0.0)
    score = ((table["dispersion"] - center) / spread).to_numpy(copy=True)
    score[np.isnan(score)] = -np.inf
    return np.asarray(np.round(score, _DIGITS))  # two genes of a bin are ±1/√2 in every bin: such ties stay ties
