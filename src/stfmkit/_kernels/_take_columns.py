"""Columns of a sparse table in another order, those of one place added up, in time linear in the stored values."""

import numpy as np

from stfmkit._kernels._compiled import compiled
from stfmkit._kernels._threads import over_spans

CSR = tuple[np.ndarray, np.ndarray, np.ndarray]

_WORD = 64
_DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)
"""Every six bits in a row of this number differ, so that a power of two times it tells its exponent."""


def _exponents() -> np.ndarray:
    powers = np.uint64(1) << np.arange(_WORD, dtype=np.uint64)
    table = np.empty(_WORD, dtype=np.int64)
    table[((powers * _DE_BRUIJN) >> np.uint64(58)).astype(np.int64)] = np.arange(_WORD)
    return table


_EXPONENTS = _exponents()


@compiled(nogil=True)
def _count(span: tuple[int, int], csr: CSR, places: np.ndarray, n_columns: int, lengths: np.ndarray) -> None:
    """Write how many places of every row hold something."""
    indptr, indices, values = csr
    last = np.full(n_columns, -1, dtype=np.int64)
    for row in range(span[0], span[1]):
        found = 0
        for m in range(indptr[row], indptr[row + 1]):
            place = places[indices[m]]
            if place >= 0 and values[m] != 0 and last[place] != row:
                last[place] = row
                found += 1
        lengths[row] = found


@compiled(nogil=True)
def _take(
    span: tuple[int, int],
    csr: CSR,
    places: np.ndarray,
    n_columns: int,
    starts: np.ndarray,
    out: tuple[np.ndarray, np.ndarray],
) -> None:
    """Write places and sums of every row; the places that hold something are bits, read in their order."""
    indptr, indices, values = csr
    columns, sums = out
    held = np.zeros(n_columns, dtype=sums.dtype)
    bits = np.zeros(n_columns // _WORD + 1, dtype=np.uint64)
    for row in range(span[0], span[1]):
        for m in range(indptr[row], indptr[row + 1]):
            place = places[indices[m]]
            if place >= 0 and values[m] != 0:
                held[place] += values[m]
                bits[place // _WORD] |= np.uint64(1) << np.uint64(place % _WORD)
        at = starts[row]
        for word in range(len(bits)):
            left = bits[word]
            bits[word] = np.uint64(0)
            while left != 0:
                lowest = left & (~left + np.uint64(1))
                place = word * _WORD + _EXPONENTS[np.int64((lowest * _DE_BRUIJN) >> np.uint64(58))]
                columns[at], sums[at] = place, held[place]
                held[place] = 0
                at += 1
                left ^= lowest


def take_columns(csr: CSR, places: np.ndarray, n_columns: int) -> CSR:
    """Return the rows of a table whose columns have new places; stored zeros are left out.

    Parameters
    ----------
    csr
        indptr, indices and values ≥ 0 of the rows, in any order within a row.
    places
        New place of every column (n_old,), -1 for columns that are left out; columns of one place are added up.
    n_columns
        Number of new places.

    Returns
    -------
    indptr, indices (sorted) and values of the rows.
    """
    indptr, indices, values = csr
    held = (indptr.astype(np.int64), indices, values)
    where = places.astype(np.int64)
    lengths = np.empty(len(indptr) - 1, dtype=np.int64)
    over_spans(lambda start, stop: _count((start, stop), held, where, n_columns, lengths), len(lengths))
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    out = np.empty(starts[-1], dtype=np.int32), np.empty(starts[-1], dtype=values.dtype)
    over_spans(lambda start, stop: _take((start, stop), held, where, n_columns, starts, out), len(lengths))
    return starts, *out
