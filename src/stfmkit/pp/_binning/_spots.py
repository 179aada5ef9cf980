"""The spots of one sample: a lattice around its molecules, or spots at given places."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from scipy.spatial import cKDTree

from stfmkit._core.errors import InputError
from stfmkit._kernels._lattice import Lattice


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


@dataclass(frozen=True)
class LatticeSpots:
    """The spots of a lattice that can hold positions in a box; numbers run row by row."""

    lattice: Lattice
    box: tuple[float, float, float, float]

    @cached_property
    def reach(self) -> tuple[int, int, int, int]:
        """First row, first column, rows and columns."""
        return self.lattice.reach(self.box)

    @property
    def size(self) -> int:
        """Number of places."""
        *_, rows, cols = self.reach
        return rows * cols

    def locate(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the number of the spot that holds each position (n,), -1 where none does."""
        return self.number(x, y, unit=1.0, base=0)

    def number(self, x: np.ndarray, y: np.ndarray, *, unit: float, base: int) -> np.ndarray:
        """Return `base` plus the number of the spot that holds each position (n,) times `unit`, -1 where none does."""
        row0, col0, _, cols = self.reach
        return self.lattice.number(x, y, first=(base, row0, col0, cols), unit=unit)

    def centers(self, numbers: np.ndarray) -> np.ndarray:
        """Return the centres (n, 2)."""
        return self.lattice.centers(*self._row_col(numbers))

    def border(self, numbers: np.ndarray) -> np.ndarray:
        """Tell which of these spots (n,) miss one of their neighbours among them."""
        *_, cols = self.reach
        steps = [row * cols + col for row, col in self.lattice.neighbors]
        return np.any([~np.isin(numbers + step, numbers) for step in steps], axis=0)

    def array_index(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the row and column of spots (n,); where some are negative, all move by an even number."""
        row, col = self._row_col(numbers)
        even = 1 if self.lattice.shape == "square" else 2
        return row - row.min(initial=0) // even * even, col - col.min(initial=0) // even * even

    def _row_col(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        row0, col0, _, cols = self.reach
        return numbers // cols + row0, numbers % cols + col0


class PlacedSpots:
    """Circles at given places, such as the spots of another data set.

    Raises
    ------
    InputError
        The places do not fit the pitch, or circles overlap.
    """

    def __init__(
        self, lattice: Lattice, places: np.ndarray, index: tuple[np.ndarray, np.ndarray] | None, *, sample: str
    ) -> None:
        self.lattice = lattice
        self._places, self._index = places, index
        self._tree = cKDTree(places)
        if len(places) > 1:
            nearest = self._tree.query(places, k=2)[0][:, 1]
            self._check(float(np.median(nearest)), float(nearest.min()), sample)

    def _check(self, median: float, least: float, sample: str) -> None:
        where = f" of sample {sample!r}" if sample else ""
        if abs(median / self.lattice.pitch - 1) > 0.05:
            raise InputError(
                f"spots of like{where} whose neighbours are {median:.4g} µm apart, with pitch={self.lattice.pitch:g}.",
                allowed="neighbours about one pitch apart",
                remedy="check microns_per_unit of like (Visium's neighbours are 100 µm apart), or pass its pitch.",
            )
        if least < self.lattice.diameter:
            raise InputError(
                f"spots of like{where} only {least:.4g} µm apart, with spot_diameter={self.lattice.diameter:g}.",
                allowed="circles that do not overlap",
                remedy="pass a smaller spot_diameter; pass sample_key= if like holds several samples.",
            )

    @property
    def size(self) -> int:
        """Number of places."""
        return len(self._places)

    def locate(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the number of the spot that holds each position (n,), -1 where none does."""
        spot = self._tree.query(np.column_stack([x, y]))[1].astype(np.int64)
        dx, dy = x - self._places[spot, 0], y - self._places[spot, 1]
        return np.where(dx * dx + dy * dy <= (self.lattice.diameter / 2) ** 2, spot, -1)

    def number(self, x: np.ndarray, y: np.ndarray, *, unit: float, base: int) -> np.ndarray:
        """Return `base` plus the number of the spot that holds each position (n,) times `unit`, -1 where none does."""
        spot = self.locate(x.astype(np.float64) * unit, y.astype(np.float64) * unit)
        return np.where(spot < 0, -1, spot + base)

    def centers(self, numbers: np.ndarray) -> np.ndarray:
        """Return the centres (n, 2)."""
        return self._places[numbers]

    def border(self, numbers: np.ndarray) -> np.ndarray:
        """Tell which of these spots (n,) have fewer than six others within 1.25 pitches among them."""
        tree = cKDTree(self._places[numbers])
        around = tree.query_ball_point(self._places[numbers], 1.25 * self.lattice.pitch, return_length=True)
        return np.asarray(around) - 1 < len(self.lattice.neighbors)

    def array_index(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the row and column of spots (n,), if they have one."""
        return None if self._index is None else (self._index[0][numbers], self._index[1][numbers])
