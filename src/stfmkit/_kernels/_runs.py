"""Counts of (row, column) pairs in little memory, sorted by row, and how several of them become one."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from stfmkit._kernels._row_sums import (
    add_lengths,
    add_up,
    deal_keys,
    deal_run,
    reach_of,
    rows_of_keys,
    sum_rows,
)
from stfmkit._kernels._threads import n_threads

if TYPE_CHECKING:
    from concurrent.futures import Future

Piece = TypeVar("Piece")
Summed = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Rows (k,), their ends (k,), columns and counts (n,), and sums (k, sums)."""

_BLOCK = 1 << 20
_MOST_THREADS = 4
_NO_COUNTS = np.empty(0, dtype=np.uint8)
_NO_ROWS = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Run:
    """Counts that are not zero, row by row; columns and counts are stored in as few bytes as hold them.

    Attributes
    ----------
    rows
        Ascending (k,).
    ends
        Row ``rows[i]`` is stored at ``ends[i]:ends[i + 1]`` (k + 1,).
    columns, counts
        What is stored (n,).
    """

    rows: np.ndarray
    ends: np.ndarray
    columns: np.ndarray
    counts: np.ndarray

    def __len__(self) -> int:
        return len(self.columns)

    def renamed(self, moved: np.ndarray) -> "Run":
        """Return the same counts with the column ``moved[c]`` for every column c."""
        return Run(
            self.rows, self.ends, moved.astype(_narrow(int(moved.max(initial=0)) + 1))[self.columns], self.counts
        )

    def between(self, low: int, high: int) -> "Run":
        """Return the rows at the places low:high, without a copy."""
        start, stop = self.ends[low], self.ends[high]
        return Run(
            self.rows[low:high], self.ends[low : high + 1] - start, self.columns[start:stop], self.counts[start:stop]
        )


@dataclass(frozen=True, eq=False)
class Grouping:
    """Rows that are put together.

    Attributes
    ----------
    rows
        Gives the new rows of old ones (k,).
    cuts
        Old rows, ascending, where groups may be cut: those before a seam stay before it.
    """

    rows: Callable[[np.ndarray], np.ndarray]
    cuts: np.ndarray


def run_of_keys(keys: np.ndarray, n_columns: int) -> Run:
    """Count keys (n,), n > 0, whose columns are below `n_columns`."""
    first, last = reach_of(keys)
    names, rows = None, _NO_ROWS
    if last - first > 4 * len(keys) + 1024:  # far apart: number only the rows that occur
        names, rows = np.unique(rows_of_keys(keys), return_inverse=True)
        first, last = 0, len(names) - 1
    starts = np.zeros(last - first + 3, dtype=np.int64)
    dealt = np.empty(len(keys), dtype=_narrow(n_columns))
    deal_keys(keys, rows, first, starts, dealt)
    found, ends, columns, counts, _ = _summed(starts, dealt, _NO_COUNTS, (n_columns, 0), dealt.dtype)
    if counts.max() < 256:
        counts = counts.astype(np.uint8)
    found = found + first if names is None else names[found]
    return Run(found, np.append(0, ends), columns.copy(), counts.copy())


def merge(runs: Sequence[Run], n_columns: int) -> Run:
    """Return the sum of several runs."""
    same = np.arange(n_columns, dtype=np.int32)
    parts = []
    for rows, ends, columns, counts, _ in sum_runs(runs, same, (n_columns, 0)):
        small = counts.astype(np.uint8) if counts.max(initial=0) < 256 else counts
        parts.append((rows, np.diff(ends, prepend=0), columns.astype(_narrow(n_columns)), small))
    rows, lengths, columns, counts = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Run(rows, np.append(0, np.cumsum(lengths)), columns, counts)


