"""Images of an AnnData: the libraries of ``uns["spatial"]``, as scanpy and squidpy keep them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from anndata import AnnData

from stfmkit._core import slots
from stfmkit._core.arguments import check_positive, listed, nearest
from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit._data.columns import read_groups
from stfmkit._data.coordinates import check_one_frame, read_coords
from stfmkit._data.images import ImageKey, LocatedImage, TissueImage
from stfmkit._data.write_slots import records


def images_of_libraries(
    table: AnnData, *, image_key: ImageKey, sample_key: str | None, spatial_key: str, microns: float | None
) -> tuple[LocatedImage, ...]:
    """Return the images of ``uns["spatial"]``, one for every library that has observations."""
    libraries = libraries_of(table)
    if not libraries:
        raise MissingKeyError(
            "an AnnData without images.",
            allowed="images in uns['spatial'][library]['images'] with their scalefactors, or a SpatialData",
            remedy="read the image too, such as sk.io.read(folder) of a Visium output, and pass the SpatialData.",
        )
    coords = read_coords(table, spatial_key=spatial_key)
    if microns is None:
        microns = records(table).get(slots.MICRONS)
    if microns is not None:
        check_positive(microns, name=slots.MICRONS)
    located = []
    for library, rows in _rows_of_libraries(table, libraries, coords, sample_key=sample_key).items():
        scales = _scales(library, libraries[library], image_key)
        finest = next(iter(scales.values()))
        image = TissueImage.of_arrays(
            library,
            [_pixels(libraries[library]["images"][key]) for key in scales],
            factors=[finest / scale for scale in scales.values()],
        )
        length = None if microns is None else (float(microns) / finest, float(microns) / finest)
        located.append(LocatedImage(image=image, rows=rows, centers=coords[rows] * finest, microns_per_pixel=length))
    return tuple(located)


def libraries_of(table: AnnData) -> dict[str, Mapping[str, Any]]:
    """Return the entries of ``uns["spatial"]`` that hold images."""
    spatial = table.uns.get(slots.SPATIAL, {})
    if not isinstance(spatial, Mapping):
        return {}
    return {
        str(library): entry
        for library, entry in spatial.items()
        if isinstance(entry, Mapping) and isinstance(entry.get("images"), Mapping) and entry["images"]
    }


def _rows_of_libraries(
    table: AnnData, libraries: Mapping[str, Any], coords: np.ndarray, *, sample_key: str | None
) -> dict[str, np.ndarray]:
    """Return the observations of every library, by its name."""
    if sample_key is None:
        if len(libraries) > 1:
            raise InputError(
                f"images of the libraries {listed(libraries)} in uns['spatial'], and no sample_key.",
                allowed="one library, or a column of obs with the library of every observation",
                remedy="pass sample_key=, the column whose values are the names of the libraries.",
            )
        check_one_frame(table, coords)
        return {next(iter(libraries)): np.arange(table.n_obs)}
    samples = read_groups(table, sample_key, role="sample_key")
    names = list(samples.categories)
    missing = [name for name in names if name not in libraries]
    if missing and not (len(names) == len(libraries) == 1):
        raise InputError(
            f"samples of obs[{sample_key!r}] without an image in uns['spatial']: {listed(missing, most=5)}.",
            allowed=f"the names of the libraries as samples: {listed(libraries, most=5)}",
            remedy="pass the column with the names of the libraries as sample_key, or rename the libraries.",
        )
    if missing:
        return {next(iter(libraries)): np.arange(table.n_obs)}
    return {name: np.flatnonzero(samples.codes == code) for code, name in enumerate(names)}


def _scales(library: str, entry: Mapping[str, Any], image_key: ImageKey) -> dict[str, float]:
    """Return pixels of an image per pixel of the full resolution, by resolution, the finest first."""
    wanted = list(entry["images"]) if image_key is None else [image_key] if isinstance(image_key, str) else image_key
    factors = entry.get("scalefactors", {})
    scales: dict[str, float] = {}
    for key in wanted:
        if key not in entry["images"]:
            raise MissingKeyError(
                f"no image {key!r} of the library {library!r}.",
                allowed=listed(entry["images"]),
                remedy=f"pass one of these as image_key.{nearest(str(key), list(entry['images']))}",
            )
        factor = factors.get(f"tissue_{key}_scalef")
        if factor is not None:
            check_positive(float(factor), name=f"tissue_{key}_scalef")
            scales[key] = float(factor)
    if not scales or (image_key is not None and len(scales) < len(wanted)):
        raise MissingKeyError(
            f"images {listed(wanted)} of the library {library!r} with the scalefactors {listed(factors)}.",
            allowed="tissue_<resolution>_scalef for every image: its pixels per pixel of the coordinates",
            remedy=f"add them to uns['spatial'][{library!r}]['scalefactors'].",
        )
    return dict(sorted(scales.items(), key=lambda pair: -pair[1]))


def _pixels(array: Any) -> Any:
    return array if hasattr(array, "shape") else np.asarray(array)
