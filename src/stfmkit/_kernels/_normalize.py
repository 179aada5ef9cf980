"""Size factors and log1p on CSR, without densifying."""

import numpy as np
from scipy import sparse


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
