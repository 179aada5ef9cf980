"""Move labels over a tissue without breaking how they hang together in space."""

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

MOVES = ("torus", "rotation")
_SAME_PLACE = 1e-9


class _Sample(NamedTuple):
    rows: np.ndarray
    places: np.ndarray
    period: np.ndarray
    tree: cKDTree


class LabelMover:
    """Draws where every observation takes its label from; never from another sample.

    "torus": the sample is laid on a torus, the bounding box closed after one more typical spacing, and moved by a
    random vector; every observation takes the label of the observation nearest to its new place. "rotation": turned by
    a random angle around the middle of the bounding box. What falls outside of the tissue, or into a hole of it, takes
    the label of the nearest observation, so that the sizes of the groups change unless the observations fill a
    rectangle (torus) or a disc (rotation).

    Parameters
    ----------
    coords
        Coordinates (n_obs, 2).
    samples
        Sample of every observation (n_obs,).
    kind
        One of `MOVES`.
    """

    def __init__(self, coords: np.ndarray, samples: np.ndarray, *, kind: str) -> None:
        self.kind = kind
        self._n = len(coords)
        self._samples = [self._laid(coords, np.flatnonzero(samples == sample)) for sample in np.unique(samples)]

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Return, for every observation, the row that it takes its label from (n_obs,)."""
        source = np.empty(self._n, dtype=np.int64)
        for rows, places, period, tree in self._samples:
            if self.kind == "torus":
                moved = places + rng.random(2) * period
            else:
                angle = rng.random() * 2 * np.pi
                cos, sin = np.cos(angle), np.sin(angle)
                moved = places @ np.array([[cos, -sin], [sin, cos]])
            source[rows] = rows[tree.query(moved)[1]]
        return source

    def _laid(self, coords: np.ndarray, rows: np.ndarray) -> _Sample:
        low = coords[rows].min(axis=0)
        extent = np.ptp(coords[rows], axis=0)
        if self.kind == "rotation":
            places = coords[rows] - low - extent / 2
            return _Sample(rows, places, extent, cKDTree(places))
        places = coords[rows] - low
        spacing = 0.0
        if len(rows) > 1:
            spacing = float(np.median(cKDTree(places).query(places, k=2)[0][:, 1]))
        period = extent + max(spacing, _SAME_PLACE * max(float(extent.max()), 1.0))
        return _Sample(rows, places, period, cKDTree(places, boxsize=period))
