import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from stfmkit.evaluation.rank_stability import rank_stability


@given(st.integers(0, 1000), st.integers(2, 6), st.integers(2, 5))
def test_concordance_is_the_mean_correlation_of_ranks(seed, m, k):
    """Without ties W = ((m - 1) r + 1) / m, with r the mean of Spearman's over all pairs of repeats."""
    scores = np.random.default_rng(seed).normal(size=(m, k))
    ranks = stats.rankdata(scores, axis=1)
    r = np.mean([np.corrcoef(ranks[i], ranks[j])[0, 1] for i in range(m) for j in range(i)])
    assert rank_stability(scores).concordance == pytest.approx(((m - 1) * r + 1) / m)


def test_ties_are_corrected_for():
    scores = np.array([[1.0, 1.0, 0.0], [2.0, 2.0, 1.0], [5.0, 5.0, 0.0]])
    found = rank_stability(scores)
    assert found.concordance == pytest.approx(1)
    assert found.leads.tolist() == [0.5, 0.5, 0]
    assert found.mean_rank.tolist() == [1.5, 1.5, 3]
    assert found.sd_rank.tolist() == [0, 0, 0]


def test_one_repeat_tells_no_stability():
    found = rank_stability(np.array([[0.1, 0.3]]))
    assert np.isnan(found.concordance)
    assert np.isnan(found.sd_rank).all()
    assert found.leads.tolist() == [0, 1]


def test_all_level():
    assert np.isnan(rank_stability(np.ones((3, 4))).concordance)
