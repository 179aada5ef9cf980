"""Quantile bins within every observation, and a choice of genes by keyed random numbers (scGPT)."""

import numpy as np

from stfmkit._kernels._compiled import compiled
from stfmkit._kernels._threads import over_spans

_MOST_COUNTED = 1024
_PLACE = np.uint64(0xFFFFFFFF)
_TIES, _CHOICE = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)


@compiled(nogil=True, inline="always")
def _mixed(state: np.uint64) -> np.uint64:
    """Return the finaliser of SplitMix64 (Steele et al. 2014)."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


@compiled(nogil=True, inline="always")
def _uniform(key: np.uint64, token: int) -> float:
    return np.float64(_mixed(_mixed(key + np.uint64(token) * _TIES)) >> np.uint64(11)) * 2.0**-53


@compiled(nogil=True)
def _by_counting(values: np.ndarray, tally: np.ndarray, out: np.ndarray) -> bool:
    """Write the values in ascending order, if they are small whole numbers, as counts are."""
    top = np.int64(values.max())
    if top >= len(tally):
        return False
    tally[: top + 1] = 0
    for value in values:
        held = np.int64(value)
        if held != value:
            return False
        tally[held] += 1
    at = 0
    for number in range(top + 1):
        out[at : at + tally[number]] = number
        at += int(tally[number])
    return True


@compiled(nogil=True)
def _by_digits(values: np.ndarray, keys: np.ndarray, digits: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Write the values in ascending order, and return their keys: the bits of each above its place in the row."""
    bits = values.view(np.uint32)
    digits[:] = 0
    for i in range(len(values)):
        key = bits[i]
        keys[0, i] = (np.uint64(key) << np.uint64(32)) | np.uint64(i)
        for digit in range(len(digits)):
            digits[digit, (key >> np.uint32(8 * digit)) & np.uint32(255)] += 1
    side = 0
    for digit in range(len(digits)):
        shift = np.uint64(32 + 8 * digit)
        tally = digits[digit]
        if tally[(keys[side, 0] >> shift) & np.uint64(255)] == len(values):
            continue
        before = 0
        for byte in range(256):
            before, tally[byte] = before + tally[byte], before
        for i in range(len(values)):
            key = keys[side, i]
            byte = (key >> shift) & np.uint64(255)
            keys[1 - side, tally[byte]] = key
            tally[byte] += 1
        side = 1 - side
    for i in range(len(values)):
        out[i] = values[np.int64(keys[side, i] & _PLACE)]
    return keys[side]


@compiled(nogil=True)
def _find_edges(values: np.ndarray, edges: np.ndarray, keys: np.ndarray, out: np.ndarray) -> None:
    """Write the number of edges below each value: in one walk along the keys, where values have been sorted by them."""
    low = 0
    for key in keys:
        place = np.int64(key & _PLACE)
        while low < len(edges) and edges[low] < values[place]:
            low += 1
        out[place] = low
    if len(keys) > 0:
        return
    for i in range(len(values)):
        value, low, high = np.float64(values[i]), 0, len(edges)
        while low < high:
            middle = (low + high) >> 1
            if edges[middle] < value:
                low = middle + 1
            else:
                high = middle
        out[i] = low


@compiled(nogil=True)
def _fill_edges(held: np.ndarray, levels: np.ndarray, edges: np.ndarray, above: np.ndarray) -> None:
    """Write the quantiles of sorted values, and how many of them are not above each."""
    last = len(held) - 1
    for k in range(len(levels)):
        place = last * levels[k]
        low = min(int(np.floor(place)), last)
        high = min(low + 1, last)
        share = place - np.floor(place)
        step = np.float64(held[high] - held[low])
        upper = share >= 0.5  # as numpy.quantile, to the last bit
        edges[k] = held[high] - step * (1.0 - share) if upper else held[low] + step * share
    reach = len(edges)
    for k in range(len(edges) - 1, -1, -1):
        if k < len(edges) - 1 and edges[k] < edges[k + 1]:
            reach = k + 1
        above[k] = reach


