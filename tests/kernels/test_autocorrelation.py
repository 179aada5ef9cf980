"""Autocorrelation on sparse data against squidpy and dense algebra."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.linear_model import LinearRegression

from stfmkit._kernels._autocorrelation import (
    gearys_c,
    joincount_moran,
    morans_i,
    quadratic_form,
    residual_moran,
    row_stochastic,
)
from stfmkit._kernels._neighbors import knn_within, mean_operator


def table(seed: int, n: int = 60, genes: int = 9) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Sparse expression, with an empty, a constant and a single-spot gene, and a lopsided graph."""
    rng = np.random.default_rng(seed)
    x = rng.poisson(rng.uniform(0.1, 3, genes), (n, genes)).astype(float)
    x[:, 0], x[:, 1], x[:, 2] = 0, 2, 0
    x[5, 2] = 4
    near = knn_within(rng.uniform(0, 10, (n, 2)), np.zeros(n, dtype=int), k=4)
    graph = mean_operator(near, include_self=False)
    graph.data *= rng.uniform(0.5, 2, graph.nnz)
    return sparse.csr_array(x), graph


def slow_moran(x: np.ndarray, w: np.ndarray) -> float:
    z = x - x.mean()
    top = sum(w[i, j] * z[i] * z[j] for i in range(len(x)) for j in range(len(x)))
    return len(x) / w.sum() * top / (z @ z)


def slow_geary(x: np.ndarray, w: np.ndarray) -> float:
    z = x - x.mean()
    top = sum(w[i, j] * (x[i] - x[j]) ** 2 for i in range(len(x)) for j in range(len(x)))
    return (len(x) - 1) * top / (2 * w.sum() * (z @ z))


def test_quadratic_form_is_the_dense_product():
    x, w = table(0)
    dense = x.toarray()
    np.testing.assert_allclose(quadratic_form(x, w), np.diag(dense.T @ w.toarray() @ dense), rtol=1e-12)


@pytest.mark.parametrize(("fast", "slow"), [(morans_i, slow_moran), (gearys_c, slow_geary)])
def test_equals_the_double_sum(fast, slow):
    x, w = table(1)
    got = fast(x, w)
    assert np.isnan(got[:2]).all()  # an empty and a constant gene
    want = [slow(x.toarray()[:, g], w.toarray()) for g in range(2, x.shape[1])]
    np.testing.assert_allclose(got[2:], want, rtol=1e-10)


@pytest.mark.parametrize(("mode", "column", "fast"), [("moran", "I", morans_i), ("geary", "C", gearys_c)])
def test_equals_squidpy(mode, column, fast):
    import squidpy as sq

    x, w = table(2)
    keep = np.arange(2, x.shape[1])
    adata = AnnData(x.toarray()[:, keep], var=pd.DataFrame(index=[f"g{k}" for k in keep]))
    adata.obsp["spatial_connectivities"] = sparse.csr_matrix(w)
    result = sq.gr.spatial_autocorr(adata, mode=mode, transformation=True, copy=True, show_progress_bar=False)
    got = fast(sparse.csr_array(x[:, keep]), row_stochastic(w))
    np.testing.assert_allclose(got, result.loc[adata.var_names, column], rtol=1e-5)


def test_row_stochastic_leaves_isolated_rows_empty():
    graph = sparse.csr_array(np.array([[0.0, 2.0, 2.0], [0, 0, 0], [5.0, 0, 0]]))
    np.testing.assert_allclose(row_stochastic(graph).toarray(), [[0, 0.5, 0.5], [0, 0, 0], [1, 0, 0]])


def test_joincount_reads_detection_only():
    x, w = table(3)
    binary = sparse.csr_array((x.toarray() > 0).astype(float))
    np.testing.assert_allclose(joincount_moran(x, w), morans_i(binary, w))
    scaled = x.copy()
    scaled.data = scaled.data * 7
    np.testing.assert_array_equal(joincount_moran(scaled, w), joincount_moran(x, w))


def test_residual_moran_equals_regression_then_moran():
    x, w = table(4)
    depth = np.log(np.random.default_rng(4).lognormal(5, 1, x.shape[0]))
    dense = x.toarray()
    design = depth[:, None]
    rest = dense - LinearRegression().fit(design, dense).predict(design)
    want = [slow_moran(rest[:, g], w.toarray()) for g in range(2, x.shape[1])]
    np.testing.assert_allclose(residual_moran(x, w, covariate=depth)[2:], want, rtol=1e-8)


def test_residual_of_a_gene_that_is_depth_alone_is_undefined():
    depth = np.random.default_rng(5).uniform(1, 2, 60)
    x = sparse.csr_array(np.column_stack([3 * depth - 1]))
    _, w = table(5)
    assert np.isnan(residual_moran(x, w, covariate=depth)).all()


def test_residual_with_constant_depth_is_plain():
    x, w = table(6)
    np.testing.assert_array_equal(residual_moran(x, w, covariate=np.ones(60)), morans_i(x, w))


def test_graph_without_edges_is_undefined():
    x, _ = table(7)
    empty = sparse.csr_array((60, 60))
    assert np.isnan(morans_i(x, empty)).all()
    assert np.isnan(gearys_c(x, empty)).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 50))
def test_invariant_to_scale_and_relabelling(seed, scale):
    x, w = table(seed, n=30, genes=5)
    order = np.random.default_rng(seed).permutation(30)
    moved = morans_i(sparse.csr_array(x[order] * scale), sparse.csr_array(w[order][:, order]))
    np.testing.assert_allclose(moved, morans_i(x, w), rtol=1e-8, atol=1e-10)


def test_pattern_is_high_and_noise_is_near_nought():
    rng = np.random.default_rng(8)
    xy = rng.uniform(0, 1, (900, 2))
    w = mean_operator(knn_within(xy, np.zeros(900, dtype=int), k=6), include_self=False)
    genes = np.column_stack([rng.poisson(1 + 20 * (xy[:, 0] > 0.5)), rng.poisson(3, 900)])
    pattern, noise = morans_i(sparse.csr_array(genes), w)
    assert pattern > 0.8
    assert abs(noise) < 0.08


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.int64, np.uint16])
def test_numbers_of_any_kind_give_the_same(dtype):
    x, w = table(9)
    for fast in (morans_i, gearys_c, joincount_moran):
        np.testing.assert_array_equal(fast(x.astype(dtype), w), fast(x, w))


def test_loops_and_one_way_edges_count_as_they_are():
    x, w = table(10, n=20, genes=4)
    w = sparse.csr_array(w + sparse.eye_array(20) * 0.7)
    dense = x.toarray()
    np.testing.assert_allclose(quadratic_form(x, w), np.diag(dense.T @ w.toarray() @ dense), rtol=1e-12)


def test_the_graph_stays_as_it_was_also_its_order():
    """scipy sorts the arrays of a matrix in place when it sums it up; the next result would differ in the last bit."""
    x, w = table(11)
    w.indices[:4], w.data[:4] = w.indices[:4][::-1].copy(), w.data[:4][::-1].copy()
    before = w.indices.copy()
    first = [f(x, w) for f in (morans_i, gearys_c, joincount_moran)]
    np.testing.assert_array_equal(w.indices, before)
    for one, two in zip(first, [f(x, w) for f in (morans_i, gearys_c, joincount_moran)], strict=True):
        np.testing.assert_array_equal(one, two)
