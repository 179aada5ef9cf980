"""The statistics against scipy and slow references."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, permutation_test

from stfmkit.bm.ranking import hierarchical_bootstrap, holm, interval, sign_flip


@pytest.mark.parametrize("n", [3, 6, 9])
def test_sign_flip_equals_scipy(n, rng):
    d = rng.normal(0.4, 1, size=n)
    expected = permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert sign_flip(d, rng=rng) == pytest.approx(expected)


def test_smallest_p():
    assert sign_flip(np.ones(6), rng=np.random.default_rng(0)) == 2 / 2**6
    assert sign_flip(np.zeros(6), rng=np.random.default_rng(0)) == 1


def test_sign_flip_of_many_patients_is_close_to_exact(rng):
    d = rng.normal(0.3, 1, size=20)
    exact = sign_flip(d, rng=rng)
    d21 = np.append(d, 0.0)  # a zero difference changes no total
    assert sign_flip(d21, rng=rng) == pytest.approx(exact, abs=0.01)


def test_holm_by_hand():
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, np.nan, 0.03])), [0.03, 0.06, np.nan, 0.06])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_between_raw_and_bonferroni_and_above_fdr(p):
    p = np.array(p)
    adjusted = holm(p)
    assert (adjusted >= p - 1e-15).all()
    assert (adjusted <= np.minimum(p * len(p), 1) + 1e-15).all()
    assert (adjusted >= false_discovery_control(p) - 1e-12).all()


def test_bootstrap_of_single_slides_is_the_ordinary_one(rng):
    values = rng.normal(size=12)
    draws = hierarchical_bootstrap([v.reshape(1, 1) for v in values], n_boot=20_000, rng=rng)[:, 0]
    assert draws.mean() == pytest.approx(values.mean(), abs=0.02)
    assert draws.std() == pytest.approx(values.std() / np.sqrt(12), rel=0.05)


def test_bootstrap_weighs_patients_not_slides(rng):
    many, few = np.zeros((10, 1)), np.ones((1, 1))
    draws = hierarchical_bootstrap([many, few], n_boot=4000, rng=rng)[:, 0]
    assert set(np.unique(draws)) == {0.0, 0.5, 1.0}
    assert draws.mean() == pytest.approx(0.5, abs=0.03)


def test_bootstrap_variance_by_enumeration(rng):
    patients = [np.array([[0.0], [2.0]]), np.array([[5.0]])]
    outcomes = []
    for pair in product(range(2), repeat=2):
        options = [[np.mean(s) for s in product(patients[p][:, 0], repeat=len(patients[p]))] for p in pair]
        outcomes += [np.mean(c) for c in product(*options) for _ in range(16 // (len(options[0]) * len(options[1])))]
    draws = hierarchical_bootstrap(patients, n_boot=40_000, rng=rng)[:, 0]
    assert draws.mean() == pytest.approx(np.mean(outcomes), abs=0.03)
    assert draws.std() == pytest.approx(np.std(outcomes), rel=0.03)


def test_models_share_their_draws(rng):
    scores = [rng.normal(size=(2, 1)).repeat(2, axis=1) for _ in range(5)]
    draws = hierarchical_bootstrap(scores, n_boot=500, rng=rng)
    np.testing.assert_array_equal(draws[:, 0], draws[:, 1])


def test_interval_covers():
    low, high = interval(np.arange(1001.0)[:, None])
    assert (low[0], high[0]) == pytest.approx((25, 975))
