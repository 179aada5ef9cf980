"""The table of what can be seen, against cases with a formula, scipy, and a simulation of its own."""

import numpy as np
import pytest
from scipy import stats

from stfmkit.evaluation.detectable import detectable_difference, power_of
from stfmkit.evaluation.sign_flips import flipped_pairs


@pytest.mark.parametrize("power", [0.5, 0.8])
def test_two_contenders_and_six_patients_need_six_wins(power):
    """The test decides if all six differences have one sign: power = P(one difference is positive) ** 6."""
    expected = stats.norm.ppf(power ** (1 / 6))
    assert detectable_difference(1.0, n_patients=6, n_contenders=2, power=power) == pytest.approx(expected, rel=0.03)


def test_many_patients_are_about_the_paired_t_test():
    found = detectable_difference(1.0, n_patients=40, n_contenders=2)
    limit = stats.t.ppf(0.975, 39)
    assert stats.nct.sf(limit, 39, float(found) * np.sqrt(40)) == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize(("n", "k"), [(7, 3), (10, 6), (14, 4)])
def test_a_simulation_finds_it_as_often(n, k):
    rng, trials, found = np.random.default_rng(8), 500, 0.0
    delta = float(detectable_difference(0.05, n_patients=n, n_contenders=k))
    for _ in range(trials):
        scores = rng.normal(0, 0.3, size=(n, 1)) + rng.normal(0, 0.05 / np.sqrt(2), size=(n, k))
        scores[:, 0] += delta
        found += (flipped_pairs(scores, rng=rng, exact_up_to=11, n_draws=999)[0, 1:] < 0.05).mean()
    assert found / trials == pytest.approx(0.8, abs=0.06)


@pytest.mark.parametrize("k", [2, 4, 8, 30])
def test_more_patients_see_less_more_contenders_hide_more(k):
    sizes = [float(detectable_difference(1.0, n_patients=n, n_contenders=k)) for n in (6, 7, 9, 13, 20, 33, 40, 41, 80)]
    assert (np.diff(sizes) < 0).all()
    more = float(detectable_difference(1.0, n_patients=9, n_contenders=k + 5))
    assert more > float(detectable_difference(1.0, n_patients=9, n_contenders=k))


def test_power_is_the_other_side_of_the_same_table():
    for power in (0.5, 0.8, 0.9):
        size = detectable_difference(0.04, n_patients=11, n_contenders=6, power=power)
        assert power_of(-size, 0.04, n_patients=11, n_contenders=6) == pytest.approx(power)


def test_units_and_arrays():
    sizes = detectable_difference(np.array([0.01, 0.02]), n_patients=8, n_contenders=3)
    assert sizes[1] == pytest.approx(2 * sizes[0])
    assert np.isnan(power_of(0.1, 0.0, n_patients=8, n_contenders=3))


@pytest.mark.parametrize(("n", "k"), [(5, 2), (0, 3), (8, 1)])
def test_nothing_can_be_seen(n, k):
    assert np.isnan(detectable_difference(1.0, n_patients=n, n_contenders=k))
    assert np.isnan(power_of(1.0, 1.0, n_patients=n, n_contenders=k))
