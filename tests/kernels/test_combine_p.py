"""Cauchy combination on the log scale."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from stfmkit._kernels._combine_p import log_cauchy, over_patients_log_p


@given(st.lists(st.floats(1e-12, 0.998), min_size=1, max_size=8))
def test_equals_the_formula_with_scipys_cauchy(p):
    want = stats.cauchy.sf(np.mean(np.tan((0.5 - np.array(p)) * np.pi)))
    assert np.exp(log_cauchy(np.log(p))) == pytest.approx(want, rel=1e-3)


def test_one_p_value_is_itself_however_small():
    log_p = np.array([[-1.0, -50.0, -199.0, -201.0, -5000.0]])
    np.testing.assert_allclose(log_cauchy(log_p), log_p[0], rtol=1e-9)


def test_tiny_values_are_a_harmonic_mean():
    np.testing.assert_allclose(log_cauchy(np.array([[-3000.0], [-3000.0 + np.log(2)]])), -3000 - np.log(0.75))
    np.testing.assert_allclose(log_cauchy(np.array([[-3000.0], [np.log(0.9)]])), -3000 + np.log(2))


def test_the_two_branches_meet():
    below, above = (log_cauchy(np.array([[t], [-150.0], [-3.0]]))[0] for t in (-200 - 1e-9, -200 + 1e-9))
    assert below == pytest.approx(above, abs=1e-8)


def test_nan_is_left_out_and_one_does_not_drown_the_rest():
    p = np.array([[0.01, np.nan, 1.0], [np.nan, np.nan, 1e-8]])
    got = np.exp(log_cauchy(np.log(p)))
    assert got[0] == pytest.approx(0.01)
    assert np.isnan(got[1])
    assert got[2] < 1e-7


def test_uniform_stays_uniform(rng):
    p = rng.uniform(size=(11, 20_000))
    p[5:] = p[4]  # seven of them the same: any dependence is fine
    got = np.exp(log_cauchy(np.log(p)))
    for level in (0.05, 0.01, 0.001):
        assert (got < level).mean() == pytest.approx(level, rel=0.25, abs=0.0005)


def test_patients_count_alike_and_flat_samples_are_neutral():
    log_p = np.log(np.array([[0.02, np.nan], [0.02, 0.02], [0.5, 0.02], [0.5, np.nan]]))
    patients = np.array([4, 4, 7, 9])
    cot = 1 / np.tan(np.pi * 0.02)
    got = np.exp(over_patients_log_p(log_p, patients))
    assert got[0] == pytest.approx(stats.cauchy.sf(cot / 3))
    assert got[1] == pytest.approx(stats.cauchy.sf((cot / 2 + cot) / 3), rel=1e-6)
    measured = ~np.isnan(log_p)
    left_out = np.exp(over_patients_log_p(log_p, patients, measured=measured))
    assert left_out[1] == pytest.approx(0.02)
