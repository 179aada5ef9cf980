"""Images of tissue that are read by region, never as a whole."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError

ImageKey: TypeAlias = str | Sequence[str] | None
"""Names of images to use; None where every observation has one image only."""

_CACHE_BYTES = 128 * 2**20
_TILE_SIDES = (256, 2048)
"""Least and largest side in pixels of the tiles that a lazy image is read in."""

_RGB = (("r", "red"), ("g", "green"), ("b", "blue"))


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageLevel:
    """One resolution of an image.

    Attributes
    ----------
    pixels
        Anything that numpy can slice (numpy, dask, zarr): (height, width, channels), or (channels, height, width).
    channels_first
        Which of the two.
    channels
        Positions of red, green and blue.
    name
        What the image is called in errors.
    factor
        Side of a pixel in pixels of the finest level, along x and y.
    """

    pixels: Any
    channels_first: bool
    channels: tuple[int, ...]
    name: str
    factor: tuple[float, float] = (1.0, 1.0)
    _tiles: "OrderedDict[tuple[int, int], np.ndarray]" = field(default_factory=OrderedDict, init=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the tiles behind when the level is sent to another process."""
        return {**self.__dict__, "_tiles": OrderedDict()}

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        rows, columns = self.pixels.shape[1:] if self.channels_first else self.pixels.shape[:2]
        return int(rows), int(columns)

    @cached_property
    def tile(self) -> int:
        """Side of the tiles in pixels; near the chunks of the array, so that few chunks are read twice."""
        chunks = getattr(self.pixels, "chunks", None)
        if chunks is None:
            return _TILE_SIDES[1]
        along_y = chunks[1 if self.channels_first else 0]
        return int(np.clip(np.max(along_y), *_TILE_SIDES))

    def read(self, box: tuple[int, int, int, int]) -> np.ndarray:
        """Return the pixels of a box (left, top, right, bottom) within the image, as uint8 (height, width, 3).

        Tiles of a lazy array are kept, at most 128 MiB of them, as neighbouring patches read the same ones.

        Raises
        ------
        InputError
            Values are neither 8 or 16 bits nor fractions from 0 to 1.
        """
        if isinstance(self.pixels, np.ndarray):
            return self._load(box)
        left, top, right, bottom = box
        out = np.empty((bottom - top, right - left, 3), dtype=np.uint8)
        for row in range(top // self.tile, -(-bottom // self.tile)):
            for column in range(left // self.tile, -(-right // self.tile)):
                part = self._tile(row, column)
                y, x = row * self.tile, column * self.tile
                low_y, high_y = max(top, y), min(bottom, y + part.shape[0])
                low_x, high_x = max(left, x), min(right, x + part.shape[1])
                out[low_y - top : high_y - top, low_x - left : high_x - left] = part[
                    low_y - y : high_y - y, low_x - x : high_x - x
                ]
        return out

    def _tile(self, row: int, column: int) -> np.ndarray:
        """Return one tile, from the cache where it was read lately."""
        if (row, column) in self._tiles:
            self._tiles.move_to_end((row, column))
            return self._tiles[row, column]
        height, width = self.shape
        y, x = row * self.tile, column * self.tile
        loaded = self._load((x, y, min(x + self.tile, width), min(y + self.tile, height)))
        self._tiles[row, column] = loaded
        while len(self._tiles) > max(1, _CACHE_BYTES // (3 * self.tile**2)):
            self._tiles.popitem(last=False)
        return loaded

    def _load(self, box: tuple[int, int, int, int]) -> np.ndarray:
        left, top, right, bottom = box
        if self.channels_first:
            raw = np.moveaxis(np.asarray(self.pixels[:, top:bottom, left:right]), 0, 2)
        else:
            raw = np.asarray(self.pixels[top:bottom, left:right])
        return as_uint8(raw[:, :, list(self.channels)], name=self.name)


@dataclass(frozen=True, kw_only=True, eq=False)
class TissueImage:
    """An image as a pyramid of one level or more, the finest first."""

    name: str
    levels: tuple[ImageLevel, ...]

    @classmethod
    def of_arrays(cls, name: str, arrays: Sequence[Any], *, factors: Sequence[float]) -> "TissueImage":
        """Return the image of arrays (height, width, channels), the finest first, with the side of their pixels."""
        levels = tuple(
            ImageLevel(
                pixels=array,
                channels_first=False,
                channels=_channels(array.shape[2] if len(array.shape) == 3 else 1, None, name=name),
                name=name,
                factor=(factor, factor),
            )
            for array, factor in zip(arrays, factors, strict=True)
        )
        return cls(name=name, levels=levels)

    @classmethod
    def of_element(cls, name: str, element: Any) -> "TissueImage":
        """Return the image of a SpatialData, of one or of several scales."""
        arrays = [element]
        if hasattr(element, "children"):  # an xarray.DataTree with one array for each scale
            arrays = [next(iter(scale.values())) for scale in element.children.values()]
            arrays.sort(key=lambda array: -array.sizes["x"])
        if tuple(arrays[0].dims) != ("c", "y", "x"):
            raise InputError(
                f"the image {name!r} with the axes {arrays[0].dims}.",
                allowed="an image with the axes c, y and x",
                remedy="project or slice it to two dimensions first.",
            )
        names = [str(channel) for channel in arrays[0].coords["c"].to_numpy()]
        finest = arrays[0].shape
        levels = tuple(
            ImageLevel(
                pixels=array.data,
                channels_first=True,
                channels=_channels(len(names), names, name=name),
                name=name,
                factor=(finest[2] / array.shape[2], finest[1] / array.shape[1]),
            )
            for array in arrays
        )
        return cls(name=name, levels=levels)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels of the finest level."""
        return self.levels[0].shape

    def level_for(self, pixel: tuple[float, float]) -> ImageLevel:
        """Return the coarsest level whose pixels are no larger than `pixel`, in pixels of the finest level."""
        fitting = [
            level for level in self.levels if all(f <= p * (1 + 1e-3) for f, p in zip(level.factor, pixel, strict=True))
        ]
        return max(fitting, key=lambda level: level.factor[0], default=self.levels[0])


@dataclass(frozen=True, kw_only=True, eq=False)
class LocatedImage:
    """An image, and the observations that it shows.

    Attributes
    ----------
    image
        The image.
    rows
        Row numbers of the observations in the table (n,).
    centers
        Their positions (n, 2) in pixels of the finest level, x to the right and y downwards; the pixel in column i
        reaches from i to i + 1.
    microns_per_pixel
        Length of a pixel of the finest level in µm along x and y, None where the unit is not known.
    """

    image: TissueImage
    rows: np.ndarray
    centers: np.ndarray
    microns_per_pixel: tuple[float, float] | None


def as_uint8(values: np.ndarray, *, name: str) -> np.ndarray:
    """Return the values of an image as bytes: 16 bits are scaled down, fractions from 0 to 1 scaled up."""
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.uint16:
        return np.rint(values / 257).astype(np.uint8)
    if values.dtype.kind == "f" and np.isfinite(values).all() and (values >= 0).all() and (values <= 1).all():
        return np.rint(values * 255).astype(np.uint8)
    if values.dtype.kind in "iu" and (values >= 0).all() and (values <= 255).all():
        return values.astype(np.uint8)
    extent = f", from {values.min():g} to {values.max():g}" if values.size and values.dtype.kind in "biuf" else ""
    raise InputError(
        f"the image {name!r} of dtype {values.dtype}{extent}.",
        allowed="integers from 0 to 255, 16 bits (uint16), or fractions from 0 to 1",
        remedy="convert the image to uint8.",
    )


def _channels(n_channels: int, names: list[str] | None, *, name: str) -> tuple[int, ...]:
    """Return the positions of red, green and blue: by their names, else the first three of three or four."""
    lowered = [channel.casefold() for channel in names or []]
    by_name = [next((lowered.index(word) for word in words if word in lowered), -1) for words in _RGB]
    if min(by_name) >= 0:
        return tuple(by_name)
    if n_channels in {3, 4}:
        return (0, 1, 2)
    known = f": {listed(names)}" if names else ""
    raise InputError(
        f"the image {name!r} with {n_channels} channels{known}.",
        allowed="red, green and blue, by these names or as the first three of three or four channels",
        remedy="pass image_key= with a histology image; models of fluorescence channels read them otherwise.",
    )
