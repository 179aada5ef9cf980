"""Resolve what a caller passes, AnnData or SpatialData, to the table that is meant and what belongs to it."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import numpy as np
from anndata import AnnData

from stfmkit._core import slots
from stfmkit._core.arguments import check_known, listed
from stfmkit._core.errors import InputError, InputTypeError
from stfmkit._data.coordinates import read_coords, read_microns_per_unit
from stfmkit._data.elements import table_coordinates
from stfmkit._data.library_images import libraries_of

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
    """A table with what belongs to it; everything but the table is read on demand.

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

    @property
    def image_names(self) -> tuple[str, ...]:
        """Names of the images: of the elements, or "library/resolution" of ``uns["spatial"]``."""
        if self.container is not None:
            return tuple(map(str, self.container.images))
        libraries = libraries_of(self.table)
        return tuple(f"{library}/{key}" for library, entry in libraries.items() for key in entry["images"])

    @property
    def points(self) -> Mapping[str, Any]:
        """Points elements by name, such as molecules; none for an AnnData."""
        return {} if self.container is None else self.container.points

    @property
    def shapes(self) -> Mapping[str, Any]:
        """Shapes elements by name, such as outlines of cells; none for an AnnData."""
        return {} if self.container is None else self.container.shapes

    @property
    def coordinate_systems(self) -> tuple[str, ...]:
        """Coordinate systems of the SpatialData; none for an AnnData."""
        return () if self.container is None else tuple(self.container.coordinate_systems)

    def coordinates(self, coordinate_system: str | None = None, *, spatial_key: str = slots.SPATIAL) -> np.ndarray:
        """Return coordinates of the observations (n_obs, 2), x and y.

        Parameters
        ----------
        coordinate_system
            Coordinate system of the SpatialData, in which the centres of the elements that the table annotates are
            returned; None for the coordinates in ``obsm``.
        spatial_key
            Key of the coordinates in ``obsm``.

        Raises
        ------
        InputError
            A coordinate system of an AnnData, or observations without an instance of their element.
        MissingKeyError
            ``obsm`` has no such key, or an element no such coordinate system.
        """
        if coordinate_system is None:
            return read_coords(self.table, spatial_key=spatial_key)
        if self.container is None:
            raise InputError(
                f"coordinate_system={coordinate_system!r} with an AnnData.",
                allowed="coordinate_system with SpatialData only",
                remedy="leave coordinate_system out.",
            )
        return table_coordinates(self.container, self.table, coordinate_system=coordinate_system)

    def microns_per_unit(self, value: float | None = None) -> float:
        """Return the length in µm of one unit of the coordinates in ``obsm``, `value` where it is given.

        Raises
        ------
        UnitsError
            It is not known.
        """
        return read_microns_per_unit(self.table, value)
