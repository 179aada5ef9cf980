"""The genes of a table in the vocabulary of a model, looked up once for all parts of one table."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit._core.files import sha256_of
from stfmkit.models.contract import Block
from stfmkit.models.genes.table import GeneIds, GeneTable, GeneTableLike, kind_of, without_version

Duplicates: TypeAlias = Literal["sum", "first", "keep", "error"]


@dataclass(frozen=True, eq=False)
class GeneVocabulary:
    """The genes that a model knows.

    Attributes
    ----------
    names
        Their names (n,), each once.
    ids
        Their tokens (n,), ``0 … n - 1`` by default.
    kind
        "ensembl" or "symbol".
    fold_case
        Whether upper and lower case are the same.
    tells_case
        Whether the case of the names tells a species all the same, so that genes most of which are written otherwise
        are refused.
    """

    names: pd.Index
    kind: GeneIds
    ids: np.ndarray | None = None
    fold_case: bool = False
    tells_case: bool = False

    def tokens(self) -> np.ndarray:
        """Return the token of every name (n,)."""
        return np.arange(len(self.names)) if self.ids is None else np.asarray(self.ids)

    def keys(self) -> pd.Index:
        """Return the names in the form that is compared."""
        return self.fold(self.names)

    def fold(self, names: pd.Index) -> pd.Index:
        """Return names in the form that is compared."""
        if self.kind == "ensembl":
            return without_version(names)
        return names.astype(str).str.upper() if self.fold_case else names.astype(str)


@dataclass(frozen=True, eq=False)
class GeneMatch:
    """Columns of a table and the tokens that they stand for, in the order of the tokens.

    Attributes
    ----------
    columns
        Positions among the genes of the table (m,).
    ids
        Their tokens (m,), ascending; equal ones belong to genes that are added up.
    table
        Source of the translation between symbols and Ensembl ids, where there was one.
    """

    columns: np.ndarray
    ids: np.ndarray
    table: str = ""


def match_genes(
    genes: pd.Index,
    vocabulary: GeneVocabulary,
    *,
    what: str,
    duplicates: Duplicates = "sum",
    gene_table: GeneTableLike | None = None,
) -> GeneMatch:
    """Return which genes of a table a model knows, and as what.

    Parameters
    ----------
    genes
        Names of the genes of a table (n_genes,).
    vocabulary
        What the model knows.
    what
        Name of the model, for errors.
    duplicates
        What to do with several genes of one token: "sum" their counts, take the "first", "keep" each as a token of its
        own, or "error".
    gene_table
        Pairs of symbol and Ensembl id, needed where the table has the other kind of names than the model. Names that
        the model knows stay; the others are looked up, so a table may hold both kinds.

    Raises
    ------
    InputError
        No gene is known, the kinds differ and there is no table, most symbols are known in another case only (as those
        of another species are), or duplicates that are not allowed.
    """
    found = kind_of(genes)
    source = ""
    where = _positions(vocabulary.fold(genes), vocabulary)
    rest = np.flatnonzero(where < 0)
    if vocabulary.tells_case:
        _check_case(genes, where, vocabulary, what=what)
    if gene_table is None:
        if found != vocabulary.kind:
            raise _other_kind(genes, found, vocabulary.kind, what)
    elif len(rest):
        table = GeneTable.of(gene_table)
        where[rest] = _translated(genes[rest], table, vocabulary, what=what)
        source = table.source if (where[rest] >= 0).any() else ""
    columns = np.flatnonzero(where >= 0)
    if len(columns) == 0:
        raise InputError(
            f"none of the {len(genes)} genes ({listed(genes, most=4)}) is in the vocabulary of {what!r} "
            f"({len(vocabulary.names)} genes: {listed(vocabulary.names, most=4)}).",
            allowed=f"{vocabulary.kind} names of a species that the model knows",
            remedy="check the species, pass gene_key= with the right names of var, or another model.",
        )
    ids = vocabulary.tokens()[where[columns]]
    order = np.argsort(ids, kind="stable")
    columns, ids = columns[order], ids[order]
    return GeneMatch(*_without_duplicates(columns, ids, genes, duplicates=duplicates, what=what), source)


def align_counts(
    counts: sparse.csr_array, match: GeneMatch, *, add_up: bool = True
) -> tuple[sparse.csr_array, np.ndarray]:
    """Return the counts (n_obs, m) of the known genes in the order of their tokens, and the tokens (m,).

    Genes of the same token are added up, or stay columns of their own (``add_up=False``).
    """
    ids, place = np.unique(match.ids, return_inverse=True) if add_up else (match.ids, np.arange(len(match.ids)))
    places = np.full(counts.shape[1], -1, dtype=np.int64)
    places[match.columns] = place
    data = counts.data
    if len(ids) < len(match.ids):
        data = data.astype(np.result_type(data.dtype, np.float32))  # sums outgrow the narrow integers of some files
    from stfmkit._kernels._take_columns import take_columns  # here, so that cards are listed without numba

    indptr, indices, data = take_columns((counts.indptr, counts.indices, data), places, len(ids))
    return sparse.csr_array((data, indices, indptr), shape=(counts.shape[0], len(ids))), ids


def counts_of(counts: sparse.csr_array, genes: pd.Index, wanted: pd.Index, *, what: str) -> sparse.csr_array:
    """Return the counts of the genes that a model was fitted on, in that order (n_obs, n_wanted).

    Further genes are left out; a missing one is an error, because a zero would be an invention.

    Parameters
    ----------
    counts
        Counts (n_obs, n_genes).
    genes
        Names of their columns (n_genes,).
    wanted
        Names of the genes of the fit (n_wanted,).
    what
        Name of the model, for errors.
    """
    if genes.equals(wanted):
        return counts
    where = genes.get_indexer(wanted)
    if (where < 0).any():
        lost = wanted[where < 0]
        raise MissingKeyError(
            f"{len(lost)} of the {len(wanted)} genes that {what!r} was fitted on are missing: {listed(lost, most=5)}.",
            allowed="all genes of the fit, in any order",
            remedy="fit again on the genes that both sides share.",
        )
    return sparse.csr_array(counts[:, where])


def _positions(keys: pd.Index, vocabulary: GeneVocabulary) -> np.ndarray:
    """Return the place of every name in the vocabulary, -1 for unknown ones."""
    return _looked_up(keys, vocabulary.keys(), np.arange(len(vocabulary.names)))


def _looked_up(keys: pd.Index, names: pd.Index, places: np.ndarray) -> np.ndarray:
    first = ~names.duplicated()
    found = names[first].get_indexer(keys)
    return np.where(found >= 0, places[first][found], -1)


def _translated(genes: pd.Index, table: GeneTable, vocabulary: GeneVocabulary, *, what: str) -> np.ndarray:
    """Return the place of every gene in the vocabulary through the table; of several names the first that is known.

    Symbols as the table writes them come before those in another case.
    """
    names, stands_for = table.candidates(vocabulary.kind)
    places = _positions(vocabulary.fold(stands_for), vocabulary)
    known = places >= 0
    names, places = names[known], places[known]
    if vocabulary.kind == "symbol":
        return _looked_up(without_version(genes), names, places)
    where = _looked_up(genes.astype(str), names, places)
    folded = _looked_up(genes.astype(str).str.upper(), names.str.upper(), places)
    other_case = (where < 0) & (folded >= 0)
    if other_case.sum() > (where >= 0).sum():
        first = str(names[names.str.upper() == str(genes[other_case][0]).upper()][0])
        raise _other_case(genes[other_case], first, what=what, n_genes=len(genes))
    return np.where(where >= 0, where, folded)


def _check_case(genes: pd.Index, where: np.ndarray, vocabulary: GeneVocabulary, *, what: str) -> None:
    """Refuse symbols most of which a vocabulary knows in another case only."""
    columns = np.flatnonzero(where >= 0)
    written = vocabulary.names[where[columns]].astype(str)
    other = np.asarray(genes[columns].astype(str) != written)
    if 2 * other.sum() > len(columns):
        raise _other_case(genes[columns][other], str(written[other][0]), what=what, n_genes=len(genes))


def _without_duplicates(
    columns: np.ndarray, ids: np.ndarray, genes: pd.Index, *, duplicates: Duplicates, what: str
) -> tuple[np.ndarray, np.ndarray]:
    repeated = np.zeros(len(ids), dtype=bool)
    repeated[1:] = ids[1:] == ids[:-1]
    if not repeated.any() or duplicates in {"sum", "keep"}:
        return columns, ids
    if duplicates == "error":
        names = listed(genes[columns[repeated]], most=3)
        raise InputError(
            f"{int(repeated.sum())} genes stand for a gene of {what!r} that another gene stands for as well: {names}.",
            allowed="every gene of the model once",
            remedy="add up or drop the duplicates.",
        )
    return columns[~repeated], ids[~repeated]


def _other_case(genes: pd.Index, written: str, *, what: str, n_genes: int) -> InputError:
    return InputError(
        f"{len(genes)} of {n_genes} symbols are known to {what!r} in another case only ({genes[0]!r} is {written!r} "
        "there), as those of another species are.",
        allowed="symbols as the model or its gene table writes them",
        remedy="check the species. Orthologues go into a column of var that gene_key= names; where the genes are the "
        "same, write them so (human: adata.var_names.str.upper(), mouse: str.capitalize()).",
    )


def _other_kind(genes: pd.Index, found: GeneIds, wanted: GeneIds, what: str) -> InputError:
    return InputError(
        f"gene names of the kind {found!r} ({listed(genes, most=3)}), and {what!r} knows {wanted!r}.",
        allowed=f"{wanted} names, or a table that translates",
        remedy="pass gene_key= with a column of var that holds them, or gene_table= with the columns symbol and "
        "ensembl (nothing is looked up online here).",
    )


class GeneMatcher:
    """Matches names of genes, and remembers the last match by the very objects that it was made of.

    Parameters
    ----------
    what
        Name of the model, for errors.
    gene_key
        Column of var with the names of the genes; None for those of the block.
    duplicates
        What several genes of one token mean.
    gene_table
        Pairs of symbol and Ensembl id of the caller, which come before those of the publication; a file is read now.

    Attributes
    ----------
    sha256
        Checksum of the file with the pairs, empty where there is none.
    """

    def __init__(
        self, *, what: str, gene_key: str | None, duplicates: Duplicates, gene_table: GeneTableLike | None
    ) -> None:
        self._what, self._gene_key, self._duplicates = what, gene_key, duplicates
        self._pairs = None if gene_table is None else GeneTable.of(gene_table)
        self.sha256 = sha256_of(Path(gene_table).expanduser()) if isinstance(gene_table, (str, os.PathLike)) else ""
        self._last: tuple[tuple[object, ...], GeneMatch] | None = None

    def names(self, block: Block) -> pd.Index:
        """Return the names of the genes of a block (n_genes,)."""
        return pd.Index(block.genes if self._gene_key is None else block.var[self._gene_key])

    def remembered(self, block: Block, known: GeneVocabulary | None) -> GeneMatch | None:
        """Return the last match where it is of these genes and this vocabulary, as in the parts of one table."""
        if self._last is None or any(a is not b for a, b in zip(self._last[0], self._key(block, known), strict=True)):
            return None
        return self._last[1]

    def remember(self, match: GeneMatch, block: Block, known: GeneVocabulary | None) -> GeneMatch:
        """Keep a match, and return it."""
        self._last = (self._key(block, known), match)
        return match

    def match(self, names: pd.Index, vocabulary: GeneVocabulary, *, published: GeneTableLike | None) -> GeneMatch:
        """Return which of some names a vocabulary knows; errors are those of `match_genes`."""
        table = published if self._pairs is None else self._pairs
        return match_genes(names, vocabulary, what=self._what, duplicates=self._duplicates, gene_table=table)

    def _key(self, block: Block, known: GeneVocabulary | None) -> tuple[object, ...]:
        return block.genes, block.var.get(self._gene_key or ""), known
