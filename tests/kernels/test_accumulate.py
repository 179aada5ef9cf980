"""Sums by key are exact and do not depend on the chunks."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stfmkit._kernels._accumulate import Tally

KEYS = st.lists(st.integers(-(2**62), 2**62) | st.integers(0, 6), max_size=60)


@settings(deadline=None)
@given(keys=KEYS, size=st.integers(1, 70))
def test_counts_like_counter(keys: list[int], size: int) -> None:
    tally = Tally()
    for start in range(0, len(keys), size):
        tally.add(np.array(keys[start : start + size], dtype=np.int64))
    found, sums = tally.result()
    assert dict(zip(found.tolist(), sums.tolist(), strict=True)) == dict(Counter(keys))
    assert (np.diff(found) > 0).all()


@settings(deadline=None)
@given(keys=st.lists(st.integers(0, 5), max_size=40), size=st.integers(1, 9))
def test_weights_are_summed(keys: list[int], size: int) -> None:
    weights = (np.arange(len(keys)) + 1) * 2**40
    tally = Tally(2)
    for start in range(0, len(keys), size):
        rows = slice(start, start + size)
        tally.add(np.array(keys[rows], dtype=np.int64), weights[rows], -weights[rows])
    found, sums = tally.result()
    for key, (up, down) in zip(found.tolist(), sums.tolist(), strict=True):
        assert up == sum(int(w) for k, w in zip(keys, weights, strict=True) if k == key) == -down
    assert set(found.tolist()) == set(keys)


def test_empty() -> None:
    tally = Tally()
    tally.add(np.empty(0, np.int64))
    keys, sums = tally.result()
    assert keys.size == sums.size == 0
    assert keys.dtype == sums.dtype == np.int64


def test_merges_on_the_way_change_nothing() -> None:
    rng = np.random.default_rng(0)
    parts = [rng.integers(0, 10**9, size=600_000) for _ in range(4)]  # above the size at which parts are merged
    tally = Tally()
    for part in parts:
        tally.add(part)
    keys, sums = tally.result()
    expected = np.unique(np.concatenate(parts), return_counts=True)
    np.testing.assert_array_equal(keys, expected[0])
    np.testing.assert_array_equal(sums, expected[1])
    np.testing.assert_array_equal(tally.result()[1], expected[1])  # asking twice is harmless
