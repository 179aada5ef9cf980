"""Ranks of sparse columns, zeros included, without writing the zeros down; and sums by group in the same pass."""

from typing import NamedTuple, Self

import numpy as np
from scipy import sparse, stats

from stfmkit._kernels._columns import Block, Matrix, over_columns
from stfmkit._kernels._compiled import compiled
from stfmkit._kernels._radix import Scratch, scratch, sort_keys, tied

_LOW = np.uint64(0xFFFFFFFF)


class GroupSums(NamedTuple):
    """What every column holds in every group (n_groups, n_columns), and the ties of a column.

    Attributes
    ----------
    ranks
        Sum of mid-ranks over all observations.
    total
        Sum of ``expm1(x)`` over the values above 0; zeros where it was not asked for.
    detected
        Number of values above 0.
    ties
        ``Σ (t³ - t)`` over the runs of t equal values of a column (n_columns,).
    """

    ranks: np.ndarray
    total: np.ndarray
    detected: np.ndarray
    ties: np.ndarray


@compiled(nogil=True)
def _add_places(keys: np.ndarray, codes: np.ndarray, sums: np.ndarray) -> float:
    """Add twice the mid-rank of every number among the numbers of one column to the sum of its group.

    A number that is tied has the mean of the first and the last place of its run; the first come from a pass upwards,
    the last from one downwards, and neither branches on ties, which a processor cannot foresee.

    Parameters
    ----------
    keys
        Keys with the positions of the numbers, smallest number first (m,).
    codes
        Group of each number (m,).
    sums
        Twice the rank sums (n_groups,), integers, added to in place.

    Returns
    -------
    ``Σ (t³ - t)`` over the runs of t equal numbers.
    """
    m = len(keys)
    ties = 0.0
    place = 0
    for k in range(m):
        place = place if k and tied(keys[k], keys[k - 1]) else k
        sums[codes[np.intp(keys[k] & _LOW)]] += place + 1
        ahead = np.float64(k - place)
        ties += 3 * ahead * (ahead + 1)
    for k in range(m - 1, -1, -1):
        place = place if k < m - 1 and tied(keys[k + 1], keys[k]) else k
        sums[codes[np.intp(keys[k] & _LOW)]] += place + 1
    return ties


@compiled(nogil=True)
def _pick(values: np.ndarray, labels: np.ndarray, numbers: np.ndarray, codes: np.ndarray) -> int:
    """Copy what is not 0, with its group, and return how many these are."""
    m = 0
    for k in range(len(values)):
        if values[k] != 0:
            numbers[m], codes[m] = values[k], labels[k]
            m += 1
    return m


@compiled(nogil=True)
def _count(numbers: np.ndarray, codes: np.ndarray, above: np.ndarray, below: np.ndarray) -> None:
    """Count the numbers above and below 0 of every group."""
    negative = 0
    for number in numbers:
        negative += number < 0
    for code in codes:
        above[code] += 1
    if negative:
        for k in range(len(numbers)):
            if numbers[k] < 0:
                above[codes[k]] -= 1
                below[codes[k]] += 1


