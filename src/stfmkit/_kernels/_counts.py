"""Exact counts of (row, column) pairs over a stream of chunks, in bounded memory."""

from collections.abc import Iterator

import numpy as np
from scipy import sparse

from stfmkit._kernels._compiled import compiled
from stfmkit._kernels._row_sums import BITS, append_keys
from stfmkit._kernels._runs import Grouping, Run, merge, run_of_keys, sum_runs

__all__ = ["BITS", "CountTable"]

DENSE = 1 << 25
"""Tables of at most so many numbers are kept dense (128 MiB)."""

_STEP = 1024
_WAITING = 1 << 22
_FIRST_MERGE = 1 << 25


class CountTable:
    """Counts by row and column; the result does not depend on chunks or their order.

    A table that is small enough is dense. Of a large one only what is not zero is kept, in runs sorted by row, which
    are merged when they have grown to twice what the last merge left.

    Parameters
    ----------
    n_rows
        Rows are 0 to n_rows - 1.
    dense
        Most numbers in a dense table.
    """

    def __init__(self, n_rows: int, *, dense: int = DENSE) -> None:
        self.n_rows, self._most = n_rows, dense
        self._dense: np.ndarray | None = None
        self._sparse = False
        self._runs: list[Run] = []
        self._waiting: np.ndarray | None = None
        self._n_waiting, self._width = 0, 0
        self._limit = _FIRST_MERGE

    def add(self, rows: np.ndarray, columns: np.ndarray, n_columns: int) -> None:
        """Count pairs (n,), all columns below `n_columns`; a pair with a negative number is left out."""
        if self._room(n_columns) and self._dense is not None:
            _count(self._dense, rows, columns)
            return
        self._width = max(self._width, n_columns)
        for start in range(0, len(rows), _WAITING):
            part = slice(start, start + _WAITING)
            keys = self._place_for(len(rows[part]))
            self._n_waiting = append_keys(rows[part], columns[part], keys, self._n_waiting)

    def absorb(self, other: "CountTable", columns: np.ndarray) -> None:
        """Add the counts of another table, whose column c is column ``columns[c]`` here."""
        width = int(columns.max(initial=-1)) + 1
        if other._dense is not None and self._room(width) and self._dense is not None:
            _add_dense(self._dense, other._dense, columns)
            return
        for run in other._all_runs():
            self._append(run.renamed(columns), width)

    def shrink(self) -> "CountTable":
        """Return the same counts as runs, which are small to send."""
        out = CountTable(self.n_rows, dense=self._most)
        out._runs, out._sparse, out._width = list(self._all_runs()), True, self._width
        return out

    def matrix(
        self, columns: np.ndarray, n_columns: int, *, grouping: Grouping | None = None
    ) -> tuple[np.ndarray, sparse.csr_array, np.ndarray]:
        """Return the rows that hold something (k,), and their counts.

        Column c goes to ``columns[c]``: below `n_columns` to the matrix (k, n_columns), the others, which do not make
        a row, to sums (k, most + 1 - n_columns); negative ones nowhere. `grouping` puts rows together first.
        """
        n_sums = max(int(columns.max(initial=-1)) + 1 - n_columns, 0)
        found: tuple[np.ndarray, ...]
        if self._dense is not None and grouping is None:
            codes = np.flatnonzero(columns[: self._dense.shape[1]] >= 0)
            codes = codes[np.argsort(columns[codes], kind="stable")]
            most = int(np.count_nonzero(self._dense))
            found = _emit_dense(self._dense, codes, columns, (n_columns, n_sums), most)
        else:
            found = self._assemble(columns.astype(np.int32), (n_columns, n_sums), grouping)
        rows, indptr, indices, data, sums = found
        if len(data) <= np.iinfo(np.int32).max:
            indptr = indptr.astype(np.int32)  # else scipy widens the indices, too
        return rows, sparse.csr_array((data, indices, indptr), shape=(len(rows), n_columns)), sums

    def _assemble(
        self, columns: np.ndarray, shape: tuple[int, int], grouping: Grouping | None
    ) -> tuple[np.ndarray, ...]:
        runs = list(self._all_runs())
        most = sum(len(run) for run in runs)
        indices, data = np.empty(most, np.int32), np.empty(most, np.int32)  # memory that is not written costs nothing
        parts = [(np.empty(0, np.int64), np.zeros(1, np.int64), np.empty((0, shape[1]), np.int64))]
        n = 0
        for rows, ends, here, counts, sums in sum_runs(runs, columns, shape, grouping):
            indices[n : n + len(here)], data[n : n + len(here)] = here, counts
            parts.append((rows, ends + n, sums))
            n += len(here)
        rows, indptr, sums = (np.concatenate(part) for part in zip(*parts, strict=True))
        return rows, indptr, indices[:n], data[:n], sums

    def _room(self, n_columns: int) -> bool:
        """Make the dense table wide enough, or give it up."""
        if self._sparse:
            return False
        width = 0 if self._dense is None else self._dense.shape[1]
        if n_columns <= width:
            return True
        if self.n_rows * n_columns > self._most:
            self._give_up_dense()
            return False
        wider = min(max(n_columns, 2 * width), max(self._most // max(self.n_rows, 1), n_columns))
        grown = np.zeros((self.n_rows, wider), dtype=np.int32)
        if self._dense is not None:
            grown[:, :width] = self._dense
        self._dense = grown
        return True

    def _give_up_dense(self) -> None:
        self._runs = list(self._all_runs())
        self._dense, self._sparse = None, True

    def _place_for(self, n: int) -> np.ndarray:
        """Return the array for keys that wait to be counted, with room for n more."""
        if self._n_waiting + n > _WAITING:
            self._settle()
        if self._waiting is None:
            self._waiting = np.empty(_WAITING + 1, np.int64)
        return self._waiting

    def _settle(self) -> None:
        """Count the keys that wait."""
        if self._waiting is not None and self._n_waiting:
            run = run_of_keys(self._waiting[: self._n_waiting], self._width)
            self._n_waiting = 0
            self._append(run, self._width)

    def _finish(self) -> None:
        self._settle()
        self._waiting = None

    def _all_runs(self) -> Iterator[Run]:
        self._finish()
        yield from self._runs
        if self._dense is not None and self._dense.any():
            row, column = np.nonzero(self._dense)
            rows, first = np.unique(row, return_index=True)
            yield Run(rows, np.append(first, len(row)), column.astype(np.int32), self._dense[row, column])

    def _append(self, run: Run, width: int) -> None:
        if not self._sparse:
            self._give_up_dense()
        self._width = max(self._width, width)
        self._runs.append(run)
        if sum(len(run) for run in self._runs) > self._limit:
            self._runs = [merge(self._runs, self._width)]
            self._limit = max(_FIRST_MERGE, 2 * len(self._runs[0]))


@compiled(nogil=True)
def _count(table: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> None:
    flat, width = table.reshape(-1), np.int64(table.shape[1])
    block = np.empty(_STEP, np.int64)
    for low in range(0, rows.size, _STEP):
        n = 0
        for i in range(low, min(low + _STEP, rows.size)):
            block[n] = rows[i] * width + columns[i]
            n += (rows[i] >= 0) & (columns[i] >= 0)  # no branch to mispredict
        for k in range(n):
            flat[block[k]] += 1


@compiled(nogil=True)
def _add_dense(table: np.ndarray, other: np.ndarray, columns: np.ndarray) -> None:
    width = min(other.shape[1], columns.size)
    for r in range(other.shape[0]):
        for c in range(width):
            if other[r, c]:
                table[r, columns[c]] += other[r, c]


@compiled(nogil=True)
def _emit_dense(
    table: np.ndarray, codes: np.ndarray, columns: np.ndarray, shape: tuple[int, int], most: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows, the arrays of a CSR matrix and the sums; `codes` lists columns in the order of the result."""
    n_columns, n_sums = shape
    n_rows = table.shape[0]
    rows, ends = np.empty(n_rows, np.int64), np.zeros(n_rows + 1, np.int64)
    sums = np.zeros((n_rows, n_sums), np.int64)
    indices, data = np.empty(most, np.int32), np.empty(most, np.int32)
    n, k = 0, 0
    for r in range(n_rows):
        first = n
        sums[k] = 0
        for code in codes:
            value, column = table[r, code], columns[code]
            if value and column >= n_columns:
                sums[k, column - n_columns] += value
            elif value and n > first and indices[n - 1] == column:
                data[n - 1] += value
            elif value:
                indices[n], data[n] = column, value
                n += 1
        if n > first:
            rows[k], ends[k + 1] = r, n
            k += 1
    return rows[:k].copy(), ends[: k + 1].copy(), indices[:n].copy(), data[:n].copy(), sums[:k].copy()
