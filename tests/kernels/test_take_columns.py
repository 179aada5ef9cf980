"""Columns in another order, against scipy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from stfmkit._kernels._take_columns import take_columns


@settings(deadline=None)  # the first call compiles
@given(
    seed=st.integers(0, 10_000),
    n_rows=st.integers(1, 40),
    n_new=st.sampled_from([1, 5, 63, 64, 65, 200]),
    dtype=st.sampled_from([np.float32, np.float64, np.int64]),
)
def test_rows_equal_a_product_with_an_indicator(seed: int, n_rows: int, n_new: int, dtype: type) -> None:
    draw = np.random.default_rng(seed)
    counts = sparse.csr_array(draw.poisson(0.5, size=(n_rows, 90)).astype(dtype))
    counts.data[: counts.nnz // 5] = 0  # stored zeros
    places = draw.integers(-1, n_new, size=90)
    indicator = np.zeros((90, n_new), dtype=dtype)
    indicator[places >= 0, places[places >= 0]] = 1
    indptr, indices, values = take_columns((counts.indptr, counts.indices, counts.data), places, n_new)
    found = sparse.csr_array((values, indices, indptr), shape=(n_rows, n_new))
    np.testing.assert_array_equal(found.toarray(), counts.toarray() @ indicator)
    assert found.has_canonical_format
    assert (values != 0).all()
    assert values.dtype == dtype


def test_values_stored_twice_and_out_of_order_are_added_up() -> None:
    csr = np.array([0, 4, 4]), np.array([2, 0, 2, 1]), np.array([1.0, 2.0, 3.0, 4.0], dtype=np.float32)
    indptr, indices, values = take_columns(csr, np.array([70, -1, 3]), 80)
    assert indptr.tolist() == [0, 2, 2]
    assert indices.tolist() == [3, 70]
    assert values.tolist() == [4.0, 2.0]


@pytest.mark.parametrize("n_rows", [0, 3])
def test_no_values(n_rows: int) -> None:
    csr = np.zeros(n_rows + 1, dtype=np.int32), np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32)
    indptr, indices, values = take_columns(csr, np.array([0, 1]), 2)
    assert indptr.tolist() == [0] * (n_rows + 1)
    assert len(indices) == len(values) == 0
