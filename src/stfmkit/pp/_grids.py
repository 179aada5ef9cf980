"""Grids of spots as value objects: what `bin` counts in."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Literal, TypeAlias

import numpy as np
from anndata import AnnData

from stfmkit._core import slots
from stfmkit._core.arguments import check_choice, check_positive
from stfmkit._core.errors import InputError, InputTypeError
from stfmkit._kernels._lattice import Lattice, Shape

Origin: TypeAlias = tuple[float, float] | Literal["bbox", "centroid"]

ORIGINS = ("bbox", "centroid")

VISIUM_PITCH = 100.0
"""Distance of neighbouring Visium spots, in µm."""

VISIUM_DIAMETER = 55.0
"""Diameter of a Visium spot, in µm."""


@dataclass(frozen=True)
class HexGrid:
    """A hexagonal grid of circles, as Visium's, or of hexagons that fill the plane.

    Rows are ``pitch · √3/2`` apart. Circles hold molecules up to and with the distance ``diameter / 2``.

    Parameters
    ----------
    pitch
        Distance of neighbouring centres in µm.
    diameter
        Diameter of the circles in µm; None for hexagons without gaps.
    origin
        Position in µm of the centre of the spot (0, 0). "bbox": the least x and y of all molecules of the sample,
        whatever their quality; "centroid": their mean.
    angle
        Degrees by which the grid is turned around `origin`, from the x axis towards the y axis.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.pp.HexGrid() == sk.pp.HexGrid(pitch=100, diameter=55)
    True
    """

    pitch: float = VISIUM_PITCH
    diameter: float | None = VISIUM_DIAMETER
    origin: Origin = field(default="bbox", kw_only=True)
    angle: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        check_positive(self.pitch, name="pitch")
        if self.diameter is not None:
            _check_diameter(self.diameter, self.pitch)
        _check_position(self.origin, self.angle)

    @property
    def shape(self) -> Shape:
        """The shape of a spot: "hex" (circle) or "hex_gapless" (hexagon)."""
        return "hex_gapless" if self.diameter is None else "hex"

    def lattice(self, origin: tuple[float, float]) -> Lattice:
        """Return the lattice with this origin in µm."""
        return Lattice(self.shape, float(self.pitch), origin, float(self.angle), float(self.diameter or 0.0))


@dataclass(frozen=True)
class SquareGrid:
    """A grid of squares that fill the plane.

    Parameters
    ----------
    size
        Side of a square in µm. Squares of 8 µm nest in those of 16 µm where both have the same origin and angle.
    origin
        Position in µm of the lower corner of the square (0, 0). "bbox": the least x and y of all molecules of the
        sample, whatever their quality; "centroid": their mean.
    angle
        Degrees by which the grid is turned around `origin`, from the x axis towards the y axis.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.pp.SquareGrid(8, origin=(0.0, 0.0))
    SquareGrid(size=8, origin=(0.0, 0.0), angle=0.0)
    """

    size: float
    origin: Origin = field(default="bbox", kw_only=True)
    angle: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        check_positive(self.size, name="size")
        _check_position(self.origin, self.angle)

    @property
    def shape(self) -> Shape:
        """The shape of a spot: "square"."""
        return "square"

    @property
    def pitch(self) -> float:
        """Distance of neighbouring centres in µm: the side of a square."""
        return self.size

    @property
    def diameter(self) -> None:
        """Squares have no diameter."""

    def lattice(self, origin: tuple[float, float]) -> Lattice:
        """Return the lattice with this origin in µm."""
        return Lattice("square", float(self.size), origin, float(self.angle))


@dataclass(frozen=True, eq=False)
class SpotGrid:
    """Circles at the spots of a table, such as real Visium spots of the same tissue on the same coordinate system.

    Names, ``obs["array_row"]`` and ``obs["array_col"]`` of the table are taken over.

    Parameters
    ----------
    table
        Table with the centres of the spots in ``obsm``.
    diameter
        Diameter of the circles in µm.
    pitch
        Distance of neighbouring spots in µm; spots that lie at other distances are refused.
    spatial_key
        Key of the coordinates in ``obsm`` of the table.
    microns_per_unit
        Length of one coordinate unit of the table in µm. None for the unit that the table states, else the unit of
        the molecules.

    Examples
    --------
    >>> import numpy as np
    >>> from anndata import AnnData
    >>> import stfmkit as sk
    >>> visium = AnnData(np.ones((2, 1)), obsm={"spatial": np.array([[0.0, 0.0], [100.0, 0.0]])})
    >>> sk.pp.SpotGrid(visium).diameter
    55.0
    """

    table: AnnData
    diameter: float = VISIUM_DIAMETER
    pitch: float = VISIUM_PITCH
    spatial_key: str = field(default=slots.SPATIAL, kw_only=True)
    microns_per_unit: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.table, AnnData):
            raise InputTypeError(
                f"a table of spots of type {type(self.table).__name__}.",
                allowed="an AnnData",
                remedy="pass the table of spots, read with sk.io.read(path).",
            )
        check_positive(self.pitch, name="pitch")
        _check_diameter(self.diameter, self.pitch)
        if self.microns_per_unit is not None:
            check_positive(self.microns_per_unit, name="microns_per_unit")

    @property
    def shape(self) -> Shape:
        """The shape of a spot: "hex" (circle)."""
        return "hex"

    @property
    def origin(self) -> Literal["bbox"]:
        """The corner of the molecules; it moves nothing."""
        return "bbox"

    @property
    def angle(self) -> float:
        """Spots of a table are not turned."""
        return 0.0

    def lattice(self, origin: tuple[float, float]) -> Lattice:
        """Return the lattice that has the size of these spots."""
        return Lattice("hex", float(self.pitch), origin, 0.0, float(self.diameter))


Grid: TypeAlias = HexGrid | SquareGrid | SpotGrid


def as_grids(grid: Grid | Sequence[Grid]) -> tuple[Grid, ...]:
    """Return the grids of an argument ``grid``: one, or several different ones.

    Raises
    ------
    InputTypeError
        Something is no grid.
    InputError
        There is no grid, or a grid is given twice.
    """
    grids = (grid,) if not isinstance(grid, Sequence) or isinstance(grid, str) else tuple(grid)
    for item in grids:
        if not isinstance(item, HexGrid | SquareGrid | SpotGrid):
            raise InputTypeError(
                f"grid={item!r}.",
                allowed="sk.pp.HexGrid, sk.pp.SquareGrid or sk.pp.SpotGrid, or a list of them",
                remedy="pass sk.pp.HexGrid(pitch=100, diameter=55) for Visium, or sk.pp.SquareGrid(8) for squares.",
            )
    if not grids or len(set(grids)) < len(grids):
        raise InputError(f"grid={list(grids)!r}.", allowed="one or several different grids", remedy="pass each once.")
    return grids


def _check_diameter(diameter: float, pitch: float) -> None:
    check_positive(diameter, name="diameter")
    if diameter > pitch:
        raise InputError(
            f"diameter={diameter:g} above pitch={pitch:g}.",
            allowed="circles that do not overlap (diameter ≤ pitch)",
            remedy="pass a smaller diameter, or diameter=None for hexagons without gaps.",
        )


def _check_position(origin: object, angle: object) -> None:
    if isinstance(angle, bool) or not isinstance(angle, int | float) or not isfinite(angle):
        raise InputError(f"angle={angle!r}.", allowed="degrees", remedy="pass a finite number.")
    if isinstance(origin, str):
        check_choice(origin, ORIGINS, name="origin")
        return
    point = np.asarray(origin, dtype=np.float64) if isinstance(origin, tuple) else np.empty(0)
    if point.shape != (2,) or not np.isfinite(point).all():
        raise InputError(
            f"origin={origin!r}.", allowed='"bbox", "centroid" or (x, y) in µm', remedy="pass one of these."
        )
