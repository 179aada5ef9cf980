"""Look the genes of tables up in the vocabulary of a network, once for all parts of one table."""

import os
from pathlib import Path

import pandas as pd

from stfmkit._core.files import sha256_of
from stfmkit.models.contract import Block
from stfmkit.models.genes.alignment import Duplicates, GeneMatch, GeneVocabulary, match_genes
from stfmkit.models.genes.table import GeneTable, GeneTableLike


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
        self.sha256 = sha256_of(Path(gene_table)) if isinstance(gene_table, (str, os.PathLike)) else ""
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
