"""Ranks of sparse columns: scipy's ranks of the dense matrix as the reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse
from scipy.stats import rankdata

from stfmkit._kernels import _ranks
from stfmkit._kernels._ranks import rank_sums, shifted_ranks

# few values, so that ties, zeros and negative numbers are frequent
VALUES = arrays(np.float64, (12, 3), elements=st.sampled_from([-2.0, -0.5, 0.0, 0.0, 0.0, 1.0, 1.0, 3.5]))
CODES = arrays(np.int64, 12, elements=st.integers(0, 2))


def slow_sums(values, codes, n_groups):
    ranks = rankdata(values, axis=0)
    return np.stack([ranks[codes == k].sum(axis=0) for k in range(n_groups)])


@settings(deadline=None)
@given(VALUES, CODES)
def test_rank_sums_equal_scipy(values, codes):
    expected = slow_sums(values, codes, 4)  # group 3 is empty
    np.testing.assert_allclose(rank_sums(values, codes=codes, n_groups=4), expected)
    for as_ in (sparse.csr_array, sparse.csc_array):
        np.testing.assert_allclose(rank_sums(as_(values), codes=codes, n_groups=4), expected)


@settings(deadline=None)
@given(VALUES)
def test_shifted_ranks_are_ranks_up_to_a_shift(values):
    ranks, found = rankdata(values, axis=0), shifted_ranks(sparse.csr_array(values)).toarray()
    np.testing.assert_allclose(found - found.mean(axis=0), ranks - ranks.mean(axis=0), atol=1e-12)
    assert (found[values == 0] == 0).all()


def test_stored_zeros_and_duplicates_are_read_as_their_sum():
    data, rows, cols = [1.0, -1.0, 2.0, 0.0, 5.0], [0, 0, 1, 2, 3], [0, 0, 0, 0, 0]
    stored = sparse.coo_array((data, (rows, cols)), shape=(4, 1)).tocsr()
    stored.data[stored.data == 0] = 0.0
    codes = np.array([0, 0, 1, 1])
    np.testing.assert_allclose(rank_sums(stored, codes=codes, n_groups=2), [[4.5], [5.5]])
    np.testing.assert_allclose(shifted_ranks(stored).toarray().ravel(), [0, 1.5, 0, 2.5])


def test_the_input_stays_as_it_was():
    stored = sparse.csc_array((np.array([0.0, 2.0]), np.array([0, 1]), np.array([0, 2])), shape=(3, 1))
    rank_sums(stored, codes=np.zeros(3, dtype=int), n_groups=1)
    shifted_ranks(stored)
    assert stored.nnz == 2


@pytest.mark.parametrize("column", [[0, 0, 0, 0], [1, 2, 2, 5], [-3, -3, 0, 0], [-1, 0, 0, 4]])
def test_plain_python_twins_agree(column, monkeypatch):
    values, codes = np.array(column, dtype=float)[:, None], np.array([0, 1, 0, 1])
    monkeypatch.setattr(_ranks, "_add_rank_sums", _ranks._add_rank_sums.py_func)
    monkeypatch.setattr(_ranks, "rank_sums_sparse", _ranks.rank_sums_sparse.py_func)
    monkeypatch.setattr(_ranks, "rank_sums_dense", _ranks.rank_sums_dense.py_func)
    monkeypatch.setattr(_ranks, "_shifted_ranks", _ranks._shifted_ranks.py_func)
    expected = slow_sums(values, codes, 2)
    for X in (values, sparse.csr_array(values)):
        np.testing.assert_allclose(_ranks.rank_sums(X, codes=codes, n_groups=2), expected)
    ranks = rankdata(values, axis=0)
    found = _ranks.shifted_ranks(sparse.csr_array(values)).toarray()
    np.testing.assert_allclose(found - found.mean(axis=0), ranks - ranks.mean(axis=0), atol=1e-12)
