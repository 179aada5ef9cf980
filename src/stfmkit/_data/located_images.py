"""Which image shows an observation, and at which of its pixels."""

from typing import TYPE_CHECKING

from stfmkit._core import slots
from stfmkit._core.arguments import check_positive
from stfmkit._core.errors import InputError
from stfmkit._data.element_images import image_of_region
from stfmkit._data.elements import annotated_rows, check_known_system
from stfmkit._data.images import ImageKey, LocatedImage
from stfmkit._data.library_images import images_of_libraries

if TYPE_CHECKING:
    from stfmkit._data.view import View


def locate_images(
    view: "View",
    *,
    image_key: ImageKey = None,
    sample_key: str | None = None,
    coordinate_system: str | None = None,
    spatial_key: str = slots.SPATIAL,
    microns_per_unit: float | None = None,
) -> tuple[LocatedImage, ...]:
    """Return the images that show the observations of a view; every observation lies in exactly one.

    From a SpatialData, the image of an observation is the one that shares a coordinate system with the element that
    the observation annotates. From an AnnData, it is the one in ``uns["spatial"]``, whose libraries have the names of
    the samples, and coordinates are pixels of the full resolution, scaled by ``scalefactors``.

    Parameters
    ----------
    view
        The table and what belongs to it.
    image_key
        Names of elements, or resolutions of ``uns["spatial"]`` such as "hires"; None where there is no choice. All
        resolutions of a library are levels of one image.
    sample_key
        Column of ``obs`` with the names of the libraries of ``uns["spatial"]``; needed for several libraries.
    coordinate_system
        Coordinate system of a SpatialData in which observations meet images; needed where several disagree.
    spatial_key
        Key of the coordinates in ``obsm``.
    microns_per_unit
        Length in µm of one unit of the coordinates, for a SpatialData of the coordinate system. Where it is left out,
        the ``attrs`` of the SpatialData or the ``uns`` of the table say it, or it stays unknown.

    Raises
    ------
    MissingKeyError
        There is no image, or none of this name.
    InputError
        Several images show an observation, or none.
    """
    if microns_per_unit is not None:
        check_positive(microns_per_unit, name=slots.MICRONS)
    if view.container is None:
        if coordinate_system is not None:
            raise InputError(
                f"coordinate_system={coordinate_system!r} with an AnnData.",
                allowed="coordinate_system with SpatialData only",
                remedy="leave coordinate_system out.",
            )
        return images_of_libraries(
            view.table, image_key=image_key, sample_key=sample_key, spatial_key=spatial_key, microns=microns_per_unit
        )
    if coordinate_system is not None:
        check_known_system(view.container, coordinate_system)
    return tuple(
        image_of_region(
            view.container,
            view.table,
            region,
            rows=rows,
            image_key=image_key,
            coordinate_system=coordinate_system,
            spatial_key=spatial_key,
            microns=microns_per_unit,
        )
        for region, rows in annotated_rows(view.container, view.table).items()
    )
