"""An order of rows that follows from their content, and groups numbered by size."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stfmkit.evaluation.canonical import canonical_order, numbers_by_size

TABLES = hnp.arrays(np.float64, st.tuples(st.integers(1, 30), st.integers(1, 3)), elements=st.floats(-2, 2, width=16))


@given(TABLES, st.randoms(use_true_random=False))
def test_any_permutation_gives_the_same_rows(values, random):
    order = list(range(len(values)))
    random.shuffle(order)
    turned = values[order]
    np.testing.assert_array_equal(values[canonical_order(values)], turned[canonical_order(turned)])
    assert sorted(canonical_order(values)) == list(range(len(values)))


def test_zero_has_one_sign():
    values = np.array([[0.0], [1.0], [-0.0]])
    assert canonical_order(values).tolist() in ([0, 2, 1], [1, 0, 2])


def test_groups_are_numbered_from_the_largest():
    assert numbers_by_size(np.array([2, 2, 2, 0, 1, 1]), 3).tolist() == [2, 1, 0]


def test_groups_of_one_size_go_by_their_first_row():
    assert numbers_by_size(np.array([1, 0, 0, 1]), 2).tolist() == [1, 0]


def test_empty_groups_come_last():
    assert numbers_by_size(np.array([2, 2]), 4).tolist()[2] == 0
