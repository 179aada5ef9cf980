"""Symbols and Ensembl identifiers of the same genes, from a table of the caller or of the publication of a model."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import pandas as pd

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError, InputTypeError, MissingFileError

GeneIds: TypeAlias = Literal["ensembl", "symbol"]

_ENSEMBL = r"ENS[A-Z]{0,6}G\d{11}(?:\.\d+)?"
_MOST = 0.5


def kind_of(genes: pd.Index) -> GeneIds:
    """Return "ensembl" where more than half of the names are Ensembl gene ids, otherwise "symbol"."""
    return "ensembl" if genes.astype(str).str.upper().str.fullmatch(_ENSEMBL).mean() > _MOST else "symbol"


def without_version(genes: pd.Index) -> pd.Index:
    """Return Ensembl ids in upper case without ``.version``."""
    upper = genes.astype(str).str.upper()
    return upper.str.replace(r"\.\d+$", "", regex=True) if "." in "".join(map(str, upper)) else upper


@dataclass(frozen=True, eq=False)
class GeneTable:
    """Pairs of symbol and Ensembl id; a gene may be in several.

    Attributes
    ----------
    symbols
        Symbols (n_pairs,).
    ensembl
        Ensembl gene ids without version (n_pairs,).
    source
        Where the pairs are from, for the record.
    """

    symbols: pd.Index
    ensembl: pd.Index
    source: str

    @classmethod
    def of(cls, table: "GeneTableLike") -> "GeneTable":
        """Return a table of a file (csv, tsv, parquet) or frame with the columns ``symbol`` and ``ensembl``.

        Raises
        ------
        MissingFileError
            There is no such file.
        InputError
            The columns are not there.
        """
        if isinstance(table, GeneTable):
            return table
        source = "a frame of the caller"
        if isinstance(table, (str, os.PathLike)):
            source = Path(table).name
            table = _read(Path(table).expanduser())
        if not isinstance(table, pd.DataFrame):
            raise InputTypeError(
                f"a gene table of type {type(table).__name__}.",
                allowed="a data frame, or the path of a csv, tsv or parquet file",
                remedy="pass gene_table= with the columns symbol and ensembl.",
            )
        if not {"symbol", "ensembl"} <= set(table.columns):
            raise InputError(
                f"a gene table with the columns {listed(table.columns)}.",
                allowed="symbol and ensembl",
                remedy="rename its columns.",
            )
        source = str(table.attrs.get("source", source))
        held = table[["symbol", "ensembl"]].dropna().astype(str)
        return cls(pd.Index(held["symbol"]), without_version(pd.Index(held["ensembl"])), source)

    @classmethod
    def of_mapping(cls, symbol_to_ensembl: Mapping[str, str], *, source: str) -> "GeneTable":
        """Return the table of a dictionary from symbol to Ensembl id."""
        pairs = pd.Series(symbol_to_ensembl, dtype=object).dropna().astype(str)
        return cls(pd.Index(pairs.index.astype(str)), without_version(pd.Index(pairs)), source)

    def candidates(self, kind: GeneIds) -> tuple[pd.Index, pd.Index]:
        """Return the names to look up, and what each stands for, to get names of a kind."""
        return (self.symbols, self.ensembl) if kind == "ensembl" else (self.ensembl, self.symbols)


GeneTableLike: TypeAlias = GeneTable | pd.DataFrame | str | os.PathLike[str]


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise MissingFileError(
            f"no gene table at {str(path)!r}.", allowed="a csv, tsv or parquet file", remedy="correct the path."
        )
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, sep="," if ".csv" in path.suffixes else "\t", dtype=str)
