"""Where the tissue is: a polygon of the user, or computed from the molecules."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import shapely
from scipy import ndimage

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError
from stfmkit._kernels._lattice import Lattice
from stfmkit._kernels._raster import close, mark, mark_wanted, share_inside

PIXEL = 5.0
"""Side of a pixel of the computed mask, in µm."""

RADIUS = 50.0
"""Gaps between molecules up to twice this length, in µm, count as tissue."""

LEAST_AREA = 8660.0
"""Smaller pieces are no tissue: the area for one spot in Visium, 100 · 100 · √3/2 µm²."""

_SAMPLE_STEP = 2.5
_MOST_PIXELS = 10**8


class Mask(Protocol):
    """Tells how much of a spot is tissue."""

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        """Learn from molecules at these positions."""
        ...

    def add_molecules(self, x: np.ndarray, y: np.ndarray, unit: float, columns: np.ndarray, *, drop: bool) -> None:
        """Learn from the molecules at these positions times `unit` whose column counts."""
        ...

    def share(self, centers: np.ndarray, lattice: Lattice) -> np.ndarray:
        """Return the share (n,) of spots of this lattice, at these centres, that is tissue."""
        ...


class NoMask:
    """Everything is tissue."""

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        """Learn nothing."""

    def add_molecules(self, x: np.ndarray, y: np.ndarray, unit: float, columns: np.ndarray, *, drop: bool) -> None:
        """Learn nothing."""

    def share(self, centers: np.ndarray, lattice: Lattice) -> np.ndarray:  # noqa: ARG002
        """Return ones (n,)."""
        return np.ones(len(centers))


class ComputedMask:
    """The union of discs of radius 50 µm around the molecules, shrunk by 50 µm, without small pieces.

    It is a raster of 5 µm; the share of a spot is counted on points about 2.5 µm apart.

    Raises
    ------
    InputError
        The box (x0, y0, x1, y1) of the molecules is larger than tissue can be.
    """

    def __init__(self, box: tuple[float, float, float, float]) -> None:
        pad = RADIUS + 2 * PIXEL
        cols, rows = (int(np.ceil((box[i + 2] - box[i] + 2 * pad) / PIXEL)) + 1 for i in (0, 1))
        if rows * cols > _MOST_PIXELS:
            raise InputError(
                f"molecules over {(box[2] - box[0]) / 1000:.1f} × {(box[3] - box[1]) / 1000:.1f} mm.",
                allowed="about 50 × 50 mm for a computed tissue mask",
                remedy="check microns_per_unit and stray positions, split the samples with sample_key=, or pass mask=.",
            )
        self._raster = (float(box[0] - pad), float(box[1] - pad), PIXEL)
        self._marked = np.zeros((rows, cols), dtype=bool)
        self._mask: np.ndarray | None = None

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        """Learn from molecules at these positions."""
        mark(self._marked, x, y, self._raster)

    def add_molecules(self, x: np.ndarray, y: np.ndarray, unit: float, columns: np.ndarray, *, drop: bool) -> None:
        """Learn from the molecules at these positions times `unit` whose column counts."""
        mark_wanted(self._marked, x, y, (unit, *self._raster), columns, drop)

    def packed(self) -> np.ndarray:
        """Return what was learnt, in bits that are small to send."""
        return np.packbits(self._marked)

    def add_packed(self, bits: np.ndarray) -> None:
        """Learn what another mask of the same box has learnt."""
        self._marked |= np.unpackbits(bits, count=self._marked.size).reshape(self._marked.shape).astype(bool)

    def share(self, centers: np.ndarray, lattice: Lattice) -> np.ndarray:
        """Return the share (n,) of spots of this lattice, at these centres, that is tissue."""
        if self._mask is None:
            self._mask = _without_small(close(self._marked, RADIUS / PIXEL))
        return share_inside(self._mask, centers, lattice.sample_offsets(_SAMPLE_STEP), self._raster)


class PolygonMask:
    """A polygon in µm; shares are exact (circles as polygons with 256 corners)."""

    def __init__(self, polygon: Any) -> None:
        self._polygon = polygon
        shapely.prepare(polygon)

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        """Learn nothing."""

    def add_molecules(self, x: np.ndarray, y: np.ndarray, unit: float, columns: np.ndarray, *, drop: bool) -> None:
        """Learn nothing."""

    def share(self, centers: np.ndarray, lattice: Lattice) -> np.ndarray:
        """Return the share (n,) of spots of this lattice, at these centres, that is tissue."""
        spots = shapely.polygons(centers[:, None, :] + lattice.outline()[None])
        share = shapely.covers(self._polygon, spots).astype(np.float64)
        partial = (share == 0) & shapely.intersects(self._polygon, spots)
        share[partial] = shapely.area(shapely.intersection(spots[partial], self._polygon)) / shapely.area(
            spots[partial]
        )
        return share


def check_mask(mask: Any) -> None:
    """Refuse what is no mask."""
    for polygon in mask.values() if isinstance(mask, Mapping) else [mask]:
        if polygon is None or (isinstance(polygon, str) and polygon == "computed"):
            continue
        if not isinstance(polygon, shapely.Polygon | shapely.MultiPolygon):
            raise InputTypeError(
                f"mask={polygon!r}.",
                allowed='"computed", None, a shapely polygon in µm, or a mapping from samples to these',
                remedy="build a polygon with shapely.Polygon([(x, y), …]).",
            )
        if polygon.area == 0 or not polygon.is_valid:
            raise InputError(
                f"a mask that is {'empty' if polygon.area == 0 else shapely.is_valid_reason(polygon)}.",
                allowed="a valid polygon with an area",
                remedy="repair it with shapely.make_valid(polygon).",
            )


def sample_mask(mask: Any, sample: str, box: tuple[float, float, float, float]) -> Mask:
    """Return the mask of one sample, whose molecules lie in `box` (x0, y0, x1, y1)."""
    if isinstance(mask, Mapping):
        if sample not in mask:
            raise MissingKeyError(
                f"a mapping of masks without the sample {sample!r}.",
                allowed=f"a mask for every sample; there are {listed(mask)}",
                remedy="add the sample, with None or 'computed' where it has no polygon.",
            )
        mask = mask[sample]
    if mask is None:
        return NoMask()
    return ComputedMask(box) if isinstance(mask, str) else PolygonMask(mask)


def _without_small(mask: np.ndarray) -> np.ndarray:
    pieces, _ = ndimage.label(mask)
    large = np.bincount(pieces.ravel()) * PIXEL**2 >= LEAST_AREA
    large[0] = False
    return large[pieces]
