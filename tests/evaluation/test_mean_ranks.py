from itertools import permutations, product

import numpy as np
import pytest
from scipy import stats

from stfmkit.evaluation.mean_ranks import friedman_p, patient_ranks


def test_ranks_are_within_patient_and_task(rng):
    scores = rng.normal(size=(4, 3, 5))
    expected = np.array([[stats.rankdata(-scores[p, t]) for t in range(3)] for p in range(4)]).mean(axis=1)
    np.testing.assert_allclose(patient_ranks(scores), expected)


def test_scale_of_a_task_does_not_matter(rng):
    scores = rng.normal(size=(4, 2, 5))
    stretched = scores * np.array([1.0, 1000.0])[None, :, None] + 7
    np.testing.assert_array_equal(patient_ranks(scores), patient_ranks(stretched))


def test_p_equals_all_orders():
    ranks = patient_ranks(np.random.default_rng(7).normal([0.8, 0, 0], size=(4, 2, 3)))
    observed = ((ranks.sum(axis=0) - ranks.sum() / 3) ** 2).sum()
    hits = [
        (
            (np.sum([row[list(order)] for row, order in zip(ranks, orders, strict=True)], axis=0) - ranks.sum() / 3)
            ** 2
        ).sum()
        >= observed - 1e-9
        for orders in product(permutations(range(3)), repeat=4)
    ]
    found = friedman_p(ranks, rng=np.random.default_rng(0), n_draws=20_000)
    assert found == pytest.approx(np.mean(hits), abs=0.012)


def test_one_task_of_many_patients_is_the_test_of_friedman(rng):
    scores = rng.normal([0.25, 0, 0, 0], size=(60, 1, 4))
    expected = stats.friedmanchisquare(*scores[:, 0].T).pvalue
    assert friedman_p(patient_ranks(scores), rng=rng) == pytest.approx(expected, abs=0.02)


def test_tasks_of_one_patient_are_no_replication():
    """Tasks that say the same again do not lower p; to count them as patients would."""
    one = np.random.default_rng(3).normal([0.7, 0, 0], size=(6, 1, 3))
    again = np.repeat(one, 5, axis=1)
    first, many = (friedman_p(patient_ranks(x), rng=np.random.default_rng(0)) for x in (one, again))
    assert first == many
    as_patients = friedman_p(patient_ranks(again.reshape(30, 1, 3)), rng=np.random.default_rng(0))
    assert as_patients < 0.5 * many


def test_false_alarms_with_tasks_that_hang_together():
    rng, false, trials = np.random.default_rng(11), 0, 300
    for _ in range(trials):
        scores = rng.normal(size=(6, 1, 4)) + 0.4 * rng.normal(size=(6, 5, 4))
        false += friedman_p(patient_ranks(scores), rng=rng, n_draws=499) < 0.05
    assert false / trials <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / trials)


def test_nothing_to_compare():
    assert friedman_p(np.ones((6, 1)), rng=np.random.default_rng(0)) == 1
    assert friedman_p(np.full((6, 3), 2.0), rng=np.random.default_rng(0)) == 1