def sum_runs(
    runs: Sequence[Run], moved: np.ndarray, shape: tuple[int, int], grouping: Grouping | None = None
) -> Iterator[Summed]:
    """Yield the sums of runs, block by block in the order of rows, from several threads.

    Column c becomes ``moved[c]``; those from ``shape[0]`` on go to the sums, negative ones nowhere.
    """
    return _in_turn(lambda block: _sum_block(block, moved, shape, grouping), _blocks(runs, grouping))


def _sum_block(runs: list[Run], moved: np.ndarray, shape: tuple[int, int], grouping: Grouping | None) -> Summed:
    if grouping is not None:
        runs = [Run(grouping.rows(run.rows), run.ends, run.columns, run.counts) for run in runs]
    first = min(int(run.rows.min()) for run in runs)
    last = max(int(run.rows.max()) for run in runs)
    n = sum(len(run) for run in runs)
    names = None
    if last - first > 4 * n + 1024:
        names = np.unique(np.concatenate([run.rows for run in runs]))
        runs = [Run(np.searchsorted(names, run.rows), run.ends, run.columns, run.counts) for run in runs]
        first, last = 0, len(names) - 1
    starts = np.zeros(last - first + 3, dtype=np.int64)
    for run in runs:
        add_lengths(run.rows, run.ends, first, starts)
    add_up(starts)
    wide = any(run.counts.dtype != np.uint8 for run in runs)
    dealt = (np.empty(n, dtype=np.int32), np.empty(n, dtype=np.int32 if wide else np.uint8))
    for run in runs:
        deal_run((run.rows, run.ends, run.columns, run.counts), moved, first, starts, dealt)
    rows, *rest = _summed(starts, *dealt, shape, np.dtype(np.int32))
    return (rows + first if names is None else names[rows], *rest)  # type: ignore[return-value]


def _summed(
    starts: np.ndarray, columns: np.ndarray, counts: np.ndarray, shape: tuple[int, int], kind: np.dtype
) -> Summed:
    indices, data = np.empty(len(columns), kind), np.empty(len(columns), np.int32)
    rows, ends, sums, n = sum_rows(starts, columns, counts, shape, indices, data)
    return rows, ends, indices[:n], data[:n], sums


def _narrow(n_columns: int) -> np.dtype:
    """Return the smallest kind of number that tells so many columns apart."""
    return np.dtype(np.uint16 if n_columns <= 1 << 16 else np.int32)


def _blocks(runs: Sequence[Run], grouping: Grouping | None) -> Iterator[list[Run]]:
    """Cut runs into blocks of the same rows, in order, of about `_BLOCK` pairs each."""
    runs = [run for run in runs if len(run)]
    total = sum(len(run) for run in runs)
    if not total:
        return
    step = max(1, total // 65536)
    marks = [np.searchsorted(run.ends, np.arange(0, len(run), step), side="right") - 1 for run in runs]
    sample = np.sort(np.concatenate([run.rows[mark] for run, mark in zip(runs, marks, strict=True)]))
    n_blocks = total // _BLOCK + 1
    cuts = np.unique(sample[np.arange(1, n_blocks) * len(sample) // n_blocks])
    if grouping is not None:
        cuts = np.unique(grouping.cuts[np.searchsorted(grouping.cuts, cuts, side="right") - 1])
    places = [np.concatenate([[0], np.searchsorted(run.rows, cuts), [len(run.rows)]]) for run in runs]
    for b in range(len(cuts) + 1):
        part = [run.between(at[b], at[b + 1]) for run, at in zip(runs, places, strict=True) if at[b + 1] > at[b]]
        if part:
            yield part


def _in_turn(function: Callable[[Piece], Summed], pieces: Iterable[Piece]) -> Iterator[Summed]:
    """Yield the results of `function` in order, working ahead only as far as there are threads."""
    workers = min(n_threads(), _MOST_THREADS)
    if workers == 1:
        yield from map(function, pieces)
        return
    with ThreadPoolExecutor(workers) as pool:
        ahead: deque[Future[Summed]] = deque()
        for piece in pieces:
            ahead.append(pool.submit(function, piece))
            if len(ahead) > workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
