"""The sort by bits, against numpy's stable sort."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stfmkit._kernels._sort_descending import N_DIGITS, sort_descending


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
