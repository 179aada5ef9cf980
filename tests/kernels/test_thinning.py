"""Thinning: conserved, independent, reproducible."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from stfmkit._kernels._thinning import column_correlation, spearman_brown, split_half_reliability, thin


def counts(seed: int, shape: tuple[int, int] = (50, 12), rate: float = 1.5) -> sparse.csr_array:
    return sparse.csr_array(np.random.default_rng(seed).poisson(rate, shape))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.0, 1.0))
def test_parts_are_counts_that_sum_to_the_whole(seed, share):
    whole = counts(seed)
    first, second = thin(whole, rng=np.random.default_rng(seed), share=share)
    assert first.dtype == np.int64
    assert (first.data > 0).all()
    assert (second.data > 0).all()
    np.testing.assert_array_equal((first + second).toarray(), whole.toarray())


def test_same_seed_same_bits_whatever_the_storage_order():
    whole = counts(1)
    shuffled = whole.copy()
    for i in range(whole.shape[0]):
        cut = slice(whole.indptr[i], whole.indptr[i + 1])
        shuffled.indices[cut], shuffled.data[cut] = whole.indices[cut][::-1], whole.data[cut][::-1]
    shuffled.has_sorted_indices = shuffled.has_canonical_format = False
    stored = shuffled.indices.copy()
    one = thin(whole, rng=np.random.default_rng(3))[0].toarray()
    two = thin(shuffled, rng=np.random.default_rng(3))[0].toarray()
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(shuffled.indices, stored)  # the caller's matrix is as it was
    assert (thin(whole, rng=np.random.default_rng(4))[0].toarray() != one).any()


def test_float_counts_are_counts():
    whole = counts(2)
    one = thin(whole.astype(np.float32), rng=np.random.default_rng(0))[0]
    np.testing.assert_array_equal(one.toarray(), thin(whole, rng=np.random.default_rng(0))[0].toarray())


def test_halves_of_a_poisson_are_independent_and_halved():
    whole = counts(5, (20_000, 3), rate=4.0)
    first, second = (half.toarray() for half in thin(whole, rng=np.random.default_rng(5)))
    np.testing.assert_allclose(first.mean(axis=0), 2.0, rtol=0.03)
    for gene in range(3):
        assert abs(np.corrcoef(first[:, gene], second[:, gene])[0, 1]) < 0.03


def test_column_correlation_is_numpys():
    a, b = counts(6), counts(7)
    want = [np.corrcoef(a.toarray()[:, g], b.toarray()[:, g])[0, 1] for g in range(12)]
    np.testing.assert_allclose(column_correlation(a, b), want, rtol=1e-10)


def test_column_correlation_of_a_constant_is_undefined():
    a = np.array([[1, 2, 0], [1, 3, 0], [1, 5, 0]])
    got = column_correlation(sparse.csr_array(a), sparse.csr_array(a))
    assert np.isnan(got[[0, 2]]).all()
    assert got[1] == pytest.approx(1.0)


def test_spearman_brown():
    got = spearman_brown(np.array([0.0, 0.5, 1.0, -0.4, np.nan]))
    np.testing.assert_allclose(got, [0, 2 / 3, 1, 0, np.nan])


def test_reliability_is_the_squared_correlation_with_the_truth():
    """ρ is the share of true variance: what a perfect predictor reaches, squared."""
    rng = np.random.default_rng(8)
    n = 6000
    truth = np.column_stack([rng.gamma(2, 2, n), np.full(n, 4.0), *np.full((20, n), 20.0)])
    seen = rng.poisson(truth)
    rho = split_half_reliability(sparse.csr_array(seen), rng=rng)
    reached = np.corrcoef(np.log1p(seen[:, 0]), np.log1p(truth[:, 0]))[0, 1] ** 2
    assert rho[0] == pytest.approx(reached, abs=0.06)
    assert rho[1] < 0.1
    assert rho[0] > 0.5


def test_reliability_without_counts_is_undefined():
    seen = counts(9).toarray()
    seen[:, 4] = 0
    rho = split_half_reliability(sparse.csr_array(seen), rng=np.random.default_rng(0))
    assert np.isnan(rho[4])
    assert np.isfinite(np.delete(rho, 4)).all()
