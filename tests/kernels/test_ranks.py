"""Ranks of sparse columns: scipy's ranks of the dense matrix as the reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from stfmkit._kernels import _ranks
from stfmkit._kernels._ranks import Ranked, group_sums, rank_sums, shifted_ranks
from stfmkit.metrics import auroc_by_group

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


@settings(deadline=None)
@given(VALUES, CODES)
def test_sums_shares_and_ties_come_from_the_same_pass(values, codes):
    expm1 = np.expm1(np.maximum(values, 0))
    expected = np.stack([expm1[codes == k].sum(axis=0) for k in range(4)])
    detected = np.stack([(values[codes == k] > 0).sum(axis=0) for k in range(4)])
    ties = [sum(float(t) ** 3 - t for t in np.unique(c, return_counts=True)[1]) for c in values.T]
    for as_ in (np.asarray, sparse.csr_array, sparse.csc_array):
        found = group_sums(as_(values), codes=codes, n_groups=4, amounts=True)
        np.testing.assert_allclose(found.total, expected)
        np.testing.assert_array_equal(found.detected, detected)
        np.testing.assert_array_equal(found.ties, ties)
        np.testing.assert_allclose(found.ranks, slow_sums(values, codes, 4))


def test_threads_and_blocks_change_no_bit(rng, monkeypatch):
    X = sparse.random_array((300, 40), density=0.3, rng=rng, format="csr")
    codes = rng.integers(0, 3, size=300)
    whole = group_sums(X, codes=codes, n_groups=3, amounts=True)
    monkeypatch.setattr("stfmkit._kernels._columns._LEAST_BLOCK", 100)
    monkeypatch.setattr("stfmkit._kernels._threads.n_threads", lambda: 1)
    for one, two in zip(whole, group_sums(X, codes=codes, n_groups=3, amounts=True), strict=True):
        assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize("column", [[0, 0, 0, 0], [1, 2, 2, 5], [-3, -3, 0, 0], [-1, 0, 0, 4]])
def test_plain_python_twins_agree(column, monkeypatch):
    values, codes = np.array(column, dtype=float)[:, None], np.array([0, 1, 0, 1])
    for name in ("_add_places", "_pick", "_count", "sum_columns", "_write_shifted"):
        monkeypatch.setattr(_ranks, name, getattr(_ranks, name).py_func)
    expected, amounts = slow_sums(values, codes, 2), np.expm1(np.maximum(values[:, 0], 0))
    for X in (values, sparse.csr_array(values)):
        found = _ranks.group_sums(X, codes=codes, n_groups=2, amounts=True)
        np.testing.assert_allclose(found.ranks, expected)
        np.testing.assert_allclose(found.total[:, 0], [amounts[[0, 2]].sum(), amounts[[1, 3]].sum()])
    ranks = rankdata(values, axis=0)
    found = _ranks.shifted_ranks(sparse.csr_array(values)).toarray()
    np.testing.assert_allclose(found - found.mean(axis=0), ranks - ranks.mean(axis=0), atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.booleans(), st.integers(2, 4))
def test_equals_the_single_grouping_dense_and_sparse(seed, signed, n_groups):
    rng = np.random.default_rng(seed)
    values = rng.poisson(1.0, size=(30, 6)).astype(float) - (rng.integers(0, 2, (30, 6)) if signed else 0)
    dense, thin = Ranked.of(values), Ranked.of(sparse.csr_array(values))
    assert sparse.issparse(thin.shifted)
    for _ in range(3):
        codes = np.append(np.arange(n_groups), rng.integers(0, n_groups, 30 - n_groups))
        expected = auroc_by_group(values, codes)
        np.testing.assert_allclose(dense.auroc(codes, n_groups), expected, atol=1e-12)
        np.testing.assert_allclose(thin.auroc(codes, n_groups), expected, atol=1e-12)


@pytest.mark.parametrize("as_", [np.asarray, sparse.csr_array])
def test_rows_of_no_group_are_part_of_the_rest(rng, as_):
    values = rng.poisson(1.0, size=(40, 3)).astype(float)
    codes = rng.integers(-1, 2, 40)
    found = Ranked.of(as_(values)).auroc(codes, 2)
    for group in (0, 1):
        for gene in range(3):
            assert found[group, gene] == pytest.approx(roc_auc_score(codes == group, values[:, gene]))


@pytest.mark.parametrize("as_", [np.asarray, sparse.csr_array])
def test_groups_without_a_comparison_have_no_score(rng, as_):
    ranked = Ranked.of(as_(rng.poisson(1.0, size=(10, 2)).astype(float)))
    assert np.isnan(ranked.auroc(np.zeros(10, dtype=int), 2)).all()  # one has all, the other none