@compiled(nogil=True)
def _mark_chosen(tokens: np.ndarray, key: np.uint64, limit: int, keep: np.ndarray) -> None:
    """Mark `limit` of the tokens of a row, those with the smallest hashes."""
    hashes = np.empty(len(tokens), dtype=np.uint64)
    for i in range(len(tokens)):
        hashes[i] = _mixed(_mixed(key + np.uint64(tokens[i]) * _CHOICE))
    most = np.partition(hashes, limit - 1)[limit - 1]
    equal = limit
    for held in hashes:
        equal -= held < most
    for i in range(len(tokens)):  # equal hashes, of genes of one token, in their order
        keep[i] = hashes[i] < most or (hashes[i] == most and equal > 0)
        equal -= hashes[i] == most


@compiled(nogil=True)
def _bin_rows(
    span: tuple[int, int],
    csr: tuple[np.ndarray, np.ndarray, np.ndarray],
    ids: np.ndarray,
    random: tuple[np.ndarray, np.ndarray],
    levels: np.ndarray,
    starts: np.ndarray,
    out: tuple[np.ndarray, np.ndarray],
) -> None:
    """Write the tokens of every row and the bins of their values."""
    indptr, indices, values = csr
    keys, draws = random
    tokens_out, bins_out = out
    edges, above = np.empty(len(levels)), np.empty(len(levels), dtype=np.int64)
    tally, digits = np.empty(_MOST_COUNTED, dtype=np.int64), np.empty((4, 256), dtype=np.int64)
    longest = 0
    for row in range(span[0], span[1]):
        longest = max(longest, indptr[row + 1] - indptr[row])
    keys_room, below = np.empty((2, longest), dtype=np.uint64), np.empty(longest, dtype=np.int64)
    ascending = np.empty(longest, dtype=np.float32)
    for row in range(span[0], span[1]):
        begin, end = indptr[row], indptr[row + 1]
        if begin == end:
            continue
        held, n = values[begin:end], end - begin
        order = keys_room[0, :0]
        if not _by_counting(held, tally, ascending):
            order = _by_digits(held, keys_room, digits, ascending)[:n]
        _fill_edges(ascending[:n], levels, edges, above)
        _find_edges(held, edges, order, below)
        tokens = ids[indices[begin:end]]
        keep = np.ones(end - begin, dtype=np.bool_)
        limit = starts[row + 1] - starts[row]
        if limit < end - begin:
            _mark_chosen(tokens, keys[row], limit, keep)
        at = starts[row]
        for i in range(end - begin):
            if not keep[i]:
                continue
            value, low = np.float64(held[i]), below[i]
            digit = above[low] if low < len(edges) and edges[low] == value else low
            if digit - low > 1:  # several equal edges: any of their bins
                draw = draws[begin + i] if len(draws) > 0 else _uniform(keys[row], tokens[i])
                digit = np.int64(np.ceil(draw * (low - digit) + digit))
            tokens_out[at], bins_out[at] = tokens[i], digit
            at += 1


def bin_rows(
    csr: tuple[np.ndarray, np.ndarray, np.ndarray],
    ids: np.ndarray,
    keys: np.ndarray,
    *,
    n_bins: int,
    limit: int,
    draws: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the entries of every row as tokens, each with the bin of its value among those of the row.

    The edges of the bins are the quantiles at ``n_bins - 1`` even levels. A value that equals several edges goes to one
    of their bins at random. Of a row with more than `limit` entries a random subset stays. Both follow from the key of
    the row and the token.

    Parameters
    ----------
    csr
        Limits, columns and values of the rows; the values are float32 and above zero.
    ids
        Token of every column.
    keys
        A random 64-bit number for every row.
    n_bins
        Number of bins; 0 is left to values that are absent.
    limit
        Most entries of a row.
    draws
        Uniform numbers in [0, 1) beside the values, instead of those that follow from the keys.

    Returns
    -------
    Limits of the rows (n_rows + 1,), tokens, and bins as float32.
    """
    indptr, indices, values = csr
    starts = np.concatenate([[0], np.cumsum(np.minimum(np.diff(indptr), limit))]).astype(np.int64)
    out = np.empty(starts[-1], dtype=np.int64), np.empty(starts[-1], dtype=np.float32)
    held = (indptr.astype(np.int64), indices, values)
    random = (keys, np.empty(0) if draws is None else draws)
    levels, tokens = np.linspace(0, 1, n_bins - 1), np.asarray(ids, dtype=np.int64)
    over_spans(lambda start, stop: _bin_rows((start, stop), held, tokens, random, levels, starts, out), len(keys))
    return starts, *out
