"""Outlines of cells: star-shaped polygons that never overlap."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

N_CORNERS = 16
_NEIGHBORS = 32
_GAP = 0.95
_ANGLES = 2 * np.pi * np.arange(N_CORNERS) / N_CORNERS
_RAYS = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)


@dataclass(frozen=True)
class Outlines:
    """One polygon around each cell centre, given by its radius in fixed directions."""

    xy: np.ndarray
    """Centres in µm, shape (n_cells, 2)."""
    radius: np.ndarray
    """Distance of each corner from the centre in µm, shape (n_cells, n_corners)."""

    def corners(self) -> np.ndarray:
        """Return the corners, shape (n_cells, n_corners, 2)."""
        return self.xy[:, None] + self.radius[..., None] * _RAYS

    def mean_radius(self) -> np.ndarray:
        """Return the radius of the circle of the same area, shape (n_cells,)."""
        doubled = (self.radius * np.roll(self.radius, -1, axis=1)).sum(axis=1) * np.sin(_ANGLES[1])
        return np.sqrt(doubled / 2 / np.pi)

    def draw_inside(self, rng: np.random.Generator, cell: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Draw one point in the polygon of each named cell, the polygon shrunk by `scale` (below 1)."""
        sector = rng.integers(N_CORNERS, size=len(cell))
        after = (sector + 1) % N_CORNERS
        out, along = np.sqrt(rng.random(len(cell))) * scale, rng.random(len(cell))
        first = self.radius[cell, sector] * out * (1 - along)
        second = self.radius[cell, after] * out * along
        return self.xy[cell] + first[:, None] * _RAYS[sector] + second[:, None] * _RAYS[after]

    def owner(self, points: np.ndarray) -> np.ndarray:
        """Return the cell whose polygon holds each point, or -1.

        A polygon stays within the part of the plane that is nearest to its centre, so only the nearest cell can
        be the owner.
        """
        distance, cell = cKDTree(self.xy).query(points)
        offset = points - self.xy[cell]
        angle = np.arctan2(offset[:, 1], offset[:, 0]) % (2 * np.pi)
        sector = np.minimum((angle / _ANGLES[1]).astype(int), N_CORNERS - 1)
        past = angle - _ANGLES[sector]
        first, second = self.radius[cell, sector], self.radius[cell, (sector + 1) % N_CORNERS]
        edge = first * second * np.sin(_ANGLES[1]) / (first * np.sin(past) + second * np.sin(_ANGLES[1] - past))
        return np.where(distance <= edge, cell, -1)


def draw_outlines(rng: np.random.Generator, xy: np.ndarray, reach: np.ndarray) -> Outlines:
    """Draw polygons that reach `reach` µm where there is room, and no farther than half-way to a neighbour.

    Half-way planes bound a convex region, and polygons with their corners in disjoint convex regions are disjoint.
    """
    stretch, axis = rng.uniform(0, 0.25, size=(len(xy), 1)), rng.uniform(0, np.pi, size=(len(xy), 1))
    wobble = np.exp(rng.normal(0, 0.06, size=(len(xy), N_CORNERS)))
    wanted = reach[:, None] * (1 + stretch * np.cos(2 * (_ANGLES - axis))) * wobble
    k = min(_NEIGHBORS, len(xy) - 1)
    distance, neighbor = cKDTree(xy).query(xy, k=k + 1)
    room = np.full(wanted.shape, np.inf)
    for j in range(1, k + 1):
        offset = xy[neighbor[:, j]] - xy
        toward = offset @ _RAYS.T / distance[:, j : j + 1]
        facing = toward > 1e-6
        limit = np.divide(distance[:, j : j + 1], 2 * toward, out=np.full(toward.shape, np.inf), where=facing)
        room = np.minimum(room, limit)
    return Outlines(xy, _GAP * np.minimum(wanted, room))
