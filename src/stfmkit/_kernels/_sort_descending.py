"""Stable sort of numbers by their bits, for rows that are sorted inside other kernels."""

import numpy as np
from numba import njit

N_DIGITS = 4
_BASE = 256
_SIGN = np.uint64(1) << np.uint64(63)
_BYTE, _HALF, _PLACE = np.uint64(255), np.uint64(32), np.uint64(0xFFFFFFFF)


@njit(cache=True, nogil=True)
def sort_descending(values: np.ndarray, keys: np.ndarray, order: np.ndarray, tally: np.ndarray) -> np.ndarray:
    """Return the positions of `values`, largest first, equal ones in their order.

    The bits of a float64 are in the order of the numbers once those of negative ones are turned, so a sort by bytes
    needs no comparison; bytes that all keys share are skipped. The upper half of the bits tells nearly all numbers
    apart: a key is this half above the position, and the few that are left are sorted by insertion.

    Parameters
    ----------
    values
        Finite numbers (n,).
    keys, order
        Work space (2, ≥ n) of uint64 and (≥ n,) of int64; the result is a part of `order`.
    tally
        Work space (4, 256) of int64.
    """
    n = len(values)
    numbers = values.astype(np.float64) + 0.0  # a negative zero equals zero
    side = _sort_digits(numbers.view(np.uint64), keys, tally)
    if not _insert(numbers, keys[side], order):
        order[:n] = np.argsort(-numbers, kind="mergesort")
    return order[:n]


@njit(cache=True, nogil=True)
def _sort_digits(bits: np.ndarray, keys: np.ndarray, tally: np.ndarray) -> int:
    """Sort by the upper half of the bits; return the row of `keys` that holds the result."""
    n = len(bits)
    tally[:] = 0
    for i in range(n):
        falling = bits[i] if bits[i] & _SIGN else ~(bits[i] | _SIGN)
        key = (falling & ~_PLACE) | np.uint64(i)
        keys[0, i] = key
        for digit in range(N_DIGITS):
            tally[digit, (key >> (_HALF + np.uint64(8 * digit))) & _BYTE] += 1
    side = 0
    for digit in range(N_DIGITS):
        shift, starts = _HALF + np.uint64(8 * digit), tally[digit]
        if n == 0 or starts[(keys[side, 0] >> shift) & _BYTE] == n:
            continue
        before = 0
        for byte in range(_BASE):
            before, starts[byte] = before + starts[byte], before
        for i in range(n):
            key = keys[side, i]
            place = (key >> shift) & _BYTE
            keys[1 - side, starts[place]] = key
            starts[place] += 1
        side = 1 - side
    return side


@njit(cache=True, nogil=True)
def _insert(numbers: np.ndarray, keys: np.ndarray, order: np.ndarray) -> bool:
    """Write the positions in the order of the keys, and of the numbers among them; return False if that takes long."""
    left = 2 * len(numbers)
    for i in range(len(numbers)):
        place, at = np.int64(keys[i] & _PLACE), i
        number = numbers[place]
        while at > 0 and numbers[order[at - 1]] < number:
            order[at] = order[at - 1]
            at -= 1
        order[at] = place
        left -= i - at
        if left < 0:
            return False
    return True
