"""Genes ranked by their share of an observation over a mean of the gene, in one pass."""

import numpy as np

from stfmkit._kernels._compiled import compiled
from stfmkit._kernels._radix import N_DIGITS, sort_descending
from stfmkit._kernels._threads import over_spans


@compiled(nogil=True)
def _rank_shares(
    span: tuple[int, int],
    csr: tuple[np.ndarray, np.ndarray, np.ndarray],
    columns: tuple[np.ndarray, np.ndarray],
    tail: np.ndarray,
    starts: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write the tokens of every row, largest value first; columns without a mean only count towards the total."""
    indptr, indices, counts = csr
    tokens, means = columns
    longest = 0
    for row in range(span[0], span[1]):
        longest = max(longest, indptr[row + 1] - indptr[row])
    values, held = np.empty(longest), np.empty(longest, dtype=np.int64)
    keys, places = np.empty((2, longest), dtype=np.uint64), np.empty(longest, dtype=np.int64)
    tally = np.empty((N_DIGITS, 256), dtype=np.int64)
    for row in range(span[0], span[1]):
        begin, end = indptr[row], indptr[row + 1]
        total = 0.0
        for place in range(begin, end):
            total += counts[place]
        scale = 10_000.0 / total if total > 0 else 0.0
        n_known = 0
        for place in range(begin, end):
            mean = means[indices[place]]
            if not np.isnan(mean):
                values[n_known] = counts[place] * scale / mean
                held[n_known] = tokens[indices[place]]
                n_known += 1
        order = sort_descending(values[:n_known], keys, places, tally)
        length = starts[row + 1] - starts[row]
        n_ranked = min(n_known, length)
        for m in range(n_ranked):
            out[starts[row] + m] = held[order[m]]
        for m in range(n_ranked, length):
            out[starts[row] + m] = tail[m - n_ranked]


def rank_shares(
    csr: tuple[np.ndarray, np.ndarray, np.ndarray],
    columns: tuple[np.ndarray, np.ndarray],
    tail: np.ndarray,
    *,
    limit: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the genes of every row by descending value, and after them the same tokens in every row.

    The value is (count · (10,000 / total)) / mean in float64, in this order of operations; equal values keep the order
    of the columns.

    Parameters
    ----------
    csr
        indptr, indices (sorted) and counts (> 0) of the rows.
    columns
        Token and mean of every column; columns whose mean is NaN are not ranked.
    tail
        Tokens that follow in every row.
    limit
        Most tokens of a row.

    Returns
    -------
    Limits of the rows (n_rows + 1,), and the tokens one row after the other.
    """
    indptr, indices, counts = csr
    unranked = np.isnan(columns[1])
    n_known = np.diff(indptr).astype(np.int64)
    if unranked.any():
        before = np.concatenate([[0], np.cumsum(unranked[indices])])
        n_known = n_known - np.diff(before[indptr])
    lengths = np.minimum(n_known + len(tail), limit)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    out = np.empty(starts[-1], dtype=np.int64)
    arrays = (indptr.astype(np.int64), indices, counts)
    over_spans(lambda start, stop: _rank_shares((start, stop), arrays, columns, tail, starts, out), len(lengths))
    return starts, out
