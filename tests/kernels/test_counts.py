"""Counts by row and column are exact, dense or sparse, and do not depend on the chunks."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stfmkit._kernels import _counts, _runs
from stfmkit._kernels._counts import CountTable

PAIRS = st.lists(st.tuples(st.integers(-1, 9), st.integers(-1, 6)), max_size=60)


def fill(pairs: list[tuple[int, int]], size: int, *, dense: int, n_rows: int = 10) -> CountTable:
    table = CountTable(n_rows, dense=dense)
    for start in range(0, len(pairs), size):
        rows, columns = np.array(pairs[start : start + size], dtype=np.int64).reshape(-1, 2).T
        table.add(rows.copy(), columns.astype(np.int32), int(columns.max(initial=0)) + 1)
    return table


def expected(pairs: list[tuple[int, int]], columns: list[int], n_columns: int) -> dict[int, Counter]:
    out: dict[int, Counter] = {}
    for row, column in pairs:
        if row >= 0 and column >= 0 and columns[column] >= 0:
            out.setdefault(row, Counter())[columns[column]] += 1
    return {row: found for row, found in sorted(out.items()) if min(found) < n_columns}


def check(table: CountTable, pairs: list[tuple[int, int]], columns: list[int], n_columns: int) -> None:
    rows, matrix, sums = table.matrix(np.array(columns), n_columns)
    truth = expected(pairs, columns, n_columns)
    assert rows.tolist() == list(truth)
    assert matrix.has_canonical_format
    assert matrix.dtype == np.int32
    whole = np.concatenate([matrix.toarray(), sums], axis=1)
    for values, found in zip(whole, truth.values(), strict=True):
        assert dict(found) == {c: n for c, n in enumerate(values.tolist()) if n}


@settings(deadline=None, max_examples=60)
@given(
    pairs=PAIRS,
    size=st.integers(1, 70),
    dense=st.sampled_from([0, 30, 10_000]),  # always sparse, sparse from some width on, always dense
    columns=st.lists(st.integers(-1, 5), min_size=7, max_size=7),
    n_columns=st.integers(1, 6),
)
def test_counts_like_counter(pairs, size: int, dense: int, columns: list[int], n_columns: int) -> None:
    check(fill(pairs, size, dense=dense), pairs, columns, n_columns)


@settings(deadline=None, max_examples=40)
@given(
    one=PAIRS,
    two=PAIRS,
    dense=st.tuples(*[st.sampled_from([0, 30, 10_000])] * 2),
    order=st.permutations(range(7)),
    shrink=st.booleans(),
)
def test_absorbs_another_order_of_columns(one, two, dense: tuple[int, int], order: list[int], shrink: bool) -> None:
    table, other = fill(one, 20, dense=dense[0]), fill(two, 20, dense=dense[1])
    table.absorb(other.shrink() if shrink else other, np.array(order))
    moved = [(row, order[column] if column >= 0 else -1) for row, column in two]
    check(table, one + moved, list(range(7)), 7)


@pytest.mark.parametrize("dense", [0, 1 << 20])
def test_merges_and_blocks_change_nothing(dense: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_counts, "_FIRST_MERGE", 5000)
    monkeypatch.setattr(_counts, "_WAITING", 900)
    monkeypatch.setattr(_runs, "_BLOCK", 700)
    rng = np.random.default_rng(0)
    table = CountTable(3000, dense=dense)
    pairs = rng.integers(0, [3000, 40], size=(40_000, 2)) // [1, 2]
    for part in np.array_split(pairs, 23):
        table.add(part[:, 0].copy(), part[:, 1].astype(np.int32), 40)
    rows, matrix, sums = table.matrix(np.arange(40), 40)
    truth = np.zeros((3000, 40), int)
    np.add.at(truth, tuple(pairs.T), 1)
    np.testing.assert_array_equal(rows, np.flatnonzero(truth.any(axis=1)))
    np.testing.assert_array_equal(matrix.toarray(), truth[rows])
    assert sums.shape == (len(rows), 0)


def test_many_of_the_same_and_far_rows() -> None:
    far = 2 ** (62 - _counts.BITS) - 1
    table = CountTable(far + 1, dense=100)
    for _ in range(3):
        table.add(np.full(1000, far), np.full(1000, 3, np.int32), 4)
    other = CountTable(far + 1)
    other.absorb(table.shrink(), np.arange(4))
    rows, matrix, _ = other.matrix(np.arange(4), 4)
    assert rows.tolist() == [far]
    assert matrix.toarray().tolist() == [[0, 0, 0, 3000]]


def test_empty() -> None:
    rows, matrix, sums = CountTable(5).matrix(np.array([0, 1, 2]), 2)
    assert rows.size == matrix.nnz == 0
    assert matrix.shape == (0, 2)
    assert sums.shape == (0, 1)
