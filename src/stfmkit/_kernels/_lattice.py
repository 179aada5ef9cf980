"""Lattices of spots: from positions to spots, and from spots to their centres."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from stfmkit._kernels._compiled import compiled

Shape: TypeAlias = Literal["hex", "hex_gapless", "square"]

ROW_PITCH = float(np.sqrt(3) / 2)
"""Distance of the rows of a hexagonal lattice, in pitches."""

HEX_NEIGHBORS = ((0, -2), (0, 2), (-1, -1), (-1, 1), (1, -1), (1, 1))
"""Steps (row, column) to the six neighbours in a hexagonal lattice."""

_BLOCK = 1024

SQUARE_NEIGHBORS = ((0, -1), (0, 1), (-1, 0), (1, 0))
"""Steps (row, column) to the four neighbours that share an edge."""


@dataclass(frozen=True)
class Lattice:
    """A lattice of spots in the plane.

    In hexagonal lattices the spot (row, column) has its centre at ``(column / 2, row * sqrt(3) / 2) * pitch``, and
    row + column is even, as in Visium. In square lattices the spot (row, column) covers
    ``[column, column + 1) × [row, row + 1)``, in pitches. The lattice is turned by `angle` around `origin`.

    Attributes
    ----------
    shape
        "hex" (circles), "hex_gapless" (hexagons) or "square".
    pitch
        Distance of neighbouring centres, in the unit of the positions.
    origin
        Position of the centre of spot (0, 0); with squares, of its lower corner.
    angle
        Degrees from the x axis towards the y axis.
    diameter
        Diameter of the circles; only with "hex".
    """

    shape: Shape
    pitch: float
    origin: tuple[float, float] = (0.0, 0.0)
    angle: float = 0.0
    diameter: float = 0.0

    @property
    def neighbors(self) -> tuple[tuple[int, int], ...]:
        """Steps (row, column) to the neighbouring spots."""
        return SQUARE_NEIGHBORS if self.shape == "square" else HEX_NEIGHBORS

    def local(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return positions (n,) in the axes of the lattice."""
        cos, sin = _direction(self.angle)
        dx, dy = np.asarray(x, np.float64) - self.origin[0], np.asarray(y, np.float64) - self.origin[1]
        return cos * dx + sin * dy, cos * dy - sin * dx

    def assign(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the row, the column and whether the spot holds the position, each (n,).

        A position belongs to the nearest centre; on a border between cells, to the cell with the larger row, then the
        larger column (cells are half-open). Circles hold positions up to and with distance = diameter / 2.
        """
        u, v = self.local(x, y)
        if self.shape == "square":
            row, col = _squares(u, v, self.pitch)
            return row, col, np.ones(len(row), dtype=bool)
        row, col, distance2 = _hexagons(u, v, self.pitch)
        if self.shape == "hex_gapless":
            return row, col, np.ones(len(row), dtype=bool)
        return row, col, distance2 <= (self.diameter / 2) ** 2

    def number(
        self, x: np.ndarray, y: np.ndarray, *, first: tuple[int, int, int, int], unit: float = 1.0
    ) -> np.ndarray:
        """Return ``base + (row - row0) * cols + (column - col0)`` of the spot of each position (n,) times `unit`.

        `first` is (base, row0, col0, cols); -1 stands for no spot. One pass, without copies of the positions.
        """
        frame = (float(unit), *map(float, self.origin), *_direction(self.angle))
        most = (self.diameter / 2) ** 2 if self.shape == "hex" else np.inf
        return _number(x, y, frame, (self.shape == "square", self.pitch, most), first)

    def centers(self, row: np.ndarray, col: np.ndarray) -> np.ndarray:
        """Return the centres of spots (n, 2)."""
        row, col = np.asarray(row, np.float64), np.asarray(col, np.float64)
        if self.shape == "square":
            u, v = (col + 0.5) * self.pitch, (row + 0.5) * self.pitch
        else:
            u, v = col / 2 * self.pitch, row * (self.pitch * ROW_PITCH)
        return self.place(np.column_stack([u, v])) + np.asarray(self.origin)

    def place(self, offsets: np.ndarray) -> np.ndarray:
        """Turn vectors (n, 2) from the axes of the lattice to those of the positions."""
        cos, sin = _direction(self.angle)
        u, v = offsets[:, 0], offsets[:, 1]
        return np.column_stack([cos * u - sin * v, sin * u + cos * v])

    def index_range(self, box: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
        """Return (first row, first column, rows, columns) that hold every position of (x0, y0, x1, y1)."""
        corners = np.array([[box[i], box[j]] for i in (0, 2) for j in (1, 3)])
        u, v = self.local(corners[:, 0], corners[:, 1])
        step = (self.pitch, self.pitch) if self.shape == "square" else (self.pitch / 2, self.pitch * ROW_PITCH)
        col0, col1 = int(np.floor(u.min() / step[0])) - 4, int(np.ceil(u.max() / step[0])) + 4
        row0, row1 = int(np.floor(v.min() / step[1])) - 2, int(np.ceil(v.max() / step[1])) + 2
        return row0, col0, row1 - row0 + 1, col1 - col0 + 1

    def outline(self) -> np.ndarray:
        """Return the corners (k, 2) of a spot around its centre; circles have 256 corners."""
        corners: np.ndarray
        if self.shape == "square":
            corners = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]) * self.pitch / 2
        elif self.shape == "hex_gapless":
            turn: np.ndarray = np.pi / 6 + np.arange(6) * np.pi / 3
            corners = np.column_stack([np.cos(turn), np.sin(turn)]) * self.pitch / np.sqrt(3)
        else:
            turn = np.arange(256) * (2 * np.pi / 256)
            corners = np.column_stack([np.cos(turn), np.sin(turn)]) * self.diameter / 2
        return self.place(corners)

    def sample_offsets(self, step: float) -> np.ndarray:
        """Return a regular grid of about `step` that fills a spot (k, 2), around its centre."""
        width = {"square": self.pitch, "hex_gapless": 2 * self.pitch / np.sqrt(3), "hex": self.diameter}[self.shape]
        n = int(np.clip(np.ceil(width / step), 4, 48))
        ticks = ((np.arange(n) + 0.5) / n - 0.5) * width
        grid: np.ndarray = np.column_stack([axis.ravel() for axis in np.meshgrid(ticks, ticks)])
        if self.shape == "hex":
            grid = grid[(grid**2).sum(axis=1) <= (self.diameter / 2) ** 2]
        elif self.shape == "hex_gapless":
            home = Lattice("hex_gapless", self.pitch)
            row, col, _ = home.assign(grid[:, 0], grid[:, 1])
            grid = grid[(row == 0) & (col == 0)]
        return self.place(grid)


def _direction(angle: float) -> tuple[float, float]:
    """Return the cosine and sine of degrees, exact for quarter turns."""
    quarter, rest = divmod(angle % 360, 90)
    if rest == 0:
        return ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[int(quarter) % 4]
    return float(np.cos(np.deg2rad(angle))), float(np.sin(np.deg2rad(angle)))


@compiled(nogil=True, error_model="numpy")
def _floor_cell(value: float, pitch: float, per_pitch: float) -> float:
    """Return k with k * pitch <= value < (k + 1) * pitch, exactly in floating point; `per_pitch` is 1 / pitch.

    Whole numbers stay floating point, and there is no branch, so that loops run on many positions at a time.
    """
    k = np.floor(value * per_pitch)
    k -= 1.0 if k * pitch > value else 0.0
    k += 1.0 if (k + 1.0) * pitch <= value else 0.0
    return k


@compiled(nogil=True, error_model="numpy")
def _nearest_hexagon(u: float, v: float, pitch: float, per_pitch: float) -> tuple[float, float, float]:
    """Take the nearer of two candidates: the nearest centre in the row below and in the row above a position."""
    step, half = pitch * ROW_PITCH, pitch / 2
    below = _floor_cell(v, step, per_pitch / ROW_PITCH)
    above = below + 1.0
    odd = below - 2.0 * np.floor(below * 0.5)
    left = 2.0 * _floor_cell(u + half * (1.0 - odd), pitch, per_pitch) + odd
    right = 2.0 * _floor_cell(u + half * odd, pitch, per_pitch) + (1.0 - odd)
    du, dv = u - left / 2 * pitch, v - below * step
    near_below = du * du + dv * dv
    du, dv = u - right / 2 * pitch, v - above * step
    near_above = du * du + dv * dv
    up = near_above <= near_below  # a tie goes to the row above
    return above if up else below, right if up else left, near_above if up else near_below


@compiled()
def _squares(u: np.ndarray, v: np.ndarray, pitch: float) -> tuple[np.ndarray, np.ndarray]:
    n = u.size
    row, col = np.empty(n, np.int64), np.empty(n, np.int64)
    for i in range(n):
        row[i], col[i] = int(_floor_cell(v[i], pitch, 1 / pitch)), int(_floor_cell(u[i], pitch, 1 / pitch))
    return row, col


@compiled()
def _hexagons(u: np.ndarray, v: np.ndarray, pitch: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n = u.size
    row, col, best = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.float64)
    for i in range(n):
        r, c, best[i] = _nearest_hexagon(u[i], v[i], pitch, 1 / pitch)
        row[i], col[i] = int(r), int(c)
    return row, col, best


@compiled(nogil=True, error_model="numpy")
def _number(
    x: np.ndarray, y: np.ndarray, frame: tuple[float, ...], size: tuple[bool, float, float], first: tuple[int, ...]
) -> np.ndarray:
    """Return numbers of spots (n,); they are below 2 ** 53, so floating point holds them exactly."""
    unit, x0, y0, cos, sin = frame
    square, pitch, most = size
    base, row0, col0, cols = first
    start, width, per_pitch = np.float64(base - row0 * cols - col0), np.float64(cols), 1 / pitch
    out = np.empty(x.size, np.int64)
    block = np.empty(_BLOCK, np.float64)
    for low in range(0, x.size, _BLOCK):
        n = min(_BLOCK, x.size - low)
        if square:
            for i in range(n):
                dx, dy = np.float64(x[low + i]) * unit - x0, np.float64(y[low + i]) * unit - y0
                row = _floor_cell(cos * dy - sin * dx, pitch, per_pitch)
                block[i] = start + row * width + _floor_cell(cos * dx + sin * dy, pitch, per_pitch)
        else:
            for i in range(n):
                dx, dy = np.float64(x[low + i]) * unit - x0, np.float64(y[low + i]) * unit - y0
                row, col, near = _nearest_hexagon(cos * dx + sin * dy, cos * dy - sin * dx, pitch, per_pitch)
                block[i] = start + row * width + col if near <= most else -1.0
        for i in range(n):
            out[low + i] = np.int64(block[i])
    return out