@compiled(nogil=True)
def sum_columns(
    span: tuple[int, int], block: Block, sizes: np.ndarray, room: Scratch, amounts: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums of :class:`GroupSums` (3, n_columns, n_groups) and the ties (n_columns,) of a span of columns.

    Parameters
    ----------
    span
        First column of the block, and the one after the last.
    block
        Columns; labels are groups.
    sizes
        Observations of every group (n_groups,).
    room
        Scratch that the longest column fits into.
    amounts
        Whether `total` is wanted.
    """
    starts, values, labels = block.starts, block.values, block.labels
    first, last = span
    out, ties = np.zeros((3, last - first, len(sizes))), np.zeros(last - first)
    codes = np.empty(len(room.numbers), labels.dtype)
    above, below, twice = np.empty_like(sizes), np.empty_like(sizes), np.empty_like(sizes)
    for column in range(first, last):
        ranks, total, detected = out[0, column - first], out[1, column - first], out[2, column - first]
        above[:], below[:], twice[:] = 0, 0, 0
        part = slice(starts[column], starts[column + 1])
        m = _pick(values[part], labels[part], room.numbers, codes)
        _count(room.numbers[:m], codes[:m], above, below)
        if amounts:
            for k in range(m):
                if room.numbers[k] > 0:
                    total[codes[k]] += np.expm1(room.numbers[k])
        found = _add_places(sort_keys(room, m), codes, twice)
        zeros = sizes - above - below
        n_zeros, n_below = np.float64(zeros.sum()), np.float64(below.sum())
        ties[column - first] = found + n_zeros**3 - n_zeros
        for g in range(len(sizes)):
            ranks[g] = 0.5 * twice[g] + above[g] * n_zeros + zeros[g] * (n_below + (n_zeros + 1) / 2)
            detected[g] = above[g]
    return out, ties


def group_sums(X: Matrix, *, codes: np.ndarray, n_groups: int, amounts: bool = False) -> GroupSums:
    """Return rank sums and ties of every column, detection, and on request sums, in one pass over the values.

    Parameters
    ----------
    X
        Finite values (n_obs, n_columns); a sparse matrix is not densified.
    codes
        Group of every observation (n_obs,), in ``range(n_groups)``.
    n_groups
        Number of groups.
    amounts
        Also sum ``expm1(x)``.
    """
    sizes = np.bincount(codes, minlength=n_groups)
    if not isinstance(X, np.ndarray) and not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()

    def part(span: tuple[int, int], block: Block) -> tuple[np.ndarray, np.ndarray]:
        room = scratch(_longest(span, block))
        return sum_columns(span, block, sizes, room, amounts)

    parts = over_columns(X, codes.astype(np.uint16 if n_groups < 1 << 16 else np.int64), part)
    sums = np.concatenate([np.empty((3, 0, n_groups)), *(one for one, _ in parts)], axis=1)
    ties = np.concatenate([np.empty(0), *(one for _, one in parts)])
    return GroupSums(sums[0].T, sums[1].T, sums[2].T, ties)


def rank_sums(X: Matrix, *, codes: np.ndarray, n_groups: int) -> np.ndarray:
    """Return the sum of mid-ranks of every group in every column (n_groups, n_columns), as :func:`group_sums`."""
    return group_sums(X, codes=codes, n_groups=n_groups).ranks


@compiled(nogil=True)
def _write_shifted(span: tuple[int, int], block: Block, n_obs: int, room: Scratch, out: np.ndarray) -> None:
    """Write mid-rank minus the mid-rank of zero of every value, to the place that its label says."""
    starts, values, labels = block.starts, block.values, block.labels
    own = np.empty(len(room.numbers), np.int64)
    for column in range(span[0], span[1]):
        m = negative = 0
        for p in range(starts[column], starts[column + 1]):
            if values[p] != 0:
                room.numbers[m], own[m] = values[p], p
                m += 1
                negative += values[p] < 0
        keys = sort_keys(room, m)
        n_zeros = n_obs - m
        zero_rank = negative + (n_zeros + 1) / 2
        start = 0
        while start < m:
            stop = start + 1
            while stop < m and tied(keys[stop], keys[stop - 1]):
                stop += 1
            below = start if start < negative else start + n_zeros
            for k in range(start, stop):
                out[labels[own[np.intp(keys[k] & _LOW)]]] = below + (stop - start + 1) / 2 - zero_rank
            start = stop


def shifted_ranks(X: sparse.csr_array | sparse.csc_array) -> sparse.csr_array:
    """Return the mid-ranks of every column, shifted so that zero has rank 0 and the result stays sparse.

    A shift per column changes no correlation, so Spearman's ρ of `X` is Pearson's r of the result.
    """
    rows = sparse.csr_array(X)
    if not rows.has_canonical_format:
        rows = rows.copy()
        rows.sum_duplicates()
    out = np.zeros(rows.nnz)

    def part(span: tuple[int, int], block: Block) -> None:
        _write_shifted(span, block, rows.shape[0], scratch(_longest(span, block)), out)

    over_columns(rows, None, part)
    return sparse.csr_array((out, rows.indices, rows.indptr), shape=rows.shape)


def _longest(span: tuple[int, int], block: Block) -> int:
    return int(np.diff(block.starts[span[0] : span[1] + 1]).max())


class Ranked(NamedTuple):
    """Mid-ranks of the columns of a matrix.

    Attributes
    ----------
    shifted
        Rank minus `zero` (n_obs, n_columns); sparse where the values are, because zeros stay zero.
    zero
        What was taken off every column (n_columns,).
    """

    shifted: np.ndarray | sparse.csr_array
    zero: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray | sparse.csr_array) -> Self:
        """Rank every column of `values` (n_obs, n_columns)."""
        n, columns = values.shape
        if isinstance(values, np.ndarray):
            return cls(stats.rankdata(values, axis=0), np.zeros(columns))
        shifted = shifted_ranks(values)
        total = np.asarray(shifted.sum(axis=0)).ravel()
        return cls(shifted, ((n * (n + 1)) / 2 - total) / n)

    def auroc(self, codes: np.ndarray, n_groups: int) -> np.ndarray:
        """Return the AUROC of every group against all other rows (n_groups, n_columns); NaN for none or all of them.

        `codes` holds the group of every row; rows of no group have -1.
        """
        rows = np.flatnonzero(codes >= 0)
        member = sparse.csr_array((np.ones(len(rows)), (codes[rows], rows)), shape=(n_groups, len(codes)))
        product = member @ self.shifted
        sums = product if isinstance(product, np.ndarray) else product.toarray()
        size = np.bincount(codes[rows], minlength=n_groups).astype(np.float64)[:, None]
        u = sums + size * self.zero - size * (size + 1) / 2
        pairs = size * (len(codes) - size)
        out = np.full(u.shape, np.nan)
        np.divide(u, pairs, out=out, where=pairs > 0)
        return out
