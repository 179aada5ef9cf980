"""Sentences about observations, put together from parts that are written once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from stfmkit._core.errors import InputTypeError
from stfmkit.models.nets.rank_kernels import first_entries, rank_tokens
from stfmkit.models.nets.tokens import Tokens
from stfmkit.models.zoo.cellama.kernels import top_columns
from stfmkit.models.zoo.cellama.words import Words

_FIXED = ("Top genes are ", "Top gene is ", ", ", ", and ", ".")
_MANY, _ONE, _COMMA, _AND, _END = range(len(_FIXED))


@dataclass(frozen=True, eq=False)
class Sentences:
    """One sentence of every observation.

    Attributes
    ----------
    parts
        Every text that is in use, once.
    indptr
        Limits of the observations (n_obs + 1,).
    codes
        Parts of the sentences (n_parts,), one observation after the other.

    Every part ends at a space or a punctuation mark, so that its word pieces do not depend on what follows.
    """

    parts: Sequence[str]
    indptr: np.ndarray
    codes: np.ndarray

    def texts(self) -> list[str]:
        """Return the sentences."""
        limits = zip(self.indptr[:-1], self.indptr[1:], strict=True)
        return ["".join(self.parts[code] for code in self.codes[start:stop]) for start, stop in limits]

    def tokens(self, words: Words, *, limit: int) -> Tokens:
        """Return ``[CLS]``, at most `limit - 2` word pieces, and ``[SEP]`` of every sentence."""
        pieces = words.encode(self.parts).take(self.codes)
        indptr, where = first_entries(pieces.indptr[self.indptr], limit=limit - 2)
        return Tokens(indptr, pieces.ids[where]).framed(first=(words.first, 0.0), last=(words.last, 0.0))


def top_genes(values: sparse.csr_array, *, top_k: int, drop_zeros: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the limits (n_obs + 1,) and the columns of the highest genes of every observation."""
    n_obs, n_columns = values.shape
    indptr, columns = rank_tokens(values.indptr, values.indices, values.data, limit=top_k)
    width = min(top_k, n_columns)
    short = np.diff(indptr) < width
    if drop_zeros or not short.any():
        return indptr, columns
    out = np.empty((n_obs, width), dtype=np.int64)
    out[~short] = columns[np.repeat(~short, np.diff(indptr))].reshape(-1, width)
    part = values[short]
    out[short] = top_columns(part.indptr, part.indices, part.data, n_columns=n_columns, limit=width)
    return width * np.arange(n_obs + 1, dtype=np.int64), out.ravel()


def write_sentences(
    indptr: np.ndarray, columns: np.ndarray, symbols: Sequence[str], features: Mapping[str, np.ndarray]
) -> Sentences:
    """Return the sentences of CELLama.

    Parameters
    ----------
    indptr, columns
        Limits and genes of every observation, highest first.
    symbols
        Names of the genes (n_genes,).
    features
        Further facts by name (n_obs,), told after the genes.
    """
    n_genes = np.diff(indptr)
    used = np.bincount(columns, minlength=len(symbols)) > 0
    genes = (np.cumsum(used) - 1)[columns]
    parts = [*_FIXED, *(symbols[column] for column in np.flatnonzero(used).tolist())]
    starts = np.concatenate([[0], np.cumsum(2 * n_genes + 1 + len(features))]).astype(np.int64)
    codes = np.empty(starts[-1], dtype=np.int64)
    codes[starts[:-1] + 2 * n_genes] = _END
    row = np.repeat(np.arange(len(n_genes)), n_genes)
    place = np.arange(len(columns)) - indptr[row]
    before = np.full(len(columns), _COMMA)
    before[place == n_genes[row] - 1] = _AND
    before[place == 0] = np.where(n_genes[row[place == 0]] > 1, _MANY, _ONE)
    codes[starts[row] + 2 * place] = before
    codes[starts[row] + 2 * place + 1] = len(_FIXED) + genes
    for i, (name, values) in enumerate(features.items()):
        stated, which = np.unique(np.asarray(values).astype(str), return_inverse=True)
        codes[starts[:-1] + 2 * n_genes + 1 + i] = len(parts) + which
        parts += [f" {name} of this cell is {value}." for value in stated]
    return Sentences(parts, starts, codes)


def check_columns(obs_features: object, cellname: object) -> None:
    """Refuse what names no columns of obs."""
    held = [obs_features] if isinstance(obs_features, str) or not isinstance(obs_features, Sequence) else obs_features
    if not all(isinstance(name, str) for name in [*held, "" if cellname is None else cellname]):
        raise InputTypeError(
            f"obs_features={obs_features!r} and cellname={cellname!r}.",
            allowed="names of columns of obs",
            remedy="pass text.",
        )
