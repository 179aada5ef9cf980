"""Pairs of ligands and receptors, from a resource package or from the user."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from stfmkit._core.arguments import check_known, listed
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError
from stfmkit._core.optional import require

_COLUMNS = ("ligand", "receptor")
_COMPLEX = "_"


class Pairs(NamedTuple):
    """Pairs that the table measures.

    Attributes
    ----------
    names
        Columns ligand and receptor, one row per pair, in the order of the source.
    positions
        The same as positions of genes (n_pairs, 2).
    n_given
        How many different pairs the source has.
    n_complexes
        How many of them name a complex of several genes, which is no gene of the table.
    """

    names: pd.DataFrame
    positions: np.ndarray
    n_given: int
    n_complexes: int


def read_pairs(source: str | pd.DataFrame, *, genes: pd.Index) -> Pairs:
    """Return the pairs whose two sides are single genes of the table.

    Parameters
    ----------
    source
        Name of a resource of the package liana, such as "consensus" (human symbols) or "mouseconsensus", or a
        DataFrame with the columns ligand and receptor.
    genes
        Names of the genes that are compared.

    Raises
    ------
    InputError
        No pair is measured, or names are missing.
    InputTypeError
        `source` is neither.
    MissingKeyError
        There is no such resource, or no such column.
    ImportError
        A resource is named, and liana is not installed.
    """
    frame = _resource(source) if isinstance(source, str) else _frame(source)
    frame = frame.drop_duplicates(ignore_index=True)
    positions = np.column_stack([genes.get_indexer(frame[side]) for side in _COLUMNS])
    measured = (positions >= 0).all(axis=1)
    complexes = np.any([frame[side].str.contains(_COMPLEX) & ~frame[side].isin(genes) for side in _COLUMNS], axis=0)
    if not measured.any():
        raise InputError(
            f"{len(frame)} ligand-receptor pairs, such as {listed(frame.iloc[0], most=2)}, and none of them with both "
            f"sides among the {len(genes)} genes, such as {listed(genes, most=2)}.",
            allowed="at least one pair of measured genes",
            remedy="name genes in the same way on both sides (symbols or ids, human or mouse).",
        )
    return Pairs(
        frame[measured].reset_index(drop=True), positions[measured].astype(np.int64), len(frame), int(complexes.sum())
    )


def _resource(name: str) -> pd.DataFrame:
    resources = require("liana", extra="liana").rs
    check_known(
        name, [str(r) for r in resources.show_resources()], what="resource of liana", remedy="pass one of these."
    )
    return _frame(resources.select_resource(name))


def _frame(source: object) -> pd.DataFrame:
    if not isinstance(source, pd.DataFrame):
        raise InputTypeError(
            f"lr_pairs of type {type(source).__name__}.",
            allowed="a DataFrame with the columns ligand and receptor, or the name of a resource",
            remedy="pass pd.DataFrame({'ligand': [...], 'receptor': [...]}).",
        )
    missing = [c for c in _COLUMNS if c not in source.columns]
    if missing:
        raise MissingKeyError(
            f"lr_pairs without the columns {listed(missing)}.",
            allowed=f"the columns ligand and receptor beside {listed(map(str, source.columns))}",
            remedy="rename the columns.",
        )
    frame = source[list(_COLUMNS)]
    if frame.isna().to_numpy().any() or not len(frame):
        raise InputError(
            f"{len(frame)} pairs, {int(frame.isna().any(axis=1).sum())} of them without a name.",
            allowed="one pair or more, each with two names",
            remedy="drop the rows without names.",
        )
    return frame.astype(str)
