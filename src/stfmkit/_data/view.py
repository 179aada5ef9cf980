"""What a caller passes, resolved: the table that is meant, and the SpatialData that it came from."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from anndata import AnnData

from stfmkit._data._resolve import is_spatialdata, resolve_table

if TYPE_CHECKING:
    from spatialdata import SpatialData

    from stfmkit._data._resolve import Container


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
