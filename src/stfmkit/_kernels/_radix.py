"""Sort numbers by their digits: rising, and descending with the keys that they belong to."""

from typing import Any, NamedTuple

import numpy as np

from stfmkit._kernels._compiled import compiled

_DIGIT = 12  # bits of a digit at most, so that its counts stay in the first cache
_RUN = 24  # longer runs of numbers whose first digits agree are sorted at once, shorter ones by insertion
_SIGN = np.uint64(1 << 63)
_TOP = np.uint64(63)
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_ONE, _ZERO = np.uint64(1), np.uint64(0)
_APART = np.uint64(1 << 63)  # set in a key whose number differs from the one before, though their digits agree
_DIGITS = np.uint64(((1 << (2 * _DIGIT)) - 1) << 32)


class Scratch(NamedTuple):
    """Room for the sort of one column of up to m numbers: the numbers (m,), two lists of keys (m,), and counts."""

    numbers: np.ndarray
    keys: np.ndarray
    spare: np.ndarray
    counts: np.ndarray


def scratch(most: int) -> Scratch:
    """Return room for columns of up to `most` numbers."""
    return Scratch(
        np.empty(most), np.empty(most, np.uint64), np.empty(most, np.uint64), np.empty((2, 1 << _DIGIT), np.uint32)
    )


@compiled(nogil=True)
def _rising(bits: Any) -> Any:  # pragma: no cover  compiled
    """Return an integer that rises with the number whose bits are given."""
    return ~bits if bits >> _TOP else bits | _SIGN


@compiled(nogil=True)
def _width(value: Any) -> int:  # pragma: no cover  compiled
    """Return the number of bits up to the highest that is set."""
    n = 0
    while value > _ZERO:
        value >>= _ONE
        n += 1
    return n


@compiled(nogil=True)
def _limits(bits: np.ndarray) -> tuple[Any, int, int]:  # pragma: no cover  compiled
    """Return the least of the rising integers, the bits that all of them span, and how many of the last agree."""
    first = low = high = _rising(bits[0])
    used: Any = _ZERO
    for value in bits:
        one = _rising(value)
        low, high = min(low, one), max(high, one)
        used |= one ^ first
    same = 0
    while used > _ZERO and not (used >> np.uint64(same)) & _ONE:
        same += 1
    return low, _width(high - low), same


@compiled(nogil=True)
def _deal(
    source: np.ndarray, target: np.ndarray, counts: np.ndarray, shift: Any, mask: Any
) -> None:  # pragma: no cover  compiled
    """Put keys in the order of one digit; keys that agree in it keep theirs."""
    total: Any = np.uint32(0)
    for digit in range(len(counts)):
        here = counts[digit]
        counts[digit] = total
        total += here
    for key in source:
        part = np.intp((key >> shift) & mask)
        target[counts[part]] = key
        counts[part] += 1


@compiled(nogil=True)
def _settle(numbers: np.ndarray, run: np.ndarray) -> None:  # pragma: no cover  compiled
    """Put keys in order whose digits agree, and mark those whose numbers differ from the one before."""
    equal = True
    first = numbers[np.intp(run[0] & _LOW)]
    for key in run:
        equal &= numbers[np.intp(key & _LOW)] == first
    if equal:
        return
    if len(run) > _RUN:
        values = np.empty(len(run))
        for i in range(len(run)):
            values[i] = numbers[np.intp(run[i] & _LOW)]
        run[:] = run[np.argsort(values)]
    else:
        for i in range(1, len(run)):
            key = run[i]
            value = numbers[np.intp(key & _LOW)]
            j = i
            while j > 0 and numbers[np.intp(run[j - 1] & _LOW)] > value:
                run[j] = run[j - 1]
                j -= 1
            run[j] = key
    for i in range(1, len(run)):
        if numbers[np.intp(run[i] & _LOW)] != numbers[np.intp(run[i - 1] & _LOW)]:
            run[i] |= _APART


@compiled(nogil=True)
def tied(key: Any, before: Any) -> bool:  # pragma: no cover  compiled
    """Tell whether two keys that follow each other belong to equal numbers."""
    return (((key ^ before) & _DIGITS) | (key & _APART)) == _ZERO


@compiled(nogil=True)
def sort_keys(room: Scratch, m: int) -> np.ndarray:  # pragma: no cover  compiled
    """Return keys (m,) in the order of the first `m` numbers; the low 32 bits of a key are a position.

    The numbers are finite and not -0. Two digits of their bits, as far as these differ at all, are sorted by counting;
    only numbers that agree in both are compared. See `tied` for what else a key says.
    """
    keys, spare = room.keys[:m], room.spare[:m]
    if m == 0:
        return keys
    bits = room.numbers[:m].view(np.uint64)
    low, width, same = _limits(bits)
    digit: Any = min(max(_width(np.uint64(m)), 6), _DIGIT)
    shift = np.uint64(max(width - 2 * digit, same))
    short: Any = max(width - np.intp(shift), 0)
    exact = np.intp(shift) == same
    digit = min(digit, short)
    mask = (_ONE << np.uint64(digit)) - _ONE
    first, second = room.counts[0, : np.intp(mask) + 1], room.counts[1, : np.intp(mask) + 1]
    first[:], second[:] = 0, 0
    upper = np.uint64(digit)
    for i in range(m):
        part = (_rising(bits[i]) - low) >> shift
        keys[i] = (part << _HALF) | np.uint64(i)
        first[np.intp(part & mask)] += 1
        second[np.intp((part >> upper) & mask)] += 1
    if short == 0:
        return keys
    _deal(keys, spare, first, _HALF, mask)
    if short <= digit:
        keys = spare
    else:
        _deal(spare, keys, second, _HALF + upper, mask)
    if not exact:
        _finish(room.numbers, keys)
    return keys


@compiled(nogil=True)
def _finish(numbers: np.ndarray, keys: np.ndarray) -> None:  # pragma: no cover  compiled
    """Settle every run of keys whose digits agree."""
    m, start = len(keys), 0
    while start < m:
        stop = start + 1
        while stop < m and keys[stop] >> _HALF == keys[start] >> _HALF:
            stop += 1
        if stop - start > 1:
            _settle(numbers, keys[start:stop])
        start = stop


N_DIGITS = 4
_BASE = 256
_BYTE = np.uint64(255)


@compiled(nogil=True)
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


@compiled(nogil=True)
def _sort_digits(bits: np.ndarray, keys: np.ndarray, tally: np.ndarray) -> int:
    """Sort by the upper half of the bits; return the row of `keys` that holds the result."""
    n = len(bits)
    tally[:] = 0
    for i in range(n):
        falling = bits[i] if bits[i] & _SIGN else ~(bits[i] | _SIGN)
        key = (falling & ~_LOW) | np.uint64(i)
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


@compiled(nogil=True)
def _insert(numbers: np.ndarray, keys: np.ndarray, order: np.ndarray) -> bool:
    """Write the positions in the order of the keys, and of the numbers among them; return False if that takes long."""
    left = 2 * len(numbers)
    for i in range(len(numbers)):
        place, at = np.int64(keys[i] & _LOW), i
        number = numbers[place]
        while at > 0 and numbers[order[at - 1]] < number:
            order[at] = order[at - 1]
            at -= 1
        order[at] = place
        left -= i - at
        if left < 0:
            return False
    return True
