"""Log counts as tokens, with the depth S and a wanted depth T after them (scFoundation)."""

import math
import re

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError
from stfmkit.models.nets.tokens import Tokens

_TARGET = 1e4


def parse_resolution(text: str) -> tuple[str, float]:
    """Return the letter and the number of ``tgthighres``.

    Raises
    ------
    InputError
        It is neither "t", "f" nor "a" with a number.
    """
    found = re.fullmatch(r"([tfa])(-?\d+(?:\.\d+)?)", str(text))
    if found is None or (found[1] == "f" and float(found[2]) <= 0):
        raise InputError(
            f"tgthighres={text!r}.",
            allowed="'t4' (T is 4), 'f2' (T is log10 of twice the total) or 'a1' (T is S + 1)",
            remedy="pass a letter and a number.",
        )
    return found[1], float(found[2])


def parse_totals(column: np.ndarray, *, key: str) -> np.ndarray:
    """Return total counts (n_obs,) from a column of obs.

    Raises
    ------
    InputError
        Some are no numbers above zero.
    """
    totals = pd.to_numeric(pd.Series(column), errors="coerce").to_numpy(dtype=np.float64)
    bad = ~(np.isfinite(totals) & (totals > 0))
    if bad.any():
        raise InputError(
            f"{int(bad.sum())} of {len(totals)} total counts in obs[{key!r}] are no numbers above zero: "
            f"{listed(np.asarray(column)[bad], most=3)}.",
            allowed="total counts",
            remedy="pass the column that holds them as total_key=.",
        )
    return totals


def log_counts(counts: sparse.csr_array) -> tuple[sparse.csr_array, np.ndarray]:
    """Return ``log1p`` of counts per ten thousand (n_obs, m) in double precision, and the totals (n_obs,)."""
    held = counts.astype(np.float64)
    held.eliminate_zeros()
    totals = np.asarray(held.sum(axis=1)).ravel()
    held.data = np.log1p(held.data / np.repeat(totals, np.diff(held.indptr)) * _TARGET)
    return held, totals


def depth_tokens(
    counts: sparse.csr_array,
    ids: np.ndarray,
    *,
    t_and_s: tuple[int, int],
    resolution: str,
    logged: bool = False,
    totals: np.ndarray | None = None,
) -> Tokens:
    """Return the genes with a value above zero, then T and S where they are above zero.

    Parameters
    ----------
    counts
        Counts of the known genes (n_obs, m), or their logarithms.
    ids
        Token of every column (m,), ascending.
    t_and_s
        The tokens of T and S.
    resolution
        ``tgthighres``.
    logged
        Whether `counts` holds logarithms; S then comes from their sum, or from `totals`.
    totals
        Total counts (n_obs,), where they are not the sums.
    """
    if logged:
        values = counts.astype(np.float64)
        values.eliminate_zeros()
        sums = np.asarray(values.sum(axis=1)).ravel()
    else:
        values, sums = log_counts(counts)
    empty = np.diff(values.indptr) == 0
    total = np.where(empty, 1.0, sums if totals is None else totals)
    letter, number = parse_resolution(resolution)
    s = np.log10(total)
    t = {"t": np.full(len(s), number), "f": s + math.log10(number) if letter == "f" else s, "a": s + number}[letter]
    indptr, tokens, numbers = _appended(values, ids, np.column_stack([t, s]), np.asarray(t_and_s))
    return Tokens(indptr, tokens, numbers, {"empty": empty})


def _appended(
    values: sparse.csr_array, ids: np.ndarray, last: np.ndarray, last_ids: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the limits, tokens and values of every row with those of `last` after it that are above zero."""
    above = last.astype(np.float32) > 0
    lengths = np.diff(values.indptr)
    indptr = np.concatenate([[0], np.cumsum(lengths + above.sum(axis=1))]).astype(np.int64)
    tokens, numbers = np.empty(indptr[-1], dtype=np.int64), np.empty(indptr[-1], dtype=np.float32)
    gene = np.repeat(indptr[:-1] - values.indptr[:-1], lengths) + np.arange(len(values.data))
    tokens[gene], numbers[gene] = np.asarray(ids, dtype=np.int64)[values.indices], values.data
    rows, which = np.nonzero(above)
    place = (indptr[:-1] + lengths)[rows] + (np.cumsum(above, axis=1) - 1)[rows, which]
    tokens[place], numbers[place] = last_ids[which], last[rows, which]
    return indptr, tokens, numbers
