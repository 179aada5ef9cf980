import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stfmkit.evaluation.best_set import best_set, rank_intervals
from stfmkit.evaluation.sign_flips import flipped_pairs


def test_ranks_are_counted_by_hand():
    means = np.array([0.2, 0.9, 0.5, 0.8])
    p = np.ones((4, 4))
    for i, j in [(0, 1), (0, 3), (1, 2)]:  # 0 is worse than 1 and 3, 2 is worse than 1
        p[i, j] = p[j, i] = 0.03
    low, high = rank_intervals(means, p)
    assert low.tolist() == [3, 1, 2, 1]
    assert high.tolist() == [4, 2, 4, 3]
    assert best_set(means, p).tolist() == [False, True, False, True]


def test_without_a_decision_every_rank_is_possible():
    low, high = rank_intervals(np.array([0.1, 0.2, 0.3]), np.ones((3, 3)))
    assert (low.tolist(), high.tolist()) == ([1, 1, 1], [3, 3, 3])


def test_all_decided_leaves_one_order():
    low, high = rank_intervals(np.array([0.1, 0.3, 0.2]), np.full((3, 3), 0.001))
    assert low.tolist() == high.tolist() == [3, 1, 2]


@given(st.integers(0, 10_000))
def test_who_is_worse_than_anybody_is_worse_than_the_leader(seed):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(7, 5)) + rng.normal(0, 1.5, size=5)
    means, p = scores.mean(axis=0), flipped_pairs(scores, rng=rng)
    leader = means.argmax()
    np.testing.assert_array_equal(best_set(means, p), p[leader] >= 0.05)
    low, high = rank_intervals(means, p)
    place = (-means).argsort().argsort() + 1
    assert ((low <= place) & (place <= high)).all()


def test_true_ranks_lie_in_their_intervals():
    rng, held, best, trials = np.random.default_rng(1), 0, 0, 300
    truth = np.array([0.05, 0.05, 0.02, 0.0])
    for _ in range(trials):
        scores = truth + rng.normal(0, 0.03, size=(10, 4))
        means, p = scores.mean(axis=0), flipped_pairs(scores, rng=rng)
        low, high = rank_intervals(means, p)
        # of contenders that are level, each rank of the tie is a true one
        better, worse = (truth[:, None] < truth).sum(axis=1), (truth[:, None] > truth).sum(axis=1)
        held += bool(((low <= 1 + better) & (high >= 4 - worse)).all())
        best += bool(best_set(means, p)[[0, 1]].all())
    assert held / trials >= 0.91
    assert best / trials >= 0.91
