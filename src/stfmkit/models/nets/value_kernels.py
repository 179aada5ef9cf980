"""Known genes of every observation as tokens, with the logarithm of their counts, in one pass."""

from typing import TYPE_CHECKING

import numpy as np

from stfmkit._kernels._compiled import compiled
from stfmkit._kernels._threads import over_spans
from stfmkit.models.genes.alignment import GeneMatch, align_counts
from stfmkit.models.nets.tokens import Tokens

if TYPE_CHECKING:
    from scipy import sparse


_SMALL = 64


@compiled(nogil=True)
def _count_known(
    span: tuple[int, int], csr: tuple[np.ndarray, np.ndarray, np.ndarray], tokens: np.ndarray, out: np.ndarray
) -> None:
    """Write the number of known genes of every row."""
    indptr, indices, counts = csr
    for row in range(span[0], span[1]):
        n_known = 0
        for place in range(indptr[row], indptr[row + 1]):
            n_known += tokens[indices[place]] >= 0 and counts[place] != 0
        out[row] = n_known


@compiled(nogil=True)
def _log_rows(
    span: tuple[int, int],
    csr: tuple[np.ndarray, np.ndarray, np.ndarray],
    tokens: np.ndarray,
    target: float,
    starts: np.ndarray,
    out: tuple[np.ndarray, np.ndarray],
) -> None:
    """Write tokens and values of every row; the logarithm of a small whole number is computed once in a row."""
    indptr, indices, counts = csr
    ids, values = out
    logs = np.full(_SMALL, np.nan)
    for row in range(span[0], span[1]):
        at = starts[row]
        total = 0.0
        for place in range(indptr[row], indptr[row + 1]):
            token = tokens[indices[place]]
            if token >= 0 and counts[place] != 0:
                ids[at] = token
                values[at] = counts[place]
                total += counts[place]
                at += 1
        scale = target / total if target > 0 and total > 0 else 1.0
        if target > 0:
            logs[:] = np.nan
        for m in range(starts[row], at):
            whole = int(values[m]) if 0 < values[m] < _SMALL else 0
            if whole == 0 or whole != values[m]:
                values[m] = np.log1p(values[m] * scale)
                continue
            if np.isnan(logs[whole]):
                logs[whole] = np.log1p(values[m] * scale)
            values[m] = logs[whole]


def log_values(
    csr: tuple[np.ndarray, np.ndarray, np.ndarray], tokens: np.ndarray, *, target: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the known genes of every row, in the order of its entries, with log1p of their counts.

    Parameters
    ----------
    csr
        indptr, indices and counts of the rows.
    tokens
        Token of every column, -1 for columns that are left out (n_columns,).
    target
        Total that the known counts of a row are scaled to first; 0 for counts as they are.

    Returns
    -------
    Limits of the rows (n_rows + 1,), tokens and values (float32), one row after the other.
    """
    lengths = np.zeros(len(csr[0]) - 1, dtype=np.int64)
    over_spans(lambda start, stop: _count_known((start, stop), csr, tokens, lengths), len(lengths))
    starts = np.concatenate([[0], np.cumsum(lengths)])
    out = np.empty(starts[-1], dtype=np.int64), np.empty(starts[-1], dtype=np.float32)
    over_spans(lambda start, stop: _log_rows((start, stop), csr, tokens, target, starts, out), len(lengths))
    return starts, *out


def logged_tokens(counts: "sparse.csr_array", match: GeneMatch, *, target: float = 0.0) -> Tokens:
    """Return the known genes of every observation with log1p of their counts; genes of one token are added up.

    Parameters
    ----------
    counts
        Counts (n_obs, n_genes).
    match
        Which genes the model knows.
    target
        Total that the known counts of an observation are scaled to first; 0 for counts as they are.
    """
    tokens = np.full(counts.shape[1], -1, dtype=np.int64)
    if len(np.unique(match.ids)) == len(match.ids) == len(np.unique(match.columns)):
        tokens[match.columns] = match.ids
    else:
        counts, tokens = align_counts(counts, match)
    return Tokens(*log_values((counts.indptr, counts.indices, counts.data), tokens, target=target))
