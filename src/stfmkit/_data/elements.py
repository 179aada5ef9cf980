"""Where the observations of a table lie in the coordinate systems of a SpatialData."""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData

from stfmkit._core.arguments import listed, nearest
from stfmkit._core.errors import InputError, MissingKeyError

if TYPE_CHECKING:
    from spatialdata import SpatialData

_AXES = ("x", "y")


def annotated_rows(data: "SpatialData", table: AnnData) -> dict[str, np.ndarray]:
    """Return the rows of a table that annotate each element, by the name of the element.

    Raises
    ------
    MissingKeyError
        The table annotates no element, or one that the container does not hold.
    """
    from spatialdata.models import TableModel, get_table_keys

    if not table.uns.get(TableModel.ATTRS_KEY):
        raise MissingKeyError(
            "a table that annotates no element of the SpatialData.",
            allowed="a table with a region and an instance key",
            remedy="spatialdata.models.TableModel.parse(table, region=..., region_key=..., instance_key=...).",
        )
    _, region_key, _ = get_table_keys(table)
    regions = table.obs[region_key]
    names = [str(name) for name in regions.dropna().unique()]
    known = [name for _, name, _ in data.gen_spatial_elements()]
    missing = [name for name in names if name not in known]
    if missing or regions.isna().any():
        raise MissingKeyError(
            f"a table of the elements {listed(names)}, of which {listed(missing)} are not in the SpatialData, and "
            f"{int(regions.isna().sum())} observations without an element.",
            allowed=f"elements of the SpatialData: {listed(known)}",
            remedy=f"add the elements, or correct obs[{region_key!r}].",
        )
    return {name: np.flatnonzero((regions == name).to_numpy()) for name in names}


def table_coordinates(data: "SpatialData", table: AnnData, *, coordinate_system: str) -> np.ndarray:
    """Return the centres of the elements that a table annotates (n_obs, 2) in a coordinate system, x and y.

    Raises
    ------
    MissingKeyError
        The table annotates no element, or an element has no transformation to the coordinate system.
    InputError
        An element lacks instances of the table, or holds one twice.
    """
    check_known_system(data, coordinate_system)
    coords = np.empty((table.n_obs, 2))
    for name, at in annotated_rows(data, table).items():
        coords[at] = element_coordinates(data, name, table=table, rows=at, coordinate_system=coordinate_system)
    return coords


def element_coordinates(
    data: "SpatialData", name: str, *, table: AnnData, rows: np.ndarray, coordinate_system: str
) -> np.ndarray:
    """Return the centres of the instances of an element that some rows of a table annotate (n_rows, 2)."""
    from spatialdata import get_centroids
    from spatialdata.models import get_table_keys

    element = data[name]
    instances = table.obs[get_table_keys(table)[2]].iloc[rows]
    _check_system(name, coordinate_system, systems_of(element))
    with warnings.catch_warnings():  # the order of the instances does not matter here, they are looked up by name
        warnings.filterwarnings("ignore", "The index of the dataframe is not monotonic", UserWarning)
        centroids = get_centroids(element, coordinate_system=coordinate_system).compute()
    if not centroids.index.is_unique:
        twice = centroids.index[centroids.index.duplicated()].unique()
        raise InputError(
            f"the element {name!r} with repeated instances: {listed(twice, most=3)}.",
            allowed="every instance once",
            remedy="make the index of the element unique.",
        )
    at = centroids.index.get_indexer(pd.Index(instances))
    if (at < 0).any():
        missing = instances[at < 0]
        raise InputError(
            f"{len(missing)} of {len(instances)} observations whose instance is not in the element {name!r}: "
            f"{listed(missing, most=3)}.",
            allowed=f"instances such as {listed(centroids.index[:3])} ({centroids.index.dtype})",
            remedy="correct the column of instances of the table, or its type.",
        )
    return centroids[list(_AXES)].to_numpy(dtype=np.float64)[at]


def systems_of(element: Any) -> dict[str, np.ndarray]:
    """Return the affine matrices (3, 3) from an element to every coordinate system, for columns (x, y, 1)."""
    from spatialdata.transformations import get_transformation

    ways = get_transformation(element, get_all=True)
    return {system: np.asarray(way.to_affine_matrix(_AXES, _AXES), dtype=np.float64) for system, way in ways.items()}


def shared_systems(
    first: tuple[str, Any], second: tuple[str, Any], *, coordinate_system: str | None
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the coordinate systems that two elements share, with the matrices of both.

    Parameters
    ----------
    first, second
        Names and elements.
    coordinate_system
        The only one wanted, or None for all.

    Raises
    ------
    MissingKeyError
        An element does not know `coordinate_system`.
    """
    of_first, of_second = systems_of(first[1]), systems_of(second[1])
    if coordinate_system is not None:
        _check_system(first[0], coordinate_system, of_first)
        _check_system(second[0], coordinate_system, of_second)
        return {coordinate_system: (of_first[coordinate_system], of_second[coordinate_system])}
    return {system: (of_first[system], of_second[system]) for system in of_first if system in of_second}


def check_known_system(data: "SpatialData", system: str) -> None:
    """Refuse a coordinate system that no element of the SpatialData has.

    Raises
    ------
    MissingKeyError
        There is no such coordinate system.
    """
    known = list(map(str, data.coordinate_systems))
    if system not in known:
        raise MissingKeyError(
            f"no coordinate system {system!r} in the SpatialData.",
            allowed=listed(known),
            remedy=f"pass one of these as coordinate_system.{nearest(str(system), known)}",
        )


def _check_system(element: str, system: str, known: dict[str, np.ndarray]) -> None:
    if system not in known:
        raise MissingKeyError(
            f"no coordinate system {system!r} for the element {element!r}.",
            allowed=listed(known),
            remedy=f"pass one of these as coordinate_system.{nearest(str(system), list(known))}",
        )
