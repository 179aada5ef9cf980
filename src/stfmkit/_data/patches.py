"""Square patches of images around observations, read row by row."""

import hashlib
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from stfmkit._core import slots
from stfmkit._core.arguments import check_integer, check_positive, listed
from stfmkit._core.errors import InputError, StfmkitWarning, UnitsError
from stfmkit._data.images import ImageLevel
from stfmkit._data.located_images import ImageKey, LocatedImage, locate_images

if TYPE_CHECKING:
    from stfmkit._data.view import View

_HASHED_AT_ONCE = 256
_NOTHING = 1e-6
"""Length in pixels of an image below which a patch does not reach beyond it."""
_BLURRED = 2.0
"""An image that is enlarged more than this holds too few details for its patches."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PatchRows:
    """Patches (n_obs, size, size, 3) of the tissue around observations, cut when they are read.

    A patch is cut along the axes of its image: rows run downwards and columns to the right as the image is stored,
    whatever rotation or flip its transformation holds. Only the centre goes through the transformation. A patch of
    ``size`` pixels covers ``size × microns_per_pixel`` µm of the image, from the coarsest level that is fine enough,
    averaged with an antialiasing filter; without ``microns_per_pixel`` the pixels of the finest level are taken as
    they are. What lies outside the image has the value `fill`, and `padded_share` says how much of a patch that is.

    Attributes
    ----------
    images
        The images, with the observations that each of them shows.
    size
        Side of a patch in pixels.
    microns_per_pixel
        Length of a pixel of a patch in µm; None for the pixels of the image.
    fill
        Value of red, green and blue outside the image.
    which
        Position in `images` of the image of every observation (n_obs,).
    centers
        Positions of the observations (n_obs, 2) in pixels of the finest level of their image.
    """

    images: tuple[LocatedImage, ...]
    size: int
    microns_per_pixel: float | None
    fill: int
    which: np.ndarray
    centers: np.ndarray
    padded_share: np.ndarray = field(init=False)
    """Share of the patch of every observation that lies outside its image (n_obs,)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "padded_share", self._padded())

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_obs, size, size, 3)."""
        return len(self.which), self.size, self.size, 3

    @property
    def dtype(self) -> np.dtype:
        """Bytes."""
        return np.dtype(np.uint8)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return the patches of some observations (n_rows, size, size, 3) as uint8, in the order of `rows`."""
        rows = np.asarray(rows)
        out = np.empty((len(rows), *self.shape[1:]), dtype=np.uint8)
        for number, located in enumerate(self.images):
            here = np.flatnonzero(self.which[rows] == number)
            level = located.image.level_for(self._pixel(located))
            tile = np.floor(self.centers[rows[here]] / np.multiply(level.tile, level.factor))
            for at in here[np.lexsort((self.centers[rows[here], 0], tile[:, 0], tile[:, 1]))]:
                out[at] = self._cut(located, level, self.centers[rows[at]])
        return out

    def identity(self) -> str:
        """Return text that tells these patches from any other by what they show; all are read, a few at a time."""
        digest = hashlib.sha256(repr(self.shape).encode())
        for start in range(0, len(self.which), _HASHED_AT_ONCE):
            digest.update(self.read(np.arange(start, min(start + _HASHED_AT_ONCE, len(self.which)))).tobytes())
        return f"patches {digest.hexdigest()}"

    def facts(self) -> dict[str, Any]:
        """Return what provenance says of the patches."""
        return {
            "images": [located.image.name for located in self.images],
            "size": self.size,
            "microns_per_pixel": self.microns_per_pixel,
            "fill": self.fill,
            "n_padded": int((self.padded_share > 0).sum()),
            "padded_share": float(self.padded_share.mean()),
        }

    def _pixel(self, located: LocatedImage) -> tuple[float, float]:
        """Return the side of a pixel of a patch along x and y, in pixels of the finest level."""
        if self.microns_per_pixel is None or located.microns_per_pixel is None:
            return (1.0, 1.0)
        along_x, along_y = located.microns_per_pixel
        return self.microns_per_pixel / along_x, self.microns_per_pixel / along_y

    def _cut(self, located: LocatedImage, level: ImageLevel, center: np.ndarray) -> np.ndarray:
        """Return one patch."""
        step = np.divide(self._pixel(located), level.factor)  # pixels of the level per pixel of the patch
        middle, side = center / level.factor, self.size * step
        if self.microns_per_pixel is None:
            left, top = np.floor(middle - side / 2 + 0.5).astype(int)
            return self._padded_box(level, (left, top, left + self.size, top + self.size))
        from PIL import Image

        low, high = middle - side / 2, middle + side / 2
        margin = np.ceil(np.maximum(step, 1)).astype(int) + 1  # the reach of the filter
        left, top = np.floor(low).astype(int) - margin
        right, bottom = np.ceil(high).astype(int) + margin
        box = self._padded_box(level, (left, top, right, bottom))
        inside = (low[0] - left, low[1] - top, high[0] - left, high[1] - top)
        picture = Image.fromarray(box).resize((self.size, self.size), Image.Resampling.BILINEAR, box=inside)
        return np.asarray(picture)

    def _padded_box(self, level: ImageLevel, box: tuple[int, int, int, int]) -> np.ndarray:
        """Return the pixels of a box that may reach beyond the image, with `fill` outside."""
        left, top, right, bottom = box
        height, width = level.shape
        out = np.full((bottom - top, right - left, 3), self.fill, dtype=np.uint8)
        x, y, end_x, end_y = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
        if x < end_x and y < end_y:
            out[y - top : end_y - top, x - left : end_x - left] = level.read((x, y, end_x, end_y))
        return out

    @property
    def sides(self) -> np.ndarray:
        """Sides of every patch (n_obs, 2) in pixels of the finest level of its image, along x and y."""
        sides = np.array([self._side(located) for located in self.images]).reshape(-1, 2)
        return sides[self.which]

    def _side(self, located: LocatedImage) -> np.ndarray:
        return self.size * np.broadcast_to(np.asarray(self._pixel(located), dtype=np.float64), 2)

    def _padded(self) -> np.ndarray:
        """Return the share of every patch outside its image."""
        share = np.zeros(len(self.which))
        for number, located in enumerate(self.images):
            here = self.which == number
            side = self._side(located)
            low = self.centers[here] - side / 2
            if self.microns_per_pixel is None:
                low = np.floor(low + 0.5)
            height, width = located.image.shape
            before, behind = np.clip(-low, 0, side), np.clip(low + side - (width, height), 0, side)
            outside = np.clip(before + behind, 0, side)
            outside[outside < _NOTHING] = 0  # rounding of centres and of the length of a pixel
            share[here] = 1 - np.prod(1 - outside / side, axis=1)
        return share


