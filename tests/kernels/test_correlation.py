"""Cross-products and residual correlations: numpy on the dense matrix as the reference."""

import tracemalloc

import numpy as np
import pytest
from scipy import sparse

from stfmkit._kernels import _correlation as _corr
from stfmkit._kernels._correlation import gram, orthonormal_design, permuted_products, residual_correlation


@pytest.mark.parametrize("density", [0.0, 0.05, 0.6])
@pytest.mark.parametrize("block", [10, 4_000_000])
def test_gram_equals_the_dense_product(rng, density, block, monkeypatch):
    monkeypatch.setattr(_corr, "_BLOCK_VALUES", block)
    X = sparse.random_array((40, 12), density=density, rng=rng, format="csr")
    dense = X.toarray()
    np.testing.assert_allclose(gram(X), dense.T @ dense, atol=1e-12)
    np.testing.assert_allclose(gram(dense), dense.T @ dense, atol=1e-12)


def test_gram_does_not_need_sorted_indices():
    X = sparse.csr_array((np.array([2.0, 1.0, 3.0]), np.array([2, 0, 1]), np.array([0, 2, 3])), shape=(2, 8))
    assert not X.has_sorted_indices
    np.testing.assert_allclose(gram(X), X.toarray().T @ X.toarray())
    assert X.indices.tolist() == [2, 0, 1]


def unsigned(X):
    places = sparse.csr_array((np.arange(X.nnz), X.indices, X.indptr), shape=X.shape).tocsc()
    rows = (X.indptr.astype(np.uint64), X.indices.astype(np.uint32), X.data)
    return rows, (places.indptr.astype(np.int64), places.indices.astype(np.uint64), places.data.astype(np.uint64))


def test_plain_python_twins_agree(rng, monkeypatch):
    monkeypatch.setattr(_corr, "_ROWS", 7)
    monkeypatch.setattr(_corr, "_SIDE", 4)
    X = sparse.random_array((20, 6), density=0.3, rng=rng, format="csr")
    X.sort_indices()
    out = np.zeros((6, 6))
    for span in ((0, 4), (4, 6)):
        _corr._gram_span.py_func(span, *unsigned(X), out)
    np.testing.assert_allclose(out, np.triu(X.toarray().T @ X.toarray()), atol=1e-12)
    _corr._mirror.py_func(out)
    np.testing.assert_allclose(out, X.toarray().T @ X.toarray(), atol=1e-12)
    twin, compiled = out.copy(), out.copy()
    scale = np.where(np.arange(6) == 2, np.nan, 0.7)
    _corr._standardize.py_func(twin, scale)
    _corr._standardize(compiled, scale)
    np.testing.assert_array_equal(twin, compiled)


@pytest.mark.parametrize("spans", [1, 3, 200])
def test_blocks_spans_and_threads_change_no_bit(rng, spans, monkeypatch):
    X = sparse.random_array((_corr._ROWS * 2 + 30, 90), density=0.1, rng=rng, format="csr")
    whole = gram(X)
    monkeypatch.setattr(_corr, "_SPANS", spans)
    assert gram(X).tobytes() == whole.tobytes()
    monkeypatch.setattr("stfmkit._kernels._threads.n_threads", lambda: 1)
    assert gram(X).tobytes() == whole.tobytes()


@pytest.mark.parametrize("density", [0.03, 0.4])
def test_a_sparse_matrix_is_never_dense_as_a_whole(rng, density, monkeypatch):
    monkeypatch.setattr(_corr, "_BLOCK_VALUES", 60_000)
    X = sparse.random_array((40_000, 60), density=density, rng=rng, format="csr")
    gram(X[:100])
    tracemalloc.start()
    gram(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < X.shape[0] * X.shape[1] * 8 / 4


@pytest.mark.parametrize("n_groups", [1, 4])
def test_design_is_orthonormal_and_spans_groups_and_covariates(rng, n_groups):
    codes = np.arange(30) % n_groups
    known = np.column_stack([rng.normal(size=30), np.ones(30)])  # the second lies in the span of the groups
    design = orthonormal_design(codes, known).toarray()
    assert design.shape == (30, n_groups + 1)
    np.testing.assert_allclose(design.T @ design, np.eye(n_groups + 1), atol=1e-12)
    for target in (*known.T, *(codes == k for k in range(n_groups))):
        np.testing.assert_allclose(design @ (design.T @ target), np.asarray(target, dtype=float), atol=1e-12)


def test_a_covariate_of_zeros_adds_nothing():
    assert orthonormal_design(np.zeros(5, dtype=int), np.zeros((5, 1))).shape == (5, 1)


@pytest.mark.parametrize("as_", [np.asarray, sparse.csr_array])
def test_residual_correlation_equals_least_squares(rng, as_):
    X = np.where(rng.uniform(size=(50, 7)) < 0.4, rng.gamma(2, size=(50, 7)), 0)
    codes, known = rng.integers(3, size=50), rng.normal(size=(50, 1))
    full = np.column_stack([np.eye(3)[codes], known])
    left = X - full @ np.linalg.lstsq(full, X, rcond=None)[0]
    found = residual_correlation(as_(X), orthonormal_design(codes, known))
    np.testing.assert_allclose(found, left.T @ left / np.outer(*2 * [np.linalg.norm(left, axis=0)]), atol=1e-12)
    assert (found == found.T).all()
    assert (found.diagonal() == 1).all()


@pytest.mark.parametrize("as_", [np.asarray, sparse.csr_array])
def test_a_gene_that_the_design_explains_is_undefined(rng, as_):
    codes = np.repeat([0, 1], 10)
    X = np.column_stack([rng.gamma(2, size=20), np.where(codes == 0, 3.3, 0.1)])
    found = residual_correlation(as_(X), orthonormal_design(codes, None))
    assert np.isnan(found).tolist() == [[False, True], [True, True]]


def test_products_equal_the_rearranged_matrix(rng):
    x, y = rng.normal(size=(2, 9, 9))
    x, y = x + x.T, y + y.T
    orders = np.array([rng.permutation(9) for _ in range(40)], dtype=np.uint32)
    upper = np.triu_indices(9, 1)
    expected = [(x[upper] * y[np.ix_(o, o)][upper]).sum() for o in orders]
    np.testing.assert_allclose(permuted_products(x, y, orders), expected, atol=1e-12)
    np.testing.assert_allclose(_corr._products.py_func(x, y, orders), expected, atol=1e-12)


def test_the_number_of_threads_changes_no_bit(rng, monkeypatch):
    x, y = rng.normal(size=(2, 20, 20))
    orders = np.array([rng.permutation(20) for _ in range(33)], dtype=np.uint32)
    expected = permuted_products(x, y, orders)
    monkeypatch.setattr("stfmkit._kernels._threads.n_threads", lambda: 1)
    np.testing.assert_array_equal(permuted_products(x, y, orders), expected)
