"""Rows of a CSR matrix, dealt, summed and kept: scipy and numpy as references."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from stfmkit._kernels import _runs
from stfmkit._kernels._row_sums import BITS, add_lengths, add_up, append_keys, deal_keys, deal_run, keep_rows, reach_of
from stfmkit._kernels._runs import Grouping, Run, merge, run_of_keys, sum_runs

COUNTS = arrays(np.int32, (9, 5), elements=st.sampled_from([0, 0, 0, 1, 2, 300]))
FAR = 1 << 30


def run_of(counts: np.ndarray, rows: np.ndarray) -> Run:
    """Return the filled rows of a table of counts, named by `rows`."""
    filled = np.flatnonzero(counts.any(axis=1))
    at = sparse.csr_array(counts[filled])
    kind = np.uint8 if at.data.max(initial=0) < 256 else np.int32
    return Run(rows[filled], at.indptr.astype(np.int64), at.indices.astype(np.int32), at.data.astype(kind))


def table_of(parts, rows: np.ndarray, width: int) -> np.ndarray:
    out = np.zeros((len(rows), width), dtype=np.int64)
    for names, ends, columns, counts, *_ in parts:
        at = np.searchsorted(rows, np.repeat(names, np.diff(ends, prepend=0)))
        np.add.at(out, (at, columns), counts)
    return out


@settings(deadline=None, max_examples=60)
@given(counts=COUNTS, kept=st.lists(st.integers(0, 8), unique=True).map(sorted))
def test_rows_are_kept_as_scipy_indexes_them(counts: np.ndarray, kept: list[int]) -> None:
    matrix = sparse.csr_array(counts)
    expected = matrix[kept]
    data, indices = matrix.data.copy(), matrix.indices.copy()
    n, ends = keep_rows(data, indices, matrix.indptr, np.array(kept, dtype=np.int64))
    assert n == expected.nnz
    assert ends.dtype == matrix.indptr.dtype
    np.testing.assert_array_equal(ends, expected.indptr)
    np.testing.assert_array_equal(data[:n], expected.data)
    np.testing.assert_array_equal(indices[:n], expected.indices)


@settings(deadline=None, max_examples=60)
@given(one=COUNTS, two=COUNTS, apart=st.sampled_from([1, 7, FAR]))
def test_runs_are_summed_where_rows_are_near_and_where_they_are_far(one, two, apart: int) -> None:
    """Rows that are far apart are numbered first: the work must not grow with the largest row."""
    rows = np.arange(9, dtype=np.int64) * apart
    runs = [run for run in (run_of(one, rows), run_of(two, rows)) if len(run)]
    if not runs:
        return
    same = np.arange(5, dtype=np.int32)
    found = list(sum_runs(runs, same, (5, 0)))
    np.testing.assert_array_equal(table_of(found, rows, 5), one + two)
    names = np.concatenate([part[0] for part in found])
    np.testing.assert_array_equal(names, rows[(one + two).any(axis=1)])
    merged = merge(runs, 5)
    np.testing.assert_array_equal(merged.rows, names)
    np.testing.assert_array_equal(merged.ends, np.append(0, np.cumsum(((one + two) > 0).sum(axis=1)[names // apart])))


def test_far_rows_take_the_branch_that_numbers_them(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    monkeypatch.setattr(_runs, "add_up", lambda starts: (sizes.append(len(starts)), add_up(starts)))
    for apart, least in ((1, 9), (FAR, 9)):
        counts = np.ones((9, 5), np.int32)
        (found,) = sum_runs([run_of(counts, np.arange(9) * apart)], np.arange(5, dtype=np.int32), (5, 0))
        assert found[0].tolist() == (np.arange(9) * apart).tolist()
        assert sizes.pop() == least + 2


def test_far_rows_are_grouped_and_split_into_sums() -> None:
    counts = np.arange(45, dtype=np.int32).reshape(9, 5)
    rows = np.arange(9, dtype=np.int64) * FAR
    pairs = Grouping(lambda old: old // (2 * FAR) * FAR, np.arange(0, 10, 2) * FAR)  # rows 0 and 1 together, 2 and 3, …
    moved = np.array([0, -1, 1, 2, 3], dtype=np.int32)  # the second nowhere, the last two to the sums
    (found,) = sum_runs([run_of(counts, rows)], moved, (2, 2), pairs)
    together = np.add.reduceat(counts, [0, 2, 4, 6, 8])
    assert found[0].tolist() == (np.arange(5) * FAR).tolist()
    np.testing.assert_array_equal(table_of([found], found[0], 2), together[:, [0, 2]])
    np.testing.assert_array_equal(found[4], together[:, 3:])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(-1, 6), st.integers(-1, 4)), min_size=1, max_size=40), st.sampled_from([1, FAR]))
def test_keys_become_runs(pairs: list[tuple[int, int]], apart: int) -> None:
    rows, columns = np.array(pairs, dtype=np.int64).T
    rows = np.where(rows < 0, -1, rows * apart)
    keys = np.empty(len(pairs) + 1, np.int64)
    n = append_keys(rows.copy(), columns.astype(np.int32), keys, 0)
    good = (rows >= 0) & (columns >= 0)
    assert keys[:n].tolist() == ((rows << BITS) | columns)[good].tolist()
    if not n:
        return
    assert reach_of(keys[:n]) == (rows[good].min(), rows[good].max())
    run = run_of_keys(keys[:n].copy(), 5)
    names = np.unique(rows[good])
    assert run.rows.tolist() == names.tolist()
    expected = np.zeros((len(names), 5), dtype=np.int64)
    np.add.at(expected, (np.searchsorted(names, rows[good]), columns[good]), 1)
    np.testing.assert_array_equal(table_of([(run.rows, run.ends[1:], run.columns, run.counts)], names, 5), expected)


def test_plain_python_twins_agree(rng: np.random.Generator) -> None:
    """The same functions without the compiler, which would not notice an index out of range."""
    keys = np.sort(rng.integers(3, 9, 50)) << BITS | rng.integers(0, 5, 50)
    results = []
    for compiled in (True, False):
        deal = deal_keys if compiled else deal_keys.py_func
        starts, out = np.zeros(8, np.int64), np.empty(50, np.uint16)
        deal(keys, np.empty(0, np.int64), 3, starts, out)
        run = run_of(np.array([[0, 2], [3, 0], [1, 1]], np.int32), np.array([3, 4, 5]))
        lengths = np.zeros(5, np.int64)
        (add_lengths if compiled else add_lengths.py_func)(run.rows, run.ends, 3, lengths)
        (add_up if compiled else add_up.py_func)(lengths)
        dealt = np.empty(4, np.int32), np.empty(4, np.uint8)
        arrays_of = (run.rows, run.ends, run.columns, run.counts)
        (deal_run if compiled else deal_run.py_func)(arrays_of, np.array([7, 8], np.int32), 3, lengths, dealt)
        results.append([starts, out, lengths, *dealt])
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)
    assert results[0][3].tolist() == [8, 7, 7, 8]
    assert results[0][4].tolist() == [2, 3, 1, 1]
