"""The spots of one sample: a lattice around its molecules, or spots at given coordinates."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from scipy.spatial import cKDTree

from stfmkit._core import slots
from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit._data.columns import read_groups
from stfmkit._data.coordinates import read_coords, read_microns_per_unit
from stfmkit._data.write_slots import records
from stfmkit._kernels._lattice import Lattice
from stfmkit.pp._grids import Grid, SpotGrid


class Spots(Protocol):
    """Numbered spots of one sample."""

    @property
    def lattice(self) -> Lattice:
        """Gives the shape and size of the spots."""
        ...

    @property
    def size(self) -> int:
        """Numbers run from 0 to size - 1."""
        ...

    def locate(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the number of the spot that holds each position (n,), -1 where none does."""
        ...

    def number(self, x: np.ndarray, y: np.ndarray, *, unit: float, base: int) -> np.ndarray:
        """Return `base` plus the number of the spot that holds each position (n,) times `unit`, -1 where none does."""
        ...

    def centers(self, numbers: np.ndarray) -> np.ndarray:
        """Return the centres (n, 2)."""
        ...

    def border(self, numbers: np.ndarray) -> np.ndarray:
        """Tell which of these spots (n,) miss one of their neighbours among them."""
        ...

    def array_index(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the row and column of spots (n,), if they have one."""
        ...

    def names(self, numbers: np.ndarray) -> np.ndarray | None:
        """Return the names of spots (n,), if they have names of their own."""
        ...


@dataclass(frozen=True)
class LatticeSpots:
    """The spots of a lattice that can hold positions in a box; numbers run row by row."""

    lattice: Lattice
    box: tuple[float, float, float, float]

    @cached_property
    def index_range(self) -> tuple[int, int, int, int]:
        """First row, first column, rows and columns."""
        return self.lattice.index_range(self.box)

    @property
    def size(self) -> int:
        """Number of spots."""
        *_, rows, cols = self.index_range
        return rows * cols

    def locate(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the number of the spot that holds each position (n,), -1 where none does."""
        return self.number(x, y, unit=1.0, base=0)

    def number(self, x: np.ndarray, y: np.ndarray, *, unit: float, base: int) -> np.ndarray:
        """Return `base` plus the number of the spot that holds each position (n,) times `unit`, -1 where none does."""
        row0, col0, _, cols = self.index_range
        return self.lattice.number(x, y, first=(base, row0, col0, cols), unit=unit)

    def centers(self, numbers: np.ndarray) -> np.ndarray:
        """Return the centres (n, 2)."""
        return self.lattice.centers(*self._row_col(numbers))

    def border(self, numbers: np.ndarray) -> np.ndarray:
        """Tell which of these spots (n,) miss one of their neighbours among them."""
        *_, cols = self.index_range
        steps = [row * cols + col for row, col in self.lattice.neighbors]
        return np.any([~np.isin(numbers + step, numbers) for step in steps], axis=0)

    def array_index(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the row and column of spots (n,); where some are negative, all move by an even number."""
        row, col = self._row_col(numbers)
        even = 1 if self.lattice.shape == "square" else 2
        return row - row.min(initial=0) // even * even, col - col.min(initial=0) // even * even

    def names(self, numbers: np.ndarray) -> None:
        """Return nothing: spots of a lattice are named by row and column."""

    def _row_col(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        row0, col0, _, cols = self.index_range
        return numbers // cols + row0, numbers % cols + col0


class PlacedSpots:
    """Circles at given coordinates, such as the spots of another data set.

    Parameters
    ----------
    lattice
        Gives the pitch and the diameter.
    coords
        Centres (n, 2) in µm.
    index
        Row and column of every spot, or None.
    names
        Name of every spot, or None.
    sample
        Name of the sample, for errors.

    Raises
    ------
    InputError
        The coordinates do not fit the pitch, or circles overlap.
    """

    def __init__(
        self,
        lattice: Lattice,
        coords: np.ndarray,
        index: tuple[np.ndarray, np.ndarray] | None,
        names: np.ndarray | None = None,
        *,
        sample: str,
    ) -> None:
        self.lattice = lattice
        self._coords, self._index, self._names = coords, index, names
        self._tree = cKDTree(coords)
        if len(coords) > 1:
            nearest = self._tree.query(coords, k=2)[0][:, 1]
            self._check(float(np.median(nearest)), float(nearest.min()), sample)

    def _check(self, median: float, least: float, sample: str) -> None:
        where = f" of sample {sample!r}" if sample else ""
        if abs(median / self.lattice.pitch - 1) > 0.05:
            raise InputError(
                f"spots{where} whose neighbours are {median:.4g} µm apart, with pitch={self.lattice.pitch:g}.",
                allowed="neighbours about one pitch apart",
                remedy="check microns_per_unit of the spots (100 µm apart in Visium), or pass their pitch.",
            )
        if least < self.lattice.diameter:
            raise InputError(
                f"spots{where} only {least:.4g} µm apart, with diameter={self.lattice.diameter:g}.",
                allowed="circles that do not overlap",
                remedy="pass a smaller diameter; pass sample_key= if the table of spots holds several samples.",
            )

    @property
    def size(self) -> int:
        """Number of spots."""
        return len(self._coords)

    def locate(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the number of the spot that holds each position (n,), -1 where none does."""
        spot = self._tree.query(np.column_stack([x, y]))[1].astype(np.int64)
        dx, dy = x - self._coords[spot, 0], y - self._coords[spot, 1]
        return np.where(dx * dx + dy * dy <= (self.lattice.diameter / 2) ** 2, spot, -1)

    def number(self, x: np.ndarray, y: np.ndarray, *, unit: float, base: int) -> np.ndarray:
        """Return `base` plus the number of the spot that holds each position (n,) times `unit`, -1 where none does."""
        spot = self.locate(x.astype(np.float64) * unit, y.astype(np.float64) * unit)
        return np.where(spot < 0, -1, spot + base)

    def centers(self, numbers: np.ndarray) -> np.ndarray:
        """Return the centres (n, 2)."""
        return self._coords[numbers]

    def border(self, numbers: np.ndarray) -> np.ndarray:
        """Tell which of these spots (n,) have fewer than six others within 1.25 pitches among them."""
        tree = cKDTree(self._coords[numbers])
        around = tree.query_ball_point(self._coords[numbers], 1.25 * self.lattice.pitch, return_length=True)
        return np.asarray(around) - 1 < len(self.lattice.neighbors)

    def array_index(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the row and column of spots (n,), if they have one."""
        return None if self._index is None else (self._index[0][numbers], self._index[1][numbers])

    def names(self, numbers: np.ndarray) -> np.ndarray | None:
        """Return the names of spots (n,), if they have names of their own."""
        return None if self._names is None else self._names[numbers]


def spots_for(
    grid: Grid,
    sample: str,
    *,
    box: tuple[float, float, float, float],
    centroid: tuple[float, float],
    sample_key: str | None,
    microns_per_unit: float | None,
) -> Spots:
    """Return the spots of one sample.

    Parameters
    ----------
    box
        Where the molecules of the sample lie (x0, y0, x1, y1), in µm.
    centroid
        Their mean position; read for an origin "centroid".
    sample_key
        Column of ``obs`` of the table of a `SpotGrid` that tells samples apart.
    microns_per_unit
        Unit of the table of a `SpotGrid` that states none.

    Raises
    ------
    MissingKeyError
        The table of a `SpotGrid` has no such sample.
    """
    corners = {"bbox": box[:2], "centroid": centroid}
    x, y = corners[grid.origin] if isinstance(grid.origin, str) else grid.origin
    lattice = grid.lattice((float(x), float(y)))
    if not isinstance(grid, SpotGrid):
        return LatticeSpots(lattice, box)
    table = grid.table
    rows = _rows_of_sample(grid, sample, sample_key)
    stated = (grid.microns_per_unit, records(table).get(slots.MICRONS), microns_per_unit)
    unit = read_microns_per_unit(table, next((value for value in stated if value is not None), None))
    coords = read_coords(table, spatial_key=grid.spatial_key)[rows] * unit
    index = None
    if {"array_row", "array_col"} <= set(table.obs.columns):
        row, col = (table.obs[k].to_numpy()[rows].astype(np.int64) for k in ("array_row", "array_col"))
        index = (row, col)
    return PlacedSpots(lattice, coords, index, table.obs_names.to_numpy()[rows], sample=sample)


def _rows_of_sample(grid: SpotGrid, sample: str, sample_key: str | None) -> np.ndarray:
    if sample_key is None:
        return np.arange(grid.table.n_obs)
    groups = read_groups(grid.table, sample_key, role="sample_key of the table of spots")
    if sample not in groups.categories:
        raise MissingKeyError(
            f"no sample {sample!r} in obs[{sample_key!r}] of the table of spots.",
            allowed=listed(groups.categories),
            remedy="leave these molecules out, or pass spots for every sample.",
        )
    return np.flatnonzero(groups == sample)
