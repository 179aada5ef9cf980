"""A test of spatial pattern in the manner of SPARK-X: projections of sparse counts on functions of the coordinates."""

import numpy as np
from scipy import sparse
from scipy.stats import norm

from stfmkit._kernels._combine_p import log_cauchy

_QUANTILES = (0.2, 0.4, 0.6, 0.8, 1.0)
_RANK = 1e-8

KERNELS = (
    "projection",
    *(f"gaussian_{k}" for k in range(1, len(_QUANTILES) + 1)),
    *(f"cosine_{k}" for k in range(1, len(_QUANTILES) + 1)),
)
"""Names of the kernels: the coordinates themselves, and two functions of them at five length scales each."""


def kernel_bases(coords: np.ndarray) -> list[np.ndarray]:
    """Return an orthonormal basis (n_obs, 0 to 2) of every kernel of :data:`KERNELS`, without its mean.

    Each coordinate c is centred, and the length scales l are the quantiles 0.2 to 1 of |c|. The kernels are c,
    ``exp(-c² / 2l²)`` and ``cos(2π c / l)``.
    """
    centered = coords - coords.mean(axis=0)
    lengths = np.quantile(np.abs(centered), _QUANTILES, axis=0)
    scaled = [np.divide(centered, length, out=np.zeros_like(centered), where=length > 0) for length in lengths]
    designs = [centered, *(np.exp(-(s**2) / 2) for s in scaled), *(np.cos(2 * np.pi * s) for s in scaled)]
    return [_basis(design) for design in designs]


def _basis(design: np.ndarray) -> np.ndarray:
    free = design - design.mean(axis=0)
    left, size, _ = np.linalg.svd(free, full_matrices=False)
    return left[:, size > _RANK * np.sqrt(len(design)) * max(1.0, float(np.abs(design).max()))]


def log_p_by_kernel(counts: sparse.csr_array, coords: np.ndarray) -> np.ndarray:
    """Return log p of every kernel and gene (11, n_genes); NaN for a constant gene, or a kernel without variance.

    With Q the basis of a kernel, ``S = n |Q'y|² / y'y`` is λ times a χ² variable with as many degrees of freedom as Q
    has columns, where ``λ = 1 - n ȳ² / y'y``: all eigenvalues of a projection are 1, so that the mixture of χ²
    variables has a closed form and tiny p-values are exact.

    Parameters
    ----------
    counts
        Raw counts of one sample (n_obs, n_genes), without duplicated entries.
    coords
        Coordinates (n_obs, 2).
    """
    n, n_genes = counts.shape
    data = counts.data.astype(np.float64)
    squares = np.bincount(counts.indices, weights=data**2, minlength=n_genes)
    total = np.bincount(counts.indices, weights=data, minlength=n_genes)
    scale = np.divide(total**2, n * squares, out=np.ones(n_genes), where=squares > 0)
    scale = 1 - scale
    scale[scale <= 1e-12] = np.nan
    bases = kernel_bases(coords)
    projected = counts.T @ np.column_stack(bases)
    out = np.full((len(bases), n_genes), np.nan)
    start = 0
    for at, basis in enumerate(bases):
        degrees = basis.shape[1]
        found = (projected[:, start : start + degrees] ** 2).sum(axis=1)
        start += degrees
        if degrees:
            share = np.divide(n * found, squares, out=np.zeros(n_genes), where=squares > 0)
            out[at] = _log_chi2_tail(share / scale, degrees)
    return out


def _log_chi2_tail(x: np.ndarray, degrees: int) -> np.ndarray:
    if degrees == 2:
        return -x / 2
    return np.log(2) + norm.logsf(np.sqrt(x))


def sparkx_log_p(counts: sparse.csr_array, coords: np.ndarray) -> np.ndarray:
    """Return log p of every gene (n_genes,), the kernels combined by the Cauchy rule; NaN for a constant gene."""
    return log_cauchy(log_p_by_kernel(counts, coords))
