"""Resolve what a caller passes, AnnData or SpatialData, to the table that is meant and what belongs to it."""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypeGuard

from anndata import AnnData

from stfmkit._core.arguments import check_known, listed
from stfmkit._core.errors import InputError, InputTypeError

if TYPE_CHECKING:
    from spatialdata import SpatialData

    Container: TypeAlias = AnnData | SpatialData


def is_spatialdata(data: object) -> "TypeGuard[SpatialData]":
    """Tell whether `data` is a SpatialData object, without importing spatialdata."""
    module = sys.modules.get("spatialdata")
    return module is not None and isinstance(data, module.SpatialData)


def resolve_table(data: "Container", *, table_key: str | None = None) -> AnnData:
    """Return the AnnData table of `data`.

    Parameters
    ----------
    data
        An AnnData, returned as it is, or a SpatialData.
    table_key
        The table to take from a SpatialData; may be left out where it has one table only.

    Raises
    ------
    InputTypeError
        `data` is neither.
    InputError
        The table is not determined.
    """
    if isinstance(data, AnnData):
        if table_key is not None:
            raise InputError(
                f"table_key={table_key!r} with an AnnData.",
                allowed="table_key with SpatialData only",
                remedy="leave table_key out.",
            )
        return data
    if not is_spatialdata(data):
        raise InputTypeError(
            f"data of type {type(data).__name__}.",
            allowed="AnnData or SpatialData",
            remedy="read files with sk.io.read(path).",
        )
    tables = list(data.tables)
    if table_key is None:
        if len(tables) != 1:
            raise InputError(
                f"a SpatialData with the tables {listed(tables)}.",
                allowed="one table, or table_key",
                remedy="pass table_key=...",
            )
        return data.tables[tables[0]]
    check_known(table_key, tables, what="table", remedy="pass one of these as table_key.")
    return data.tables[table_key]


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """A table with what belongs to it.

    Attributes
    ----------
    table
        The table; never a copy, and never changed through the view.
    container
        The SpatialData that holds the table, with images, shapes, points and their transformations; None for an
        AnnData.
    table_key
        Name of the table in the container; None for an AnnData.
    """

    table: AnnData
    container: "SpatialData | None" = None
    table_key: str | None = None

    @classmethod
    def of(cls, data: "Container | View", *, table_key: str | None = None) -> "View":
        """Return the view of an AnnData or SpatialData; errors are those of `resolve_table`."""
        if isinstance(data, View):
            return data
        table = resolve_table(data, table_key=table_key)
        if not is_spatialdata(data):
            return cls(table=table)
        return cls(table=table, container=data, table_key=table_key or next(iter(data.tables)))
