"""Stable sort of numbers by their bits, for rows that are sorted inside other kernels."""

import numpy as np
from numba import njit

_N_DIGITS = 8
_BASE = 256
_SIGN = np.uint64(1) << np.uint64(63)


@njit(cache=True, nogil=True)
def sort_descending(values: np.ndarray, keys: np.ndarray, order: np.ndarray, tally: np.ndarray) -> np.ndarray:
    """Return the positions of `values`, largest first, equal ones in their order.

    The bits of a float64 are in the order of the numbers once those of negative ones are turned, so a sort by bytes
    needs no comparison; bytes that all keys share are skipped.

    Parameters
    ----------
    values
        Finite numbers (n,).
    keys, order
        Work space (2, ≥ n) of uint64 and of int64; the result is a part of `order`.
    tally
        Work space (8, 256) of int64.
    """
    n = len(values)
    bits = (values.astype(np.float64) + 0.0).view(np.uint64)  # a negative zero equals zero
    tally[:] = 0
    for i in range(n):
        key = bits[i] if bits[i] & _SIGN else ~(bits[i] | _SIGN)
        keys[0, i] = key
        order[0, i] = i
        for digit in range(_N_DIGITS):
            tally[digit, np.int64((key >> np.uint64(8 * digit)) & np.uint64(255))] += 1
    side = 0
    for digit in range(_N_DIGITS):
        shift = np.uint64(8 * digit)
        if n == 0 or tally[digit, np.int64((keys[side, 0] >> shift) & np.uint64(255))] == n:
            continue
        before = 0
        for byte in range(_BASE):
            before, tally[digit, byte] = before + tally[digit, byte], before
        other = 1 - side
        for i in range(n):
            place = np.int64((keys[side, i] >> shift) & np.uint64(255))
            at = tally[digit, place]
            keys[other, at] = keys[side, i]
            order[other, at] = order[side, i]
            tally[digit, place] = at + 1
        side = other
    return order[side, :n]
