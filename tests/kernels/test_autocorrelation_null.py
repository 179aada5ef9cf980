"""The null of Moran's I and Geary's C: all orders of six observations as the oracle, and squidpy."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, stats

from stfmkit._kernels._autocorrelation import gearys_c, morans_i
from stfmkit._kernels._autocorrelation_null import (
    expectation,
    kurtosis_of,
    permutation_null,
    permuted,
    variance_normal,
    variance_random,
    weight_moments,
)

KINDS = {"moran": morans_i, "geary": gearys_c}


def lopsided(rng: np.random.Generator, n: int) -> sparse.csr_array:
    """Weights that are neither symmetric nor normalised, without loops."""
    weights = np.where(rng.uniform(size=(n, n)) < 0.5, rng.uniform(0.2, 2, (n, n)), 0.0)
    np.fill_diagonal(weights, 0)
    weights[0, 1] = 1.0
    return sparse.csr_array(weights)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_moments_are_those_of_all_orders(kind, seed):
    """720 orders of six values, as 720 genes: mean and variance under randomisation are exact."""
    rng = np.random.default_rng(seed)
    graph, values = lopsided(rng, 6), rng.gamma(1, size=6)
    every = KINDS[kind](sparse.csr_array(np.array(list(permutations(values))).T), graph)
    moments = weight_moments(graph)
    kurtosis = kurtosis_of(sparse.csr_array(values[:, None]))
    assert every.mean() == pytest.approx(expectation(kind, 6), rel=1e-9)
    assert every.var() == pytest.approx(variance_random(kind, moments, kurtosis)[0], rel=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_variance_under_normality_is_that_of_normal_draws(kind, rng):
    graph = lopsided(rng, 12)
    found = KINDS[kind](sparse.csr_array(rng.normal(size=(12, 40_000))), graph)
    assert found.var() == pytest.approx(variance_normal(kind, weight_moments(graph)), rel=0.03)


def test_weight_moments_are_squidpys(rng):
    from squidpy.gr._ppatterns import _g_moments

    graph = lopsided(rng, 15)
    np.testing.assert_allclose(weight_moments(graph)[:3], _g_moments(sparse.csr_matrix(graph)))


def test_kurtosis_is_scipys(rng):
    dense = np.where(rng.uniform(size=(50, 6)) < 0.4, rng.gamma(1, size=(50, 6)), 0.0)
    dense[:, 2] = 0
    got = kurtosis_of(sparse.csr_array(dense))
    keep = [0, 1, 3, 4, 5]
    np.testing.assert_allclose(got[keep], stats.kurtosis(dense[:, keep], fisher=False))
    assert np.isnan(got[2])


@pytest.mark.parametrize("kind", KINDS)
def test_permuted_values_are_those_of_moved_rows(kind, rng):
    """Seeded orders, one for all genes; 70 of them, so that a second block is needed."""
    x = sparse.csr_array(rng.poisson(1.0, (30, 4)).astype(float))
    graph = lopsided(rng, 30)
    got = list(permuted(x, graph, statistic=kind, n_permutations=70, rng=np.random.default_rng(3)))
    assert [len(block) for block in got] == [64, 6]
    twin = np.random.default_rng(3)
    want = [KINDS[kind](sparse.csr_array(x[twin.permutation(30)]), graph) for _ in range(70)]
    np.testing.assert_allclose(np.concatenate(got), want, rtol=1e-9, atol=1e-12)


def test_counts_mean_and_variance_of_orders(rng):
    x = sparse.csr_array(rng.poisson(1.0, (25, 5)).astype(float))
    graph = lopsided(rng, 25)
    options = {"statistic": "moran", "n_permutations": 100}
    observed = morans_i(x, graph)
    got = permutation_null(x, graph, observed=observed, rng=np.random.default_rng(0), **options)
    sims = np.concatenate(list(permuted(x, graph, rng=np.random.default_rng(0), **options)))
    np.testing.assert_array_equal(got.at_least, (sims >= observed).sum(axis=0))
    np.testing.assert_array_equal(got.at_most, (sims <= observed).sum(axis=0))
    np.testing.assert_allclose(got.mean, sims.mean(axis=0))
    np.testing.assert_allclose(got.variance, sims.var(axis=0))


def test_ties_count_for_both_sides():
    """One spot on a ring: every order gives the same value up to rounding, and none of them is evidence."""
    ring = sparse.csr_array(np.roll(np.eye(9), 1, axis=1) * 0.3 + np.roll(np.eye(9), -1, axis=1) * 0.3)
    x = sparse.csr_array(np.eye(9)[:, :1] * 0.1)
    got = permutation_null(
        x, ring, observed=morans_i(x, ring), statistic="moran", n_permutations=50, rng=np.random.default_rng(0)
    )
    assert got.at_least[0] == got.at_most[0] == 50
