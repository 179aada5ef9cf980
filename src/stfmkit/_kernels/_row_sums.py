"""Sums of (row, column) pairs without sorting: pairs are dealt to their rows, then columns are read from a bitmap."""

import numpy as np

from stfmkit._kernels._compiled import compiled

BITS = 22
"""Columns are numbers below ``2 ** BITS``, rows below ``2 ** (62 - BITS)``; a key is ``row << BITS | column``."""

_SEQUENCE = np.uint64(0x03F79D71B4CB0A89)
_PLACES = np.zeros(64, dtype=np.int64)
for _bit in range(64):
    _PLACES[(int(_SEQUENCE) << _bit & (1 << 64) - 1) >> 58] = _bit


@compiled(nogil=True)
def append_keys(rows: np.ndarray, columns: np.ndarray, keys: np.ndarray, n: int) -> int:
    """Write the keys of pairs (m,) at place `n` of `keys`, without pairs with a negative number; return the new end."""
    for i in range(rows.size):
        keys[n] = (np.int64(rows[i]) << BITS) | np.int64(columns[i])
        n += (rows[i] >= 0) & (columns[i] >= 0)  # no branch to mispredict
    return n


@compiled(nogil=True)
def reach_of(keys: np.ndarray) -> tuple[int, int]:
    """Return the least and the largest row of keys (n,), n > 0."""
    low, high = keys[0], keys[0]
    for i in range(keys.size):
        low, high = min(low, keys[i]), max(high, keys[i])
    return low >> BITS, high >> BITS


@compiled(nogil=True)
def rows_of_keys(keys: np.ndarray) -> np.ndarray:
    """Return the rows of keys (n,)."""
    return keys >> BITS


@compiled(nogil=True)
def deal_keys(keys: np.ndarray, rows: np.ndarray, first: int, starts: np.ndarray, out: np.ndarray) -> None:
    """Write the columns of keys (n,) to `out`, row by row; the row r - `first` ends up at ``starts[r]:starts[r + 1]``.

    `rows` are the rows of the keys; empty, the keys tell. `starts` is two longer than there are rows, and zero.
    """
    last = (1 << BITS) - 1
    for i in range(keys.size):
        starts[(rows[i] if rows.size else keys[i] >> BITS) - first + 2] += 1
    for r in range(2, starts.size):
        starts[r] += starts[r - 1]
    for i in range(keys.size):
        place = (rows[i] if rows.size else keys[i] >> BITS) - first + 1
        out[starts[place]] = keys[i] & last
        starts[place] += 1


@compiled(nogil=True)
def add_lengths(rows: np.ndarray, ends: np.ndarray, first: int, starts: np.ndarray) -> None:
    """Add the lengths of the rows (k,) of a run, which ends at `ends` (k + 1,), to ``starts[row - first + 2]``."""
    for k in range(rows.size):
        starts[rows[k] - first + 2] += ends[k + 1] - ends[k]


@compiled(nogil=True)
def add_up(starts: np.ndarray) -> None:
    """Make lengths from place 2 on to places where rows start, kept one place to the right."""
    for r in range(2, starts.size):
        starts[r] += starts[r - 1]


@compiled(nogil=True)
def deal_run(
    run: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    moved: np.ndarray,
    first: int,
    starts: np.ndarray,
    out: tuple[np.ndarray, np.ndarray],
) -> None:
    """Write columns and counts of a run (rows, ends, columns, counts) to `out`; column c becomes ``moved[c]``."""
    rows, ends, columns, counts = run
    for k in range(rows.size):
        place = starts[rows[k] - first + 1]
        for i in range(ends[k], ends[k + 1]):
            out[0][place], out[1][place] = moved[columns[i]], counts[i]
            place += 1
        starts[rows[k] - first + 1] = place


@compiled(nogil=True)
def sum_rows(
    starts: np.ndarray,
    columns: np.ndarray,
    counts: np.ndarray,
    shape: tuple[int, int],
    indices: np.ndarray,
    data: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Sum pairs that lie row by row in a CSR matrix; return its rows, their ends, their sums, and the length.

    Columns below ``shape[0]`` go to `indices` and `data`, in order and each once; the ``shape[1]`` columns after these
    go to sums (k, shape[1]) of the rows; negative ones nowhere. A row without a column of the first kind is left out.
    Empty `counts` are ones.
    """
    n_columns, n_sums = shape
    n_rows = starts.size - 2
    filled = 0
    for r in range(n_rows):
        filled += starts[r + 1] > starts[r]
    rows, ends = np.empty(filled, np.int64), np.empty(filled, np.int64)
    sums = np.zeros((filled, n_sums), np.int64)
    found = np.zeros(n_columns, np.int32)
    bits = np.zeros(n_columns // 64 + 1, np.uint64)
    one = np.uint64(1)
    n, k = 0, 0
    for r in range(n_rows):
        if starts[r] == starts[r + 1]:
            continue
        first = n
        sums[k] = 0
        low, high = np.int64(bits.size), np.int64(-1)
        for i in range(starts[r], starts[r + 1]):
            column, count = columns[i], np.int32(counts[i]) if counts.size else np.int32(1)
            if column < 0:
                continue
            if column >= n_columns:
                sums[k, column - n_columns] += count
                continue
            found[column] += count
            at = np.int64(column) >> 6
            bits[at] |= one << np.uint64(column & 63)
            low, high = min(low, at), max(high, at)
        for word in range(low, high + 1):
            left = bits[word]
            bits[word] = np.uint64(0)
            while left != np.uint64(0):
                lowest = left & (~left + one)
                left ^= lowest
                column = (word << 6) + _PLACES[(lowest * _SEQUENCE) >> np.uint64(58)]
                indices[n], data[n] = column, found[column]
                found[column] = 0
                n += 1
        if n > first:
            rows[k], ends[k] = r, n
            k += 1
    return rows[:k], ends[:k], sums[:k], n


@compiled(nogil=True)
def keep_rows(data: np.ndarray, indices: np.ndarray, indptr: np.ndarray, rows: np.ndarray) -> tuple[int, np.ndarray]:
    """Move the rows (k,), ascending, to the front of a CSR matrix; return its new length and ends (k + 1,)."""
    ends = np.zeros(rows.size + 1, indptr.dtype)
    n = 0
    for k in range(rows.size):
        for i in range(indptr[rows[k]], indptr[rows[k] + 1]):
            data[n], indices[n] = data[i], indices[i]
            n += 1
        ends[k + 1] = n
    return n, ends
