"""From what the user holds to the table that is meant."""

import sys
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
