import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stfmkit.evaluation.winners_curse import corrected_mean


def by_hand(scores: np.ndarray) -> float:
    total = 0.0
    for p in range(len(scores)):
        rest = np.array([scores[q].tolist() for q in range(len(scores)) if q != p]).mean(axis=0)
        leaders = [m for m in range(scores.shape[1]) if abs(rest[m] - rest.max()) < 1e-9]
        total += np.mean([scores[p, m] for m in leaders])
    return total / len(scores)


@given(st.integers(0, 1000), st.integers(2, 8), st.integers(1, 6))
def test_by_hand_and_never_above_the_mean_of_the_leader(seed, n, k):
    scores = np.random.default_rng(seed).integers(0, 9, size=(n, k)) / 8
    found = corrected_mean(scores)
    assert found == pytest.approx(by_hand(scores))
    assert found <= scores.mean(axis=0).max() + 1e-12


def test_a_clear_leader_needs_no_correction(rng):
    scores = rng.normal([50, 0, 0, 0], size=(6, 4))
    assert corrected_mean(scores) == pytest.approx(scores[:, 0].mean())


def test_one_patient_has_nobody_to_choose_by():
    assert np.isnan(corrected_mean(np.ones((1, 3))))


@pytest.mark.parametrize("gap", [0.0, 0.01])
def test_most_of_the_bias_is_gone(gap):
    rng, raw, left = np.random.default_rng(2), [], []
    truth = 0.3 + np.array([gap, 0, 0, 0, 0, 0])
    for _ in range(2000):
        scores = truth + rng.normal(0, 0.08, size=(6, 1)) + rng.normal(0, 0.03, size=(6, 6))
        lead = scores.mean(axis=0).argmax()
        raw.append(scores[:, lead].mean() - truth[lead])
        left.append(corrected_mean(scores) - truth[lead])
    assert np.mean(raw) > 0.01
    assert abs(np.mean(left)) < 0.25 * np.mean(raw)


def test_it_is_right_over_all_comparisons_and_not_in_each():
    """Where the same contender leads whoever is left out nothing is corrected, and the mean is still too high."""
    rng, same, other = np.random.default_rng(3), [], []
    for _ in range(6000):
        scores = rng.normal(0, 0.03, size=(6, 8))  # all are equal: the true mean is 0
        found = corrected_mean(scores)
        (same if found == pytest.approx(scores.mean(axis=0).max(), abs=1e-9) else other).append(found)
    assert len(same) / 6000 == pytest.approx(0.22, abs=0.02)
    assert np.mean(same) == pytest.approx(0.024, abs=0.001)
    assert np.mean(other) == pytest.approx(-0.007, abs=0.001)
    assert abs(np.mean(same + other)) < 0.001
