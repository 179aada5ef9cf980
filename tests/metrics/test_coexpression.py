"""Order-free comparison of co-expression: scipy, loops and exact permutations as oracles."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from stfmkit._core.errors import InputError
from stfmkit.metrics import (
    eigen_spectrum_distance,
    frobenius_error,
    mantel,
    mean_absolute_difference,
    offdiagonal_correlation,
    rv_coefficient,
    sign_agreement,
)

NAN = float("nan")
ALL = [
    offdiagonal_correlation,
    lambda a, b: mantel(a, b, n_permutations=9).r,
    rv_coefficient,
    eigen_spectrum_distance,
    frobenius_error,
    sign_agreement,
    mean_absolute_difference,
]


def random_correlation(rng, n=8):
    return np.corrcoef(rng.normal(size=(n, 12)) + 0.8 * rng.normal(size=12))


@pytest.fixture
def pair(rng):
    a = random_correlation(rng)
    return a, 0.6 * a + 0.4 * random_correlation(rng)


def offdiagonal(matrix):
    return np.array([matrix[i, j] for i in range(len(matrix)) for j in range(i)])


def test_offdiagonal_correlation_equals_scipy(pair):
    x, y = map(offdiagonal, pair)
    assert offdiagonal_correlation(*pair) == pytest.approx(stats.pearsonr(x, y).statistic)
    assert offdiagonal_correlation(*pair, method="spearman") == pytest.approx(stats.spearmanr(x, y).statistic)


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_mantel_approaches_the_exact_permutation_test(rng, method):
    a = random_correlation(rng, 5)
    b = 0.5 * a + 0.5 * random_correlation(rng, 5)
    r = offdiagonal_correlation(a, b, method=method)
    null = [offdiagonal_correlation(a, b[np.ix_(p, p)], method=method) for p in permutations(range(5))]
    exact = np.mean(np.array(null) >= r - 1e-12)
    found = mantel(a, b, n_permutations=4000, method=method, rng=1)
    assert found.r == pytest.approx(r)
    assert found.p == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 4000) + 2 / 4000)


def test_mantel_is_calibrated_and_seeded(rng):
    values = [mantel(random_correlation(rng), random_correlation(rng), n_permutations=99, rng=i).p for i in range(200)]
    assert stats.kstest(values, "uniform").pvalue > 1e-3
    a, b = random_correlation(rng), random_correlation(rng)
    assert mantel(a, b, rng=3) == mantel(a, b, rng=np.random.default_rng(3))
    assert mantel(a, a, n_permutations=199).p == 1 / 200


def test_rv_equals_the_trace_formula(pair):
    a, b = pair
    expected = np.trace(a @ b) / np.sqrt(np.trace(a @ a) * np.trace(b @ b))
    assert rv_coefficient(a, b, diagonal=True) == pytest.approx(expected)
    a0, b0 = (m - np.eye(8) for m in pair)
    expected = np.trace(a0 @ b0) / np.sqrt(np.trace(a0 @ a0) * np.trace(b0 @ b0))
    assert rv_coefficient(a, b) == pytest.approx(expected)


def test_no_coexpression_is_worth_nothing_without_the_diagonal(pair):
    a, _ = pair
    assert rv_coefficient(a, np.eye(8)) == 0
    assert rv_coefficient(a, np.eye(8), diagonal=True) > 0.3
    assert np.isnan(rv_coefficient(np.eye(8), a))


def test_eigen_distance_equals_scipy_and_ignores_who_is_who(pair, rng):
    a, b = pair
    spectra = [np.linalg.eigvals(m).real for m in pair]
    assert eigen_spectrum_distance(a, b) == pytest.approx(stats.wasserstein_distance(*spectra))
    mixed = rng.permutation(8)
    assert eigen_spectrum_distance(a, a[np.ix_(mixed, mixed)]) == pytest.approx(0, abs=1e-12)
    assert eigen_spectrum_distance(np.eye(8), np.ones((8, 8))) == pytest.approx(2 * (1 - 1 / 8))
    assert eigen_spectrum_distance(a, 5 * a) == pytest.approx(0, abs=1e-12)


def test_sign_agreement_counts_clear_pairs_only():
    truth = np.array([[1, 0.6, -0.4, 0.1], [0.6, 1, 0.2, -0.9], [-0.4, 0.2, 1, 0.3], [0.1, -0.9, 0.3, 1]])
    predicted = np.array([[1, 0.1, 0.4, -0.9], [0.1, 1, -1, -0.1], [0.4, -1, 1, -0.5], [-0.9, -0.1, -0.5, 1]])
    assert sign_agreement(truth, predicted) == pytest.approx(2 / 3)  # .6, -.4 and -.9 are clear; .3 is not
    assert sign_agreement(truth, predicted, threshold=0.25) == pytest.approx(2 / 4)
    assert sign_agreement(truth, np.eye(4)) == 0
    assert np.isnan(sign_agreement(truth, predicted, threshold=0.95))


def test_mean_absolute_difference_is_over_pairs(pair):
    x, y = map(offdiagonal, pair)
    assert mean_absolute_difference(*pair) == pytest.approx(np.abs(x - y).mean())


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6))
def test_order_of_genes_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    a, b = random_correlation(rng), random_correlation(rng)
    mixed = rng.permutation(8)
    grid = np.ix_(mixed, mixed)
    for metric in ALL:
        assert metric(a[grid], b[grid]) == pytest.approx(metric(a, b), abs=1e-10, nan_ok=True)


@pytest.mark.parametrize("metric", ALL)
def test_undefined_genes_are_left_out_on_both_sides(metric, pair):
    a, b = (m.copy() for m in pair)
    a[2] = a[:, 2] = NAN
    b[5] = b[:, 5] = NAN
    kept = np.ix_([0, 1, 3, 4, 6, 7], [0, 1, 3, 4, 6, 7])
    assert metric(a, b) == pytest.approx(metric(pair[0][kept], pair[1][kept]))


@pytest.mark.parametrize("metric", ALL)
def test_a_model_of_constants_has_no_score(metric, pair):
    assert np.isnan(metric(pair[0], np.full((8, 8), NAN)))


def test_all_pairs_equal_is_no_correlation(pair):
    flat = np.full((8, 8), 0.4) + 0.6 * np.eye(8)
    for method in ("pearson", "spearman"):
        assert offdiagonal_correlation(pair[0], flat, method=method) == 0
        assert np.isnan(offdiagonal_correlation(flat, pair[0], method=method))
        assert mantel(pair[0], flat, method=method) == (0, 1)
        assert np.isnan(mantel(flat, pair[0], method=method)).all()


@pytest.mark.parametrize("metric", ALL)
def test_unusable_matrices_are_refused(metric, pair):
    a, _ = pair
    with pytest.raises(InputError, match="transpose"):
        metric(np.triu(a), a)
    with pytest.raises(InputError, match="same genes"):
        metric(a, a[:5, :5])
    with pytest.raises(InputError, match="infinite"):
        metric(np.where(np.eye(8) == 0, np.inf, a), a)


def test_unusable_options_are_refused(pair):
    with pytest.raises(InputError, match="kendall"):
        offdiagonal_correlation(*pair, method="kendall")
    with pytest.raises(InputError, match="n_permutations=0"):
        mantel(*pair, n_permutations=0)
    with pytest.raises(InputError, match="threshold"):
        sign_agreement(*pair, threshold=3)


def test_frobenius_error_equals_the_norm(rng):
    a, b = (np.corrcoef(rng.normal(size=(6, 20))) for _ in range(2))
    off = ~np.eye(6, dtype=bool)
    expected = np.linalg.norm((a - b)[off]) / np.linalg.norm(a[off])
    assert frobenius_error(a, b) == pytest.approx(expected)
    whole = np.linalg.norm(a - b) / np.linalg.norm(a)
    assert frobenius_error(a, b, diagonal=True) == pytest.approx(whole)
    assert frobenius_error(a, a) == 0
    assert frobenius_error(a, np.eye(6)) == pytest.approx(1)
    assert np.isnan(frobenius_error(np.eye(6), a))
    assert np.isnan(frobenius_error(a[:2, :2], b[:2, :2]))
