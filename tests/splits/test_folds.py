"""Groups are dealt whole and evenly; with a generator only the order of equals is random."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stfmkit.splits.folds import deal_groups


@given(
    sizes=st.lists(st.integers(1, 30), min_size=2, max_size=20),
    n_folds=st.integers(2, 6),
    seed=st.none() | st.integers(0, 9),
)
def test_groups_stay_whole_and_folds_are_even(sizes, n_folds, seed):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    folds = deal_groups(groups, n_folds, None if seed is None else np.random.default_rng(seed))
    assert all(len(np.unique(folds[groups == g])) == 1 for g in range(len(sizes)))
    load = np.bincount(folds, minlength=n_folds)
    assert load.sum() == len(groups)
    # the fullest fold took its last, and smallest, group when it had the fewest rows
    assert load.max() - load.min() <= max(sizes)
    assert (load > 0).sum() == min(n_folds, len(sizes))


def test_without_a_generator_the_rule_is_the_slow_loop(rng):
    groups = rng.integers(0, 9, 100)
    sizes = {g: int((groups == g).sum()) for g in np.unique(groups)}
    load, expected = [0, 0, 0, 0], {}
    for group in sorted(sizes, key=lambda g: (-sizes[g], g)):
        expected[group] = load.index(min(load))
        load[expected[group]] += sizes[group]
    assert deal_groups(groups, 4, None).tolist() == [expected[g] for g in groups]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_generator_mixes_groups_of_one_size_only(seed):
    groups = np.repeat(np.arange(6), [9, 1, 1, 1, 1, 1])
    fold = deal_groups(groups, 2, np.random.default_rng(seed))
    assert len(set(fold[9:])) == 1
    assert fold[0] != fold[9]