def read_patches(
    view: "View",
    *,
    size: int,
    microns_per_pixel: float | None = None,
    fill: int = 255,
    image_key: ImageKey = None,
    sample_key: str | None = None,
    coordinate_system: str | None = None,
    spatial_key: str = slots.SPATIAL,
    microns_per_unit: float | None = None,
) -> PatchRows:
    """Return a reader of the patches around the observations of a view; nothing is read yet.

    Parameters
    ----------
    view
        The table and what belongs to it.
    size
        Side of a patch in pixels.
    microns_per_pixel
        Length of a pixel of the patches in µm; None takes the pixels of the finest level as they are.
    fill
        Value from 0 to 255 of what lies outside the image; 255 is the background of a bright-field image.
    image_key, sample_key, coordinate_system, spatial_key, microns_per_unit
        As for `locate_images`.

    Raises
    ------
    UnitsError
        `microns_per_pixel` is given, and the length of a pixel of the image is not known.
    InputError
        Observations lie outside of their image, or several images show them.
    MissingKeyError
        There is no image.

    Warns
    -----
    StfmkitWarning
        The image is so coarse that patches are enlarged more than twofold.
    """
    check_integer(size, name="size", least=1)
    check_integer(fill, name="fill", least=0)
    if fill > 255:
        raise InputError(f"fill={fill}.", allowed="a value from 0 to 255", remedy="pass 255 for white, 0 for black.")
    located = locate_images(
        view,
        image_key=image_key,
        sample_key=sample_key,
        coordinate_system=coordinate_system,
        spatial_key=spatial_key,
        microns_per_unit=microns_per_unit,
    )
    if microns_per_pixel is not None:
        check_positive(microns_per_pixel, name="microns_per_pixel")
        _check_units(view, located, microns_per_pixel)
    which = np.empty(view.table.n_obs, dtype=np.int64)
    centers = np.empty((view.table.n_obs, 2))
    for number, part in enumerate(located):
        which[part.rows], centers[part.rows] = number, part.centers
    patches = PatchRows(
        images=located,
        size=int(size),
        microns_per_pixel=None if microns_per_pixel is None else float(microns_per_pixel),
        fill=int(fill),
        which=which,
        centers=centers,
    )
    _check_inside(view, patches)
    return patches


def _check_units(view: "View", located: tuple[LocatedImage, ...], wanted: float) -> None:
    """Refuse a length in µm where the length of a pixel is not known, and warn of images that are too coarse."""
    unknown = [part.image.name for part in located if part.microns_per_pixel is None]
    if unknown:
        where = (
            "adata.uns['stfmkit'] = {'microns_per_unit': ...}, the µm of one unit of the coordinates in obsm"
            if view.container is None
            else "sdata.attrs['stfmkit'] = {'microns_per_unit': ...}, the µm of one unit of its coordinate systems"
        )
        raise UnitsError(
            f"patches of {wanted:g} µm per pixel, and images of unknown scale: {listed(unknown, most=5)}.",
            allowed="images whose µm per pixel are known, or patches in pixels of the image",
            remedy=f"store {where}.",
        )
    coarse = {part.image.name: max(part.microns_per_pixel or ()) for part in located}
    coarse = {name: length for name, length in coarse.items() if length > _BLURRED * wanted}
    if coarse:
        warnings.warn(
            f"patches of {wanted:g} µm per pixel are enlarged from images of "
            f"{', '.join(f'{length:.3g} µm per pixel ({name!r})' for name, length in list(coarse.items())[:3])}: they "
            "lack the details that a model expects.",
            StfmkitWarning,
            stacklevel=3,
        )


def _check_inside(view: "View", patches: PatchRows) -> None:
    """Refuse observations whose patch does not touch their image."""
    outside = np.flatnonzero(patches.padded_share >= 1)
    if len(outside):
        first = patches.images[patches.which[outside[0]]].image
        height, width = first.shape
        x, y = patches.centers[outside[0]]
        raise InputError(
            f"{len(outside)} of {len(patches.which)} observations outside of their image: "
            f"{listed(view.table.obs_names[outside], most=3)}, the first at x={x:.0f}, y={y:.0f} of {first.name!r} "
            f"({width} wide, {height} high).",
            allowed="observations on the image",
            remedy="check the transformation or the scalefactors of the image, or drop these observations.",
        )
