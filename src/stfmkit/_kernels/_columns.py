"""The columns of a matrix, one after the other, with a label for every value: what ranks are computed from."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
from scipy import sparse

from stfmkit._kernels._compiled import compiled
from stfmkit._kernels._threads import over_spans, spans

Result = TypeVar("Result")
Matrix: TypeAlias = "np.ndarray | sparse.csr_array | sparse.csc_array"
Arrays: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]

_LEAST_BLOCK = 1 << 25  # values that are turned at a time, unless an eighth of all is more
_SHARE = 8
_DENSE_COLUMNS = 64
_ONE = np.uint64(1)


class Block(NamedTuple):
    """Some columns: where each begins (n_columns + 1,), and the values and labels of all of them (m,)."""

    starts: np.ndarray
    values: np.ndarray
    labels: np.ndarray


def over_columns(
    X: Matrix, labels: np.ndarray | None, function: Callable[[tuple[int, int], Block], Result]
) -> list[Result]:
    """Return ``function(span, block)`` of spans of columns, in their order; the columns of a span are in the block.

    A CSR matrix is turned a bounded number of values at a time, rows of a column in their order.

    Parameters
    ----------
    X
        Values (n_obs, n_columns), without duplicates; zeros may be stored.
    labels
        Label of every row (n_obs,), or None for the position of every value in ``X.data``, X being CSR.
    function
        Called with the first column of a span and the one after the last, counted from the beginning of the block.
    """
    found: list[Result] = []
    for block in _blocks(X, labels):
        found += over_spans(lambda a, b, block=block: function((a, b), block), len(block.starts) - 1)  # type: ignore[misc]
    return found


def _blocks(X: Matrix, labels: np.ndarray | None) -> Iterator[Block]:
    if isinstance(X, np.ndarray):
        if labels is None:
            raise TypeError("positions in data are those of a CSR matrix")
        yield from _dense_blocks(X, labels)
    elif X.format == "csc" and labels is not None:
        yield Block(X.indptr, _floats(X.data), labels[X.indices])
    else:
        yield from _turned(sparse.csr_array(X), labels)


def _dense_blocks(X: np.ndarray, labels: np.ndarray) -> Iterator[Block]:
    n = len(X)
    for start in range(0, X.shape[1], _DENSE_COLUMNS):
        columns = np.ascontiguousarray(_floats(X[:, start : start + _DENSE_COLUMNS]).T)
        yield Block(np.arange(len(columns) + 1) * n, columns.ravel(), np.tile(labels, len(columns)))


def _turned(X: sparse.csr_array, labels: np.ndarray | None) -> Iterator[Block]:
    """Yield the columns of a CSR matrix; indices are sorted, so that every row goes on where the last block ended."""
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    n, n_columns = X.shape
    first_rows = {a: k for k, (a, _) in enumerate(spans(n))}
    counts = np.stack(
        over_spans(lambda a, b: np.bincount(X.indices[X.indptr[a] : X.indptr[b]], minlength=n_columns), n)
    )
    ends = np.concatenate([[0], np.cumsum(counts.sum(axis=0))])
    csr = X.indptr.astype(np.uint64), unsigned(X.indices), _floats(X.data)
    at = csr[0][:-1].copy()
    kind = np.uint32 if labels is None and X.nnz <= np.iinfo(np.uint32).max else np.int64
    carried = np.empty(0, kind) if labels is None else labels
    for first, last in _cuts(ends, max(_LEAST_BLOCK, X.nnz // _SHARE)):
        starts = ends[first : last + 1] - ends[first]
        before = np.cumsum(counts[:, first:last], axis=0) - counts[:, first:last]
        block = Block(starts, np.empty(starts[-1], csr[2].dtype), np.empty(starts[-1], carried.dtype))

        limits = np.uint32(first), np.uint32(last)

        def part(a: int, b: int, limits=limits, block=block, before=before) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
            places = (block.starts[:-1] + before[first_rows[a]]).astype(np.uint64)
            _turn((a, b), limits, csr, (at, places), carried, (block.values, block.labels))

        over_spans(part, n)
        yield block


def _cuts(ends: np.ndarray, most: int) -> Iterator[tuple[int, int]]:
    """Cut columns into runs of at most `most` values, or of one column."""
    first, n = 0, len(ends) - 1
    while first < n:
        last = int(np.searchsorted(ends, ends[first] + most, side="right")) - 1
        last = min(max(last, first + 1), n)
        yield first, last
        first = last


@compiled(nogil=True)
def _turn(
    rows: tuple[int, int],
    limits: tuple[int, int],
    csr: Arrays,
    cursors: tuple[np.ndarray, np.ndarray],
    labels: np.ndarray,
    out: tuple[np.ndarray, np.ndarray],
) -> None:
    """Move the values of some rows and columns to their columns.

    Parameters
    ----------
    rows, limits
        First row and column, and those after the last; columns unsigned, as a sign costs a branch for every index.
    csr
        indptr, indices and data.
    cursors
        Where every row goes on (n_rows,), and where the next value of every column goes; both are moved on.
    labels
        Label of every row; empty for the position of a value in data.
    out
        Values and labels by column.
    """
    indptr, indices, data = csr
    at, places = cursors
    first, last = limits
    values, carried = out
    by_row = len(labels) > 0
    for row in range(rows[0], rows[1]):
        p, stop = at[row], indptr[row + 1]
        while p < stop and indices[p] < last:
            column = indices[p] - first
            place = places[column]
            places[column] = place + _ONE
            values[place] = data[p]
            carried[place] = labels[row] if by_row else p
            p += _ONE
        at[row] = p


def _floats(values: np.ndarray) -> np.ndarray:
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)


def unsigned(index: np.ndarray) -> np.ndarray:
    """Return indices as unsigned integers, without a copy."""
    return index.view(np.uint64 if index.itemsize == 8 else np.uint32)
