"""Genes of every observation as tokens, straight from CSR arrays."""

import numpy as np

from stfmkit._kernels._compiled import compiled
from stfmkit._kernels._radix import N_DIGITS, sort_descending
from stfmkit._kernels._threads import over_spans


@compiled(nogil=True)
def _rank_rows(
    span: tuple[int, int], csr: tuple[np.ndarray, np.ndarray, np.ndarray], starts: np.ndarray, out: np.ndarray
) -> None:
    """Write the column indices of every row into `out`, largest value first, ties by column."""
    indptr, indices, values = csr
    longest = 0
    for row in range(span[0], span[1]):
        longest = max(longest, indptr[row + 1] - indptr[row])
    keys, places = np.empty((2, longest), dtype=np.uint64), np.empty(longest, dtype=np.int64)
    tally = np.empty((N_DIGITS, 256), dtype=np.int64)
    for row in range(span[0], span[1]):
        begin, end = indptr[row], indptr[row + 1]
        order = sort_descending(values[begin:end], keys, places, tally)
        length = starts[row + 1] - starts[row]
        for m in range(length):
            out[starts[row] + m] = indices[begin + order[m]]


def rank_tokens(
    indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, *, limit: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns of every row by descending value, at most `limit` of them.

    Parameters
    ----------
    indptr, indices, values
        CSR arrays with sorted indices, values > 0 and finite. Equal values keep the order of the columns.
    limit
        Most columns of a row.

    Returns
    -------
    Limits of the rows (n_rows + 1,), and the columns, one row after the other.
    """
    lengths = np.minimum(np.diff(indptr), limit)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    out = np.empty(starts[-1], dtype=np.int64)
    csr = (indptr.astype(np.int64), indices.astype(np.int64), values)
    over_spans(lambda start, stop: _rank_rows((start, stop), csr, starts, out), len(lengths))
    return starts, out


def first_entries(indptr: np.ndarray, *, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the limits of the rows cut after `limit` entries (n_rows + 1,), and the positions of these entries."""
    lengths = np.minimum(np.diff(indptr), limit)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    offsets = np.repeat(indptr[:-1].astype(np.int64) - starts[:-1], lengths)
    return starts, offsets + np.arange(starts[-1])
