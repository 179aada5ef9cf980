"""The columns with the largest values of every row, zeros among them."""

import numpy as np

from stfmkit._kernels._compiled import compiled
from stfmkit._kernels._threads import over_spans


@compiled(nogil=True)
def _fill_rows(
    span: tuple[int, int], indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, out: np.ndarray
) -> None:
    """Write the columns of the largest values of every row, then the first columns without a value."""
    limit = out.shape[1]
    for row in range(span[0], span[1]):
        held = indices[indptr[row] : indptr[row + 1]]
        order = np.argsort(-values[indptr[row] : indptr[row + 1]], kind="mergesort")
        filled = min(limit, len(held))
        for m in range(filled):
            out[row, m] = held[order[m]]
        column = 0
        place = 0
        while filled < limit:
            while place < len(held) and held[place] < column:
                place += 1
            if place == len(held) or held[place] != column:
                out[row, filled] = column
                filled += 1
            column += 1


def top_columns(
    indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, *, n_columns: int, limit: int
) -> np.ndarray:
    """Return the columns of every row by descending value (n_rows, min(limit, n_columns)).

    Parameters
    ----------
    indptr, indices, values
        CSR arrays with sorted indices and values > 0. Equal values keep the order of the columns, and where a row has
        too few, columns without a value follow in their order.
    n_columns
        Number of columns.
    limit
        Most columns of a row.
    """
    out = np.empty((len(indptr) - 1, min(limit, n_columns)), dtype=np.int64)
    arrays = (indptr.astype(np.int64), indices.astype(np.int64), values)
    over_spans(lambda start, stop: _fill_rows((start, stop), *arrays, out), len(out))
    return out
