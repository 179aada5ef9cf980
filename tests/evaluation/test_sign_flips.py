"""The test of all pairs, against enumeration written anew, scipy, and cohorts in which nothing differs."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import permutation_test

from stfmkit.evaluation.sign_flips import critical_difference, flipped_pairs


def p_of(scores, **options) -> np.ndarray:
    return flipped_pairs(np.asarray(scores, dtype=float), rng=np.random.default_rng(0), **options)


def enumerated(scores: np.ndarray) -> np.ndarray:
    """The same by loops over all 2**n flips and all pairs, step by step."""
    n, k = scores.shape
    pairs = list(combinations(range(k), 2))
    sums = {(i, j): abs(sum(scores[p, i] - scores[p, j] for p in range(n))) for i, j in pairs}
    flips = list(product((1, -1), repeat=n))
    p_values, before = np.ones((k, k)), 0.0
    for pair in sorted(pairs, key=lambda pair: -sums[pair]):
        left = [other for other in pairs if sums[other] <= sums[pair] + 1e-9]
        hits = sum(
            max(abs(sum(s * (scores[p, i] - scores[p, j]) for p, s in enumerate(flip))) for i, j in left)
            >= sums[pair] - 1e-9
            for flip in flips
        )
        before = max(before, hits / len(flips))
        p_values[pair] = p_values[pair[::-1]] = before
    return p_values


SCORES = arrays(np.float64, st.tuples(st.integers(2, 6), st.integers(2, 4)), elements=st.integers(-20, 20).map(float))


@settings(max_examples=40, deadline=None)
@given(SCORES)
def test_equals_enumeration(scores):
    np.testing.assert_allclose(p_of(scores / 10), enumerated(scores / 10))


@pytest.mark.parametrize("n", [3, 6, 9])
def test_one_pair_equals_scipy(n, rng):
    scores = rng.normal(0.4, 1, size=(n, 2))
    d = scores[:, 0] - scores[:, 1]
    expected = permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert p_of(scores)[0, 1] == pytest.approx(expected)


@pytest.mark.parametrize("n", [2, 6, 8, 12])
@pytest.mark.parametrize("k", [2, 5, 8])
def test_the_smallest_p_does_not_depend_on_the_number_of_contenders(n, k):
    apart = np.arange(k)[::-1] + np.arange(n)[:, None] / 100
    np.testing.assert_array_equal(p_of(apart)[~np.eye(k, dtype=bool)], 2 / 2**n)


def test_a_far_outsider_hides_no_decision():
    """The closest pair, ahead in six of six patients, is decided although another contender is far below."""
    wobble = np.array([0.02, 0.03, 0.025, 0.02, 0.03, 0.028])
    scores = np.column_stack([0.5 + wobble, np.full(6, 0.5), np.full(6, -3.0)])
    assert p_of(scores)[0, 1] == 2 / 64


def test_nothing_to_compare():
    assert p_of(np.zeros((6, 1))).tolist() == [[1.0]]
    assert (p_of(np.zeros((6, 3))) == 1).all()
    assert (p_of(np.zeros((0, 3))) == 1).all()


@settings(max_examples=40, deadline=None)
@given(SCORES, st.randoms(use_true_random=False))
def test_order_of_patients_and_contenders_and_direction_do_not_matter(scores, random):
    scores = scores / 7
    n, k = scores.shape
    rows, columns = random.sample(range(n), n), random.sample(range(k), k)
    p = p_of(scores)
    np.testing.assert_allclose(p_of(scores[rows][:, columns]), p[np.ix_(columns, columns)])
    np.testing.assert_allclose(p_of(-scores), p)
    np.testing.assert_allclose(p_of(scores + np.arange(n)[:, None] * 3), p)  # what a patient adds to all


@settings(max_examples=40, deadline=None)
@given(SCORES)
def test_p_falls_with_the_difference(scores):
    scores = scores / 7
    p, mean = p_of(scores), scores.mean(axis=0)
    first, second = np.triu_indices(scores.shape[1], 1)
    order = np.argsort(np.abs(mean[first] - mean[second]).round(12))
    assert (np.diff(p[first, second][order]) <= 1e-12).all()
    assert (p[first, second] >= 2 / 2 ** len(scores)).all()


def test_adjusted_p_is_never_below_that_of_the_pair_alone(rng):
    scores = rng.normal([0.8, 0.5, 0.2, 0, 0], size=(7, 5))
    p = p_of(scores)
    for i, j in combinations(range(5), 2):
        assert p[i, j] >= p_of(scores[:, [i, j]])[0, 1] - 1e-12


def test_random_signs_are_close_to_all_signs(rng):
    scores = rng.normal([0.5, 0.3, 0, 0], size=(14, 4))
    drawn = p_of(scores, exact_up_to=5, n_draws=20_000)
    np.testing.assert_allclose(drawn, p_of(scores), atol=0.012)
    far = p_of(scores + np.array([99, 0, 0, 0]), exact_up_to=5, n_draws=999)
    assert far[0, 1] == pytest.approx(1 / 1000, abs=0.0011)  # (hits + 1) / (n + 1): never 0


def test_same_seed_same_p(rng):
    scores = rng.normal(size=(25, 3))
    np.testing.assert_array_equal(p_of(scores, n_draws=500), p_of(scores, n_draws=500))


@settings(max_examples=40, deadline=None)
@given(arrays(np.float64, st.tuples(st.integers(6, 8), st.integers(2, 4)), elements=st.integers(-9, 9).map(float)))
def test_pairs_beyond_the_critical_difference_are_those_told_apart(scores):
    p, mean = p_of(scores), scores.mean(axis=0)
    critical = critical_difference(scores, p, rng=np.random.default_rng(0))
    apart = np.abs(mean[:, None] - mean) > critical + 1e-9
    np.testing.assert_array_equal(apart, p < 0.05)


def test_no_critical_difference_without_a_pair():
    assert np.isnan(critical_difference(np.zeros((6, 1)), np.ones((1, 1)), rng=np.random.default_rng(0)))


@pytest.mark.parametrize("better", [0.0, 1.0])
def test_a_false_decision_is_as_rare_as_promised(better):
    """Equal contenders, all of them or all but a far better one: any false decision in at most 5 % of cohorts."""
    rng, false, trials = np.random.default_rng(3), 0, 600
    for _ in range(trials):
        scores = rng.normal(0.3, 0.08, size=(8, 1)) + rng.normal(0, 0.03, size=(8, 5))
        scores[:, 0] += better
        p = p_of(scores)
        false += (p[1:, 1:] < 0.05).any() or (better == 0 and (p < 0.05).any())
    assert false / trials <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / trials)
