"""Images of a SpatialData, and where the elements that a table annotates lie on them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from anndata import AnnData

from stfmkit._core import slots
from stfmkit._core.arguments import check_positive, listed, nearest
from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit._data.coordinates import read_coords
from stfmkit._data.elements import element_coordinates, shared_systems, systems_of
from stfmkit._data.images import ImageKey, LocatedImage, TissueImage
from stfmkit._data.write_slots import records

if TYPE_CHECKING:
    from spatialdata import SpatialData

_LEAST_FOR_FIT = 4
_SAME_PIXEL = 1.0
_NEAR_CENTRE = 0.05
"""Largest distance of a coordinate from the centre of its element, as a share of the mean distance from the middle of
the tissue: the centre of a nucleus is not that of the outline of its cell, and the scale follows from all of them."""


def image_of_region(
    data: "SpatialData",
    table: AnnData,
    region: str,
    *,
    rows: np.ndarray,
    image_key: ImageKey,
    coordinate_system: str | None,
    spatial_key: str,
    microns: float | None,
) -> LocatedImage:
    """Return the one image of the observations that annotate an element."""
    name = _image_of(data, region, image_key=image_key, system=coordinate_system)
    shared = shared_systems((region, data[region]), (name, data.images[name]), coordinate_system=coordinate_system)
    _check_agreement(region, name, shared)
    meeting, (_, of_image) = next(iter(shared.items()))
    places = element_coordinates(data, region, table=table, rows=rows, coordinate_system=meeting)
    to_pixels = np.linalg.inv(of_image)
    centers = places @ to_pixels[:2, :2].T + to_pixels[:2, 2]
    declared = data.attrs.get(slots.ROOT, {}).get(slots.MICRONS) if microns is None else microns
    return LocatedImage(
        image=TissueImage.of_element(name, data.images[name]),
        rows=rows,
        centers=centers,
        microns_per_pixel=_length_by_table(table, rows, centers, spatial_key=spatial_key)
        if declared is None
        else _declared_length(name, shared, declared),
    )


def _image_of(data: "SpatialData", region: str, *, image_key: ImageKey, system: str | None) -> str:
    """Return the name of the image that shares a coordinate system with an element, or ask for it."""
    known = list(map(str, data.images))
    wanted = known if image_key is None else [image_key] if isinstance(image_key, str) else list(image_key)
    for name in wanted:
        if name not in known:
            raise MissingKeyError(
                f"no image named {name!r}.",
                allowed=listed(known),
                remedy=f"pass one of these as image_key.{nearest(str(name), known)}",
            )
    if not known:
        raise MissingKeyError(
            "a SpatialData without images.",
            allowed="an image with a transformation to the coordinate system of the observations",
            remedy="add one: sdata['he'] = spatialdata.models.Image2DModel.parse(array, transformations=...).",
        )
    here = set(systems_of(data[region])) if system is None else {system}
    fitting = [name for name in wanted if here & set(systems_of(data.images[name]))]
    if len(fitting) != 1:
        raise InputError(
            f"{len(fitting)} images ({listed(fitting)}) in the coordinate systems of the element {region!r}, "
            f"{listed(sorted(here))}.",
            allowed="one image for every element that the table annotates",
            remedy="pass image_key= with the names of the images to use, or coordinate_system=."
            if fitting
            else f"give one of the images {listed(wanted)} a transformation to one of these coordinate systems.",
        )
    return fitting[0]


def _check_agreement(region: str, image: str, shared: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Refuse coordinate systems that lead from an element to different pixels."""
    for system, (_, of_image) in shared.items():
        if abs(np.linalg.det(of_image[:2, :2])) < np.finfo(np.float64).tiny:
            raise InputError(
                f"the image {image!r} with a singular transformation to {system!r}.",
                allowed="a transformation that can be inverted",
                remedy="correct the transformation of the image.",
            )
    ways = [np.linalg.solve(of_image, of_region) for of_region, of_image in shared.values()]
    if not all(np.allclose(way, ways[0], rtol=1e-6, atol=1e-6) for way in ways):
        raise InputError(
            f"the element {region!r} at different pixels of the image {image!r} in the coordinate systems "
            f"{listed(shared)}.",
            allowed="coordinate systems that agree, or one",
            remedy="pass coordinate_system=, one of these.",
        )


def _declared_length(
    image: str, shared: Mapping[str, tuple[np.ndarray, np.ndarray]], microns: float
) -> tuple[float, float]:
    """Return the length of a pixel in µm in coordinate systems whose unit is declared."""
    check_positive(microns, name=slots.MICRONS)
    lengths = np.array([np.linalg.norm(of_image[:2, :2], axis=0) * microns for _, of_image in shared.values()])
    if not np.allclose(lengths, lengths[0]):
        raise InputError(
            f"{microns:g} µm per unit, and the image {image!r} of different scales in the coordinate systems "
            f"{listed(shared)}.",
            allowed="one coordinate system of this unit",
            remedy="pass coordinate_system=, the one whose unit it is.",
        )
    return float(lengths[0, 0]), float(lengths[0, 1])


def _length_by_table(
    table: AnnData, rows: np.ndarray, centers: np.ndarray, *, spatial_key: str
) -> tuple[float, float] | None:
    """Return the length of a pixel in µm from coordinates of known unit, where these are an affine map of the pixels.

    The coordinates of the table and the pixels of the same observations then fix the scale; None where the table does
    not declare a unit, or its coordinates are of another space.
    """
    microns = records(table).get(slots.MICRONS)
    if microns is None or spatial_key not in table.obsm or len(rows) < _LEAST_FOR_FIT:
        return None
    check_positive(microns, name=slots.MICRONS)
    coords = read_coords(table, spatial_key=spatial_key)[rows]
    middle = coords.mean(axis=0)
    design = np.column_stack([coords - middle, np.ones(len(coords))])
    fit, _, rank, _ = np.linalg.lstsq(design, centers, rcond=None)
    if rank < 3:
        return None
    off = np.abs(design @ fit - centers).max()
    spread = np.linalg.norm(centers - centers.mean(axis=0), axis=1).mean()
    if off > max(_SAME_PIXEL, _NEAR_CENTRE * spread):
        return None
    to_units = np.linalg.inv(fit[:2].T)
    along_x, along_y = np.linalg.norm(to_units, axis=0) * float(microns)
    return float(along_x), float(along_y)
