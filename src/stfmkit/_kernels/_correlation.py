"""Cross-products and correlations of columns of CSR matrices, and products of matrices under permutations."""

from typing import TypeAlias

import numpy as np
from scipy import sparse
from scipy.linalg.blas import dsyrk

from stfmkit._kernels._compiled import compiled
from stfmkit._kernels._threads import over_spans

_DENSE_SHARE = 0.25  # above this share of non-zeros, BLAS on blocks of rows is faster than scattered adds
_BLOCK_VALUES = 4_000_000
_ROWS = 256  # rows of a sparse block: they stay in the second cache while the genes of a span pass over them
_SPANS = 32
_SIDE = 64  # of the squares in which a matrix is mirrored
_UNDEFINED = 1e-12  # a residual sum of squares below this share of the raw one is rounding noise

Arrays: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]


@compiled(nogil=True)
def _gram_span(span: tuple[int, int], rows: Arrays, columns: Arrays, out: np.ndarray) -> None:
    """Add the upper triangle of ``XᵀX`` to `out`, for the genes of one span.

    Row i of `out` stays in the first cache while all rows of a block that hold gene i are added to it. Every sum runs
    over the observations in their order, so that spans change no bit.

    Parameters
    ----------
    span
        First gene, and the one after the last.
    rows
        indptr, indices and data of X as CSR, indices sorted; unsigned, as a sign costs a branch for every index.
    columns
        indptr, indices and the places in `rows` of X as CSC.
    out
        (n_genes, n_genes).
    """
    indptr, indices, data = rows
    starts, members, places = columns
    first, last = span
    at = starts[first:last].copy()
    n = len(indptr) - 1
    for begin in range(0, n, _ROWS):
        end = min(begin + _ROWS, n)
        for i in range(first, last):
            target, p, stop = out[i], at[i - first], starts[i + 1]
            while p < stop and members[p] < end:
                place = places[p]
                value = data[place]
                for q in range(place, indptr[members[p] + np.uint64(1)]):
                    target[indices[q]] += value * data[q]
                p += 1
            at[i - first] = p


@compiled()
def _mirror(out: np.ndarray) -> None:
    """Copy the upper triangle to the lower one, square by square."""
    n = len(out)
    for top in range(0, n, _SIDE):
        for left in range(top, n, _SIDE):
            for i in range(top, min(top + _SIDE, n)):
                for j in range(max(left, i + 1), min(left + _SIDE, n)):
                    out[j, i] = out[i, j]


def gram(X: np.ndarray | sparse.csr_array) -> np.ndarray:
    """Return ``XᵀX`` (n_columns, n_columns) as float64; a CSR matrix is never dense as a whole."""
    if isinstance(X, np.ndarray):
        return X.T @ X
    n, g = X.shape
    out = _panel_gram(X) if X.nnz > _DENSE_SHARE * n * g else _sparse_gram(X)
    _mirror(out)
    return out


def _panel_gram(X: sparse.csr_array) -> np.ndarray:
    """Return the upper triangle of ``XᵀX``, by BLAS on a few dense rows at a time."""
    n, g = X.shape
    lower = np.zeros((g, g), order="F")
    step = max(1, _BLOCK_VALUES // g)
    for start in range(0, n, step):
        block = X[start : start + step].toarray()
        lower = dsyrk(1.0, block.T, beta=1.0, c=lower, overwrite_c=1, lower=1)
    return lower.T


def _sparse_gram(X: sparse.csr_array) -> np.ndarray:
    """Return the upper triangle of ``XᵀX``, from the stored values alone."""
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    places = sparse.csr_array((np.arange(X.nnz), X.indices, X.indptr), shape=X.shape).tocsc()
    rows = (X.indptr.astype(np.uint64), X.indices.astype(np.uint32), X.data)
    columns = (places.indptr.astype(np.int64), places.indices.astype(np.uint64), places.data.astype(np.uint64))
    out = np.zeros((X.shape[1], X.shape[1]))
    over_spans(lambda first, last: _gram_span((first, last), rows, columns, out), len(out), n_spans=_SPANS)
    return out


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
        raw_cross -= explained.T @ explained
        cross = raw_cross
    spread = cross.diagonal().copy()
    defined = spread > _UNDEFINED * raw
    scale = np.full(len(spread), np.nan)
    scale[defined] = 1 / np.sqrt(spread[defined])
    _standardize(cross, scale)
    return cross


@compiled()
def _standardize(cross: np.ndarray, scale: np.ndarray) -> None:
    """Turn cross-products into correlations in place, both triangles alike to the last bit (BLAS may differ there)."""
    n = len(cross)
    for top in range(0, n, _SIDE):
        for left in range(top, n, _SIDE):
            for i in range(top, min(top + _SIDE, n)):
                for j in range(max(left, i), min(left + _SIDE, n)):
                    value = 0.5 * (cross[i, j] + cross[j, i]) * scale[i] * scale[j]
                    if not np.isnan(value):
                        value = 1.0 if i == j else min(max(value, -1.0), 1.0)
                    cross[i, j] = cross[j, i] = value


@compiled(nogil=True)
def _products(x: np.ndarray, y: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Return ``Σ x[i, j] y[o[i], o[j]]`` over the pairs i < j, for every order o (n_orders,)."""
    out = np.zeros(len(orders))
    for at in range(len(orders)):
        order = orders[at]
        total = 0.0
        for i in range(len(order)):
            left, right = x[i], y[order[i]]
            for j in range(i + 1, len(order)):
                total += left[j] * right[order[j]]
        out[at] = total
    return out


def permuted_products(x: np.ndarray, y: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Return the sum of products over the pairs of genes, with `y` in every order (n_orders,).

    Parameters
    ----------
    x, y
        Symmetric matrices (n_genes, n_genes), float64.
    orders
        Permutations (n_orders, n_genes), unsigned integers.
    """
    parts = over_spans(lambda start, stop: _products(x, y, orders[start:stop]), len(orders))
    return np.concatenate(parts)
