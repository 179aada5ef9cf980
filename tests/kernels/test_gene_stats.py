"""Gene statistics against scikit-learn, scipy and their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse, stats
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import OneHotEncoder

from stfmkit._kernels._autocorrelation import morans_i
from stfmkit._kernels._gene_stats import (
    STATISTICS,
    area_frac,
    column_sum,
    depth_r2,
    detect_frac,
    dispersion_given_depth,
    gini,
    group_r2,
    n_eff,
    over_patients,
    sample_statistics,
    statistics_by_sample,
    summarize,
)
from stfmkit._kernels._neighbors import knn_within, mean_operator


@pytest.fixture
def counts(rng) -> sparse.csr_array:
    seen = rng.poisson(rng.uniform(0.2, 6, 8), (90, 8))
    seen[:, 0] = 0
    seen[:, 1] = 3
    return sparse.csr_array(seen)


def r_squared(design: np.ndarray, y: np.ndarray) -> float:
    return LinearRegression().fit(design, y).score(design, y)


def test_detection_and_sums(counts):
    dense = counts.toarray()
    np.testing.assert_allclose(detect_frac(counts), (dense > 0).mean(axis=0))
    np.testing.assert_allclose(column_sum(counts, power=2), (dense**2).sum(axis=0))


def test_n_eff_by_definition(counts):
    dense = counts.toarray()[:, 1:]
    want = dense.sum(axis=0) ** 2 / (90 * (dense**2).sum(axis=0))
    np.testing.assert_allclose(n_eff(counts)[1:], want)
    assert n_eff(counts)[0] == 0
    assert n_eff(counts)[1] == pytest.approx(1.0)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 9))
def test_n_eff_of_k_equal_spots_is_their_share(k, value):
    column = np.zeros((40, 1))
    column[:k] = value
    assert n_eff(sparse.csr_array(column))[0] == pytest.approx(k / 40)


def test_depth_r2_is_the_r2_of_a_regression(counts, rng):
    depth = np.log(rng.lognormal(4, 1, 90))
    logged = sparse.csr_array(np.log1p(counts.toarray()))
    got = depth_r2(logged, depth)
    assert np.isnan(got[:2]).all()
    want = [r_squared(depth[:, None], logged.toarray()[:, g]) for g in range(2, 8)]
    np.testing.assert_allclose(got[2:], want, rtol=1e-9)
    assert np.isnan(depth_r2(logged, np.ones(90))).all()


def test_group_r2_is_the_r2_of_group_means(counts, rng):
    groups = rng.integers(0, 4, 90) * 3  # codes need not be dense
    design = OneHotEncoder(sparse_output=False).fit_transform(groups[:, None])
    got = group_r2(counts.astype(float), groups)
    want = [r_squared(design, counts.toarray()[:, g].astype(float)) for g in range(2, 8)]
    np.testing.assert_allclose(got[2:], want, rtol=1e-9)
    assert np.isnan(group_r2(counts, np.zeros(90))).all()


def test_group_r2_is_one_for_a_batch_gene():
    groups = np.repeat([0, 1], 10)
    assert group_r2(sparse.csr_array(groups[:, None] * 5.0), groups)[0] == pytest.approx(1.0)


def test_dispersion_of_poisson_and_negative_binomial(rng):
    depth = rng.lognormal(0, 0.5, 40_000)
    poisson = rng.poisson(2 * depth)
    phi = 0.8
    negative = rng.poisson(2 * depth * rng.gamma(1 / phi, phi, len(depth)))
    index, extra = dispersion_given_depth(sparse.csr_array(np.column_stack([poisson, negative])), depth)
    assert index[0] == pytest.approx(1, abs=0.05)
    assert extra[0] == pytest.approx(0, abs=0.03)
    assert extra[1] == pytest.approx(phi, abs=0.08)


def test_fano_with_equal_depths_is_cv2_over_that_of_a_poisson(counts):
    index, _ = dispersion_given_depth(counts, np.ones(90))
    dense = counts.toarray()[:, 1:]
    want = (stats.variation(dense, axis=0) ** 2) / (1 / dense.mean(axis=0))
    np.testing.assert_allclose(index[1:], want, atol=1e-12)
    assert np.isnan(index[0])


def test_only_what_is_wanted(counts, rng):
    graph = mean_operator(knn_within(rng.uniform(size=(90, 2)), np.zeros(90, dtype=int), k=4), include_self=False)
    got = sample_statistics(counts, graph=graph, target=10.0, wanted=["fano", "morans_i"], rng=rng)
    assert list(got) == ["fano", "morans_i"]
    everything = sample_statistics(counts, graph=graph, target=10.0, rng=rng)
    assert list(everything) == list(STATISTICS)
    np.testing.assert_array_equal(got["morans_i"], everything["morans_i"])


def test_samples_are_apart_and_scaled_alike(counts, rng):
    samples = np.repeat([7, 2, 2], 30)
    near = knn_within(rng.uniform(size=(90, 2)), samples, k=4)
    graph = mean_operator(near, include_self=False)
    found = statistics_by_sample(counts, samples=samples, graph=graph, wanted=["detect_frac", "morans_i"], rng=rng)
    assert found["detect_frac"].shape == (2, 8)
    rows = samples == 7  # second, as codes are sorted
    np.testing.assert_allclose(found["detect_frac"][1], (counts.toarray()[rows] > 0).mean(axis=0))
    depth = counts.toarray().sum(axis=1)
    logged = np.log1p(counts.toarray() / depth[:, None] * np.median(depth))[rows]
    want = morans_i(sparse.csr_array(logged), sparse.csr_array(graph[rows][:, rows]))
    np.testing.assert_allclose(found["morans_i"][1][2:], want[2:], rtol=1e-9)


def test_unmeasured_is_not_zero(counts, rng):
    samples = np.repeat([0, 1], 45)
    graph = mean_operator(knn_within(rng.uniform(size=(90, 2)), samples, k=4), include_self=False)
    measured = np.ones((2, 8), dtype=bool)
    measured[1, 5] = False
    wanted = ["detect_frac", "morans_i"]
    found = statistics_by_sample(counts, samples=samples, graph=graph, wanted=wanted, rng=rng, measured=measured)
    out = summarize(found, np.array([0, 1]), measured=measured)
    assert out["detect_frac"][5] == found["detect_frac"][0, 5]
    assert out["morans_i"][5] == found["morans_i"][0, 5]
    assert out["morans_i"][0] == 0.0  # measured, and never seen: no pattern


def test_median_over_patients_of_the_mean_within():
    values = np.array([[1.0, 0], [3.0, np.nan], [10.0, 4], [100.0, 6]])
    got = over_patients(values, np.array(["a", "a", "b", "c"]))
    np.testing.assert_allclose(got, [10.0, 4.0])


def test_flat_maps_count_as_no_pattern_and_the_input_is_kept():
    found = {"morans_i": np.array([[np.nan], [0.6], [0.4]]), "depth_r2": np.array([[np.nan], [0.6], [0.4]])}
    out = summarize(found, np.arange(3))
    assert out["morans_i"][0] == pytest.approx(0.4)
    assert out["depth_r2"][0] == pytest.approx(0.5)
    assert np.isnan(found["morans_i"][0, 0])


COUNTS = arrays(np.int64, (9, 4), elements=st.sampled_from([0, 0, 0, 1, 1, 2, 7, 30]))


@settings(deadline=None)
@given(COUNTS)
def test_gini_is_the_mean_difference_of_pairs(counts):
    got = gini(sparse.csr_array(counts))
    for gene in range(4):
        x = counts[:, gene].astype(float)
        if x.sum() == 0:
            assert np.isnan(got[gene])
        else:
            want = np.abs(x[:, None] - x).sum() / (2 * len(x) * x.sum())
            assert got[gene] == pytest.approx(want, abs=1e-12)


def test_gini_of_even_and_of_one():
    counts = sparse.csr_array(np.column_stack([np.full(50, 3), np.eye(50)[:, 0] * 9]))
    np.testing.assert_allclose(gini(counts), [0, 1 - 1 / 50], atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(COUNTS, st.integers(0, 1000))
def test_area_is_a_plain_maximum_over_neighbours(counts, seed):
    graph = np.random.default_rng(seed).uniform(size=(9, 9)) < 0.2
    want = [
        np.mean([counts[i, g] > 0 or any(counts[j, g] > 0 for j in range(9) if graph[i, j]) for i in range(9)])
        for g in range(4)
    ]
    np.testing.assert_allclose(area_frac(sparse.csr_array(counts), sparse.csr_array(graph.astype(float))), want)


def test_area_tells_scattered_from_confined():
    """Nine detections on a 30 × 30 grid reach five times as far scattered as in a block."""
    grid = np.arange(900).reshape(30, 30)
    edges = [(grid[:, :-1], grid[:, 1:]), (grid[:-1], grid[1:])]
    rows = np.concatenate([np.concatenate([a.ravel(), b.ravel()]) for a, b in edges])
    cols = np.concatenate([np.concatenate([b.ravel(), a.ravel()]) for a, b in edges])
    graph = sparse.csr_array((np.ones(len(rows)), (rows, cols)), shape=(900, 900))
    counts = np.zeros((900, 2))
    counts[grid[5:26:10, 5:26:10].ravel(), 0] = 1
    counts[grid[5:8, 5:8].ravel(), 1] = 1
    np.testing.assert_allclose(area_frac(sparse.csr_array(counts), graph) * 900, [45, 21])
