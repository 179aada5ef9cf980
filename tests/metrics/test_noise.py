"""Noise ceilings: formulas, and simulated data of known reliability."""

import numpy as np
import pytest
from scipy import stats

from stfmkit._core.errors import InputError, InputTypeError
from stfmkit.metrics import ceiling_normalized, pearson, pearson_ceiling, split_half_reliability


def test_reliability_is_spearman_brown_of_pearson(rng):
    a = rng.normal(size=(50, 4))
    b = a + rng.normal(size=(50, 4))
    r = np.array([stats.pearsonr(a[:, g], b[:, g]).statistic for g in range(4)])
    np.testing.assert_allclose(split_half_reliability(a, b), 2 * r / (1 + r))
    np.testing.assert_allclose(split_half_reliability(b, a), split_half_reliability(a, b))


def test_reliability_of_simulated_data_is_the_share_of_signal(rng):
    signal = rng.normal(size=(20_000, 1))
    halves = [signal + rng.normal(size=signal.shape) * np.sqrt(2 * 0.5) for _ in range(2)]
    # noise of variance 1 in each half is 1/2 in their mean: rho = 1 / (1 + 1/2)
    assert split_half_reliability(*halves)[0] == pytest.approx(2 / 3, abs=0.02)


def test_the_truth_itself_reaches_the_ceiling(rng):
    rate = rng.gamma(2, size=(20_000, 1))
    halves = rng.poisson(rate / 2), rng.poisson(rate / 2)
    ceiling = pearson_ceiling(split_half_reliability(*halves))
    assert pearson(halves[0] + halves[1], rate)[0] == pytest.approx(ceiling[0], abs=0.01)


def test_disagreement_is_zero_and_constants_are_undefined():
    a = np.array([[0.0, 1, 5], [1, 1, 6], [2, 1, 7]])
    b = np.array([[2.0, 1, 3], [1, 2, 3], [0, 3, 3]])
    found = split_half_reliability(a, b)
    assert found[0] == 0
    assert np.isnan(found[1:]).all()


def test_ceiling_is_a_root_and_keeps_gaps():
    np.testing.assert_array_equal(pearson_ceiling([0, 0.25, 1, np.nan]), [0, 0.5, 1, np.nan])


def test_normalised_scores_run_from_chance_to_ceiling():
    np.testing.assert_allclose(ceiling_normalized([0.1, 0.3, 0.5, 0.7], ceiling=0.5, chance=0.1), [0, 0.5, 1, 1.5])
    assert np.isnan(ceiling_normalized([0.3], ceiling=[0.1], chance=0.1)).all()
    assert np.isnan(ceiling_normalized(0.3, ceiling=np.nan))
    assert ceiling_normalized([[0.2], [0.4]], ceiling=[0.4, 0.8]).shape == (2, 2)


@pytest.mark.parametrize("value", [-0.1, 1.1, np.inf])
def test_reliabilities_out_of_range_are_refused(value):
    with pytest.raises(InputError, match="reliabilities from"):
        pearson_ceiling([0.5, value])


def test_unusable_halves_are_refused():
    with pytest.raises(InputError, match="half_a of shape"):
        split_half_reliability(np.zeros((3, 2)), np.zeros((3, 1)))
    with pytest.raises(InputTypeError, match="real numbers"):
        ceiling_normalized(["a"], ceiling=1)
