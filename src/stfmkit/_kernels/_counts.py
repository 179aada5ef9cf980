"""Exact counts of (row, column) pairs over a stream of chunks, in bounded memory."""

from collections.abc import Iterator

import numpy as np
from numba import njit
from scipy import sparse

BITS = 22
"""Columns are numbers below ``2 ** BITS``, rows below ``2 ** (62 - BITS)``."""

DENSE = 1 << 25
"""Tables of at most so many numbers are kept dense (128 MiB)."""

_BLOCK = 1 << 22
_FIRST_MERGE = 1 << 26


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
        self._runs: list[tuple[np.ndarray, np.ndarray]] = []
        self._limit = _FIRST_MERGE

    def add(self, rows: np.ndarray, columns: np.ndarray, n_columns: int) -> None:
        """Count pairs (n,), all columns below `n_columns`; a pair with a negative number is left out."""
        if self._room(n_columns) and self._dense is not None:
            _count(self._dense, rows, columns)
            return
        keys = np.sort(_keys(rows, columns))
        self._append(*_run_lengths(keys))

    def absorb(self, other: "CountTable", columns: np.ndarray) -> None:
        """Add the counts of another table, whose column c is column ``columns[c]`` here."""
        width = int(columns.max(initial=-1)) + 1
        if other._dense is not None and self._room(width) and self._dense is not None:
            _add_dense(self._dense, other._dense, columns)
            return
        for keys, counts in other._all_runs():
            self._append(_move(keys, columns), counts)

    def shrink(self) -> "CountTable":
        """Return the same counts as runs, which are small to send."""
        out = CountTable(self.n_rows, dense=self._most)
        out._runs = list(self._all_runs())
        return out

    def matrix(self, columns: np.ndarray, n_columns: int) -> tuple[np.ndarray, sparse.csr_array, np.ndarray]:
        """Return the rows that hold something (k,), and their counts.

        Column c goes to ``columns[c]``: below `n_columns` to the matrix (k, n_columns), the others, which do not make
        a row, to sums (k, most + 1 - n_columns); negative ones nowhere.
        """
        n_sums = max(int(columns.max(initial=-1)) + 1 - n_columns, 0)
        if self._dense is not None and not self._runs:
            codes = np.flatnonzero(columns[: self._dense.shape[1]] >= 0)
            codes = codes[np.argsort(columns[codes], kind="stable")]
            most = int(np.count_nonzero(self._dense))
            found = _emit_dense(self._dense, codes, columns, (n_columns, n_sums), most)
        else:
            runs = list(self._all_runs())
            state = _Rows(sum(len(keys) for keys, _ in runs), n_columns, n_sums)
            for keys, counts in _blocks(runs):
                state.add(_move(keys, columns), counts)
            found = state.result()
        rows, indptr, indices, data, sums = found
        return rows, sparse.csr_array((data, indices, indptr), shape=(len(rows), n_columns)), sums

    def _room(self, n_columns: int) -> bool:
        """Make the dense table wide enough, or give it up."""
        if self._runs:
            return False
        width = 0 if self._dense is None else self._dense.shape[1]
        if n_columns <= width:
            return True
        if self.n_rows * n_columns > self._most:
            self._runs, self._dense = list(self._all_runs()), None
            if not self._runs:  # an empty run says that the table is sparse from now on
                self._runs = [(np.empty(0, np.int64), np.empty(0, np.int32))]
            return False
        wider = min(max(n_columns, 2 * width), max(self._most // max(self.n_rows, 1), n_columns))
        grown = np.zeros((self.n_rows, wider), dtype=np.int32)
        if self._dense is not None:
            grown[:, :width] = self._dense
        self._dense = grown
        return True

    def _all_runs(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        yield from self._runs
        if self._dense is not None:
            row, column = np.nonzero(self._dense)
            yield (row.astype(np.int64) << BITS) | column, self._dense[row, column]

    def _append(self, keys: np.ndarray, counts: np.ndarray) -> None:
        if self._dense is not None or not self._runs:
            self._runs, self._dense = list(self._all_runs()), None
        self._runs.append((keys, counts))
        if sum(len(k) for k, _ in self._runs) > self._limit:
            merged = [_sum_equal(*block) for block in _blocks(self._runs)]
            self._runs = [(np.concatenate([k for k, _ in merged]), np.concatenate([c for _, c in merged]))]
            self._limit = max(_FIRST_MERGE, 2 * len(self._runs[0][0]))


class _Rows:
    """A CSR matrix that is filled from the first row to the last."""

    def __init__(self, most: int, n_columns: int, n_sums: int) -> None:
        self._indices, self._data = np.empty(most, np.int32), np.empty(most, np.int32)
        self._parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._shape = (n_columns, n_sums)
        self._n = 0

    def add(self, keys: np.ndarray, counts: np.ndarray) -> None:
        keys, counts = _sum_equal(keys, counts)
        rows, ends, sums, used = _emit(keys, counts, self._shape, self._indices[self._n :], self._data[self._n :])
        self._parts.append((rows, ends + self._n, sums))
        self._n += used

    def result(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        empty = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, self._shape[1]), np.int64))
        rows, ends, sums = (np.concatenate(part) for part in zip(empty, *self._parts, strict=True))
        return rows, np.concatenate([[0], ends]), self._indices[: self._n], self._data[: self._n], sums


def _blocks(runs: list[tuple[np.ndarray, np.ndarray]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Cut runs that are sorted by row into blocks of whole rows, in order, of about `_BLOCK` pairs each."""
    runs = [(keys, counts) for keys, counts in runs if len(keys)]
    total = sum(len(keys) for keys, _ in runs)
    if not total:
        return
    step = max(1, total // 65536)
    sample = np.sort(np.concatenate([keys[::step] for keys, _ in runs]) >> BITS)
    n_blocks = total // _BLOCK + 1
    cuts = np.unique(sample[np.arange(1, n_blocks) * len(sample) // n_blocks])
    ends = [np.append(np.searchsorted(keys, cuts << BITS), len(keys)) for keys, _ in runs]
    start = np.zeros(len(runs), np.int64)
    for b in range(len(cuts) + 1):
        stop = np.array([e[b] for e in ends])
        part = [(k[i:j], c[i:j]) for (k, c), i, j in zip(runs, start, stop, strict=True) if j > i]
        if part:
            yield np.concatenate([k for k, _ in part]), np.concatenate([c for _, c in part])
        start = stop


def _sum_equal(keys: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the keys in order, each once, and the sums of their counts."""
    total = int(counts.sum(dtype=np.int64))
    if total <= 2 * len(keys):  # counts of one are cheaper to repeat than to carry through a sort
        return _run_lengths(np.sort(np.repeat(keys, counts) if total > len(keys) else keys))
    order = np.argsort(keys, kind="stable")
    return _sum_runs(keys[order], counts[order])


@njit(cache=True, nogil=True)
def _count(table: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> None:
    for i in range(rows.size):
        if rows[i] >= 0 and columns[i] >= 0:
            table[rows[i], columns[i]] += 1


@njit(cache=True, nogil=True)
def _add_dense(table: np.ndarray, other: np.ndarray, columns: np.ndarray) -> None:
    width = min(other.shape[1], columns.size)
    for r in range(other.shape[0]):
        for c in range(width):
            if other[r, c]:
                table[r, columns[c]] += other[r, c]


@njit(cache=True, nogil=True)
def _keys(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    out = np.empty(rows.size, np.int64)
    n = 0
    for i in range(rows.size):
        if rows[i] >= 0 and columns[i] >= 0:
            out[n] = (np.int64(rows[i]) << BITS) | np.int64(columns[i])
            n += 1
    return out[:n]


@njit(cache=True, nogil=True)
def _move(keys: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return keys with ``columns[c]`` for every column c; a negative column becomes the last there can be."""
    last = (1 << BITS) - 1
    out = np.empty(keys.size, np.int64)
    for i in range(keys.size):
        column = columns[keys[i] & last]
        out[i] = ((keys[i] >> BITS) << BITS) | (column if column >= 0 else last)
    return out


@njit(cache=True, nogil=True)
def _run_lengths(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the different values of sorted keys, and how often each occurs."""
    out, counts = np.empty(keys.size, np.int64), np.empty(keys.size, np.int32)
    n = 0
    for i in range(keys.size):
        if n and out[n - 1] == keys[i]:
            counts[n - 1] += 1
        else:
            out[n], counts[n] = keys[i], 1
            n += 1
    return out[:n].copy(), counts[:n].copy()


@njit(cache=True, nogil=True)
def _sum_runs(keys: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    out, counts = np.empty(keys.size, np.int64), np.empty(keys.size, np.int32)
    n = 0
    for i in range(keys.size):
        if n and out[n - 1] == keys[i]:
            counts[n - 1] += weights[i]
        else:
            out[n], counts[n] = keys[i], weights[i]
            n += 1
    return out[:n].copy(), counts[:n].copy()


@njit(cache=True, nogil=True)
def _emit(
    keys: np.ndarray, counts: np.ndarray, shape: tuple[int, int], indices: np.ndarray, data: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Write sorted pairs into the arrays of a CSR matrix; return its rows, their ends, their sums, and the length."""
    last = (1 << BITS) - 1
    n_columns, n_sums = shape
    n_rows = 0
    for i in range(keys.size):
        n_rows += i == 0 or keys[i] >> BITS != keys[i - 1] >> BITS
    rows, ends = np.empty(n_rows, np.int64), np.empty(n_rows, np.int64)
    sums = np.zeros((n_rows, n_sums), np.int64)
    i, n, k = 0, 0, 0
    while i < keys.size:
        row, first = keys[i] >> BITS, n
        sums[k] = 0
        while i < keys.size and keys[i] >> BITS == row:
            column = keys[i] & last
            if column < n_columns:
                indices[n], data[n] = column, counts[i]
                n += 1
            elif column < n_columns + n_sums:
                sums[k, column - n_columns] += counts[i]
            i += 1
        if n > first:
            rows[k], ends[k] = row, n
            k += 1
    return rows[:k], ends[:k], sums[:k], n


@njit(cache=True, nogil=True)
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
