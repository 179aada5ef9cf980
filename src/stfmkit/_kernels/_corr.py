"""Cross-products of the columns of a CSR matrix, and correlations of what a design leaves over."""

import numpy as np
from numba import njit
from scipy import sparse

_DENSE_SHARE = 0.2  # above this share of non-zeros, BLAS on blocks of rows is faster than scattered adds
_BLOCK_VALUES = 4_000_000
_UNDEFINED = 1e-12  # a residual sum of squares below this share of the raw one is rounding noise


@njit(cache=True)
def _scatter_gram(indptr: np.ndarray, indices: np.ndarray, data: np.ndarray, out: np.ndarray) -> None:
    """Add ``XᵀX`` to the upper triangle of `out`, row by row of a CSR matrix with sorted indices."""
    for row in range(len(indptr) - 1):
        stop = indptr[row + 1]
        for p in range(indptr[row], stop):
            i, value = indices[p], data[p]
            for q in range(p, stop):
                out[i, indices[q]] += value * data[q]


def gram(X: np.ndarray | sparse.csr_array) -> np.ndarray:
    """Return ``XᵀX`` (n_columns, n_columns) as float64; a CSR matrix is never dense as a whole."""
    if isinstance(X, np.ndarray):
        return X.T @ X
    n, g = X.shape
    out = np.zeros((g, g))
    if X.nnz > _DENSE_SHARE * n * g:
        step = max(1, _BLOCK_VALUES // g)
        for start in range(0, n, step):
            block = X[start : start + step].toarray()
            out += block.T @ block
        return out
    rows = X.copy()
    rows.sum_duplicates()
    _scatter_gram(rows.indptr, rows.indices, rows.data, out)
    upper = np.triu(out, 1)
    return out + upper.T


def orthonormal_design(codes: np.ndarray, covariate: np.ndarray | None) -> sparse.csr_array:
    """Return an orthonormal basis (n_obs, q) of the group indicators and of covariates centred within groups.

    Parameters
    ----------
    codes
        Group of every observation (n_obs,), in ``range(n_groups)``, no group empty.
    covariate
        Covariates (n_obs, n_covariates), or None.
    """
    n = len(codes)
    size = np.bincount(codes)
    groups = sparse.csr_array((1 / np.sqrt(size[codes]), codes, np.arange(n + 1)), shape=(n, len(size)))
    if covariate is None:
        return groups
    left = covariate - groups @ (groups.T @ covariate)
    basis, spread, _ = np.linalg.svd(left, full_matrices=False)
    basis = basis[:, spread > 1e-10 * max(np.linalg.norm(covariate), np.finfo(float).tiny)]
    return sparse.csr_array(sparse.hstack([groups, sparse.csr_array(basis)]))


def residual_correlation(X: np.ndarray | sparse.csr_array, design: sparse.csr_array) -> np.ndarray:
    """Return the correlation of the columns after regression on an orthonormal design (n_columns, n_columns).

    Columns that the design explains in full have no correlation: their row and column are NaN.
    """
    explained = np.asarray((design.T @ X).todense() if sparse.issparse(X) else design.T @ X)
    if isinstance(X, np.ndarray):
        raw = np.einsum("ij,ij->j", X, X)
        left = X - design @ explained
        cross = gram(left)
    else:
        raw_cross = gram(X)
        raw = raw_cross.diagonal().copy()
        cross = raw_cross - explained.T @ explained
    spread = cross.diagonal().copy()
    defined = spread > _UNDEFINED * raw
    scale = np.full(len(spread), np.nan)
    scale[defined] = 1 / np.sqrt(spread[defined])
    out = cross * scale[:, None] * scale[None, :]
    np.clip(out, -1, 1, out=out)
    out = (out + out.T) / 2  # BLAS may differ in the last bit between the triangles
    where = np.flatnonzero(defined)
    out[where, where] = 1.0
    return out
