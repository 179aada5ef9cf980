"""Binomial thinning of counts, and the reliability of genes that it shows."""

import numpy as np
from scipy import sparse

from stfmkit._kernels._normalize import median_total, size_factor_log1p, totals


def thin(
    counts: sparse.csr_array, *, rng: np.random.Generator, share: float = 0.5
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Split counts into two parts by tossing a coin for every molecule.

    The parts of a Poisson count are independent (Neufeld et al. 2022, Biostatistics kxac047), so that what both show
    is signal. The parts sum to `counts` exactly, and do not depend on the order in which entries are stored.

    Parameters
    ----------
    counts
        Raw counts (n_obs, n_genes).
    rng
        The coin.
    share
        Expected share of the first part.

    Returns
    -------
    The two parts, as int64 CSR without explicit zeros.
    """
    if not counts.has_canonical_format:
        counts = counts.copy()
        counts.sum_duplicates()
    whole = counts.data.astype(np.int64)
    first = rng.binomial(whole, share)
    parts = []
    for data in (first, whole - first):
        part = sparse.csr_array((data, counts.indices.copy(), counts.indptr.copy()), shape=counts.shape)
        part.eliminate_zeros()
        parts.append(part)
    return parts[0], parts[1]


def column_correlation(first: sparse.csr_array, second: sparse.csr_array) -> np.ndarray:
    """Return the Pearson correlation of column g of `first` with column g of `second` (n_genes,).

    NaN where one of the two columns is constant.
    """
    n = first.shape[0]
    first, second = first.astype(np.float64), second.astype(np.float64)
    mean_a, mean_b = (np.asarray(m.sum(axis=0)).ravel() / n for m in (first, second))
    cross = np.asarray((first * second).sum(axis=0)).ravel() - n * mean_a * mean_b
    spreads = []
    for matrix, mean in ((first, mean_a), (second, mean_b)):
        squares = np.bincount(matrix.indices, weights=matrix.data**2, minlength=matrix.shape[1])
        spread = squares - n * mean**2
        spread[spread <= 1e-12 * np.maximum(squares, 1e-300)] = 0.0
        spreads.append(spread)
    bottom = np.sqrt(spreads[0] * spreads[1])
    return np.clip(np.divide(cross, bottom, out=np.full(len(cross), np.nan), where=bottom > 0), -1.0, 1.0)


def spearman_brown(half: np.ndarray) -> np.ndarray:
    """Return the reliability of the whole from the correlation of two halves, ``2r / (1 + r)``; 0 below r = 0.

    A negative correlation of halves is noise around none, so it counts as none.
    """
    half = np.maximum(half, 0.0)  # keeps NaN
    return 2 * half / (1 + half)


def split_half_reliability(counts: sparse.csr_array, *, rng: np.random.Generator) -> np.ndarray:
    """Return the split-half reliability ρ of the size-factor log1p of every gene (n_genes,).

    Counts are thinned into two halves, each is normalised with its own library sizes to its own median, and the
    correlation of the halves is stepped up by Spearman and Brown. The highest correlation that a perfect predictor
    can reach is √ρ. NaN where a half is constant.

    Parameters
    ----------
    counts
        Raw counts of one sample (n_obs, n_genes).
    rng
        The coin of the thinning.
    """
    halves = []
    for half in thin(counts, rng=rng):
        depth = totals(half)
        halves.append(size_factor_log1p(half, depth=depth, target=median_total(depth)))
    return spearman_brown(column_correlation(halves[0], halves[1]))
