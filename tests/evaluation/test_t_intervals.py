import numpy as np
import pytest
from scipy import stats

from stfmkit.evaluation.t_intervals import difference_intervals, mean_interval


def test_mean_equals_scipy(rng):
    values = rng.normal(size=(7, 3))
    low, high = mean_interval(values, level=0.9)
    for i in range(3):
        expected = stats.ttest_1samp(values[:, i], 0).confidence_interval(0.9)
        assert (low[i], high[i]) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("n", [0, 1])
def test_one_patient_has_no_interval(n):
    low, high = mean_interval(np.ones((n, 2)))
    assert np.isnan([low, high]).all()


def test_differences_are_paired_t_at_the_level_of_all_pairs(rng):
    scores = rng.normal(size=(6, 4))
    low, high = difference_intervals(scores)
    for i in range(4):
        for j in set(range(4)) - {i}:
            expected = stats.ttest_rel(scores[:, i], scores[:, j]).confidence_interval(1 - 0.05 / 6)
            assert (low[i, j], high[i, j]) == pytest.approx((expected.low, expected.high))
            assert low[i, j] == pytest.approx(-high[j, i])
    assert np.diag(low).tolist() == [0, 0, 0, 0]


def test_they_hold_together_as_often_as_they_say():
    rng, hits, trials = np.random.default_rng(5), 0, 400
    for _ in range(trials):
        low, high = difference_intervals(rng.normal(size=(6, 5)) + np.arange(5))
        truth = np.arange(5)[:, None] - np.arange(5)
        hits += ((low <= truth + 1e-9) & (truth - 1e-9 <= high)).all()
    assert hits / trials >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / trials)
