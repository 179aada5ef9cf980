"""Sorting by digits: numpy's sort as the reference."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stfmkit._kernels import _radix
from stfmkit._kernels._radix import N_DIGITS, scratch, sort_descending, sort_keys, tied

LOW = np.uint64(0xFFFFFFFF)
NUMBERS = st.lists(
    st.one_of(
        st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: x != 0),
        st.sampled_from([1.0, 1.0 + 2**-50, 1.0 + 2**-51, -3.0, 5e-324, -5e-324, 1e308]),
    ),
    min_size=0,
    max_size=80,
)


def check(values):
    room = scratch(len(values) + 3)
    room.numbers[: len(values)] = values
    keys = sort_keys(room, len(values))
    order = (keys & LOW).astype(int)
    assert sorted(order.tolist()) == list(range(len(values)))
    np.testing.assert_array_equal(values[order], np.sort(values))
    same = [tied(b, a) for a, b in itertools.pairwise(keys)]
    assert same == (np.diff(np.sort(values)) == 0).tolist()


@settings(deadline=None)
@given(NUMBERS)
def test_order_and_ties_equal_numpy(values):
    check(np.array(values))


@pytest.mark.parametrize("n", [3, 200, 5_000])
def test_values_of_expression(rng, n):
    check(np.log1p((rng.poisson(0.3, size=n) + 1) * (20 / rng.integers(1, 40, size=n))))
    check(rng.poisson(3, size=n) + 1.0)
    check(rng.normal(size=n))
    check(np.ones(n))


def test_one_far_value_leaves_the_others_in_one_run(rng):
    """All but one agree in the digits that are counted."""
    near = 1 + rng.permutation(2_000) * 2.0**-40
    check(np.append(near, 1e300))
    check(np.append(near[: _radix._RUN], 1e300))


def test_plain_python_twins_agree(monkeypatch, rng):
    for name in ("_rising", "_width", "_limits", "_deal", "_settle", "_finish"):
        monkeypatch.setattr(_radix, name, getattr(_radix, name).py_func)
    for values in (np.append(1 + rng.permutation(30) * 2.0**-40, -1e300), rng.normal(size=9), np.ones(4), np.empty(0)):
        room = scratch(len(values))
        room.numbers[:] = values
        keys = _radix.sort_keys.py_func(room, len(values))
        np.testing.assert_array_equal(values[(keys & LOW).astype(int)], np.sort(values))
        assert [tied.py_func(b, a) for a, b in itertools.pairwise(keys)] == (np.diff(np.sort(values)) == 0).tolist()


def sorted_by_bits(values: np.ndarray) -> np.ndarray:
    n = len(values)
    keys, order = np.empty((2, n + 3), dtype=np.uint64), np.empty(n + 3, dtype=np.int64)
    return sort_descending(values, keys, order, np.empty((N_DIGITS, 256), dtype=np.int64))


@settings(deadline=None)  # the first call compiles
@given(
    values=arrays(
        np.float64,
        st.integers(0, 60),
        elements=st.one_of(
            st.sampled_from([0.0, -0.0, 1.0, 2.0, -2.0, 1e-300, 1e300, -1e300]),
            st.floats(allow_nan=False, allow_infinity=False),
        ),
    )
)
def test_it_equals_a_stable_sort(values: np.ndarray) -> None:
    np.testing.assert_array_equal(sorted_by_bits(values), np.argsort(-values, kind="stable"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_any_numbers_are_sorted(dtype: type, rng: np.random.Generator) -> None:
    values = rng.poisson(3.0, size=500).astype(dtype)
    np.testing.assert_array_equal(sorted_by_bits(values), np.argsort(-values, kind="stable"))


def test_numbers_that_differ_in_their_last_digits_only(rng: np.random.Generator) -> None:
    values = 1.0 + np.append(rng.integers(0, 2**20, size=500), [7, 7]) * 2.0**-52
    np.testing.assert_array_equal(sorted_by_bits(values), np.argsort(-values, kind="stable"))
    np.testing.assert_array_equal(sorted_by_bits(np.sort(values)), np.argsort(-np.sort(values), kind="stable"))
