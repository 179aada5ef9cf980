"""Spots as elements of a SpatialData: shapes, one table that describes them, and where they lie."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from anndata import AnnData

from stfmkit._core import slots
from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError, InputTypeError
from stfmkit._data.view import is_spatialdata
from stfmkit._kernels._lattice import Lattice
from stfmkit.pp._binning._settings import BinSettings
from stfmkit.pp._binning._source import Source

if TYPE_CHECKING:
    from spatialdata import SpatialData

REGION, INSTANCE = "region", "instance_id"
"""Columns of the table that name the shapes element, and the spot in it."""

_NAME = re.compile(r"[A-Za-z0-9_.\-]+")


def element_key(key_added: str, settings: BinSettings, *, several: bool) -> str:
    """Return the first part of the names of the elements of one resolution."""
    return f"{key_added}_{settings.pitch:g}um" if several else key_added


def check_target(data: Any, key_added: str, ladder: Sequence[BinSettings], *, cells: bool) -> None:
    """Refuse, before long work, what cannot be written into.

    Raises
    ------
    InputTypeError
        `data` is no SpatialData.
    InputError
        Cells are binned, a column would be overwritten, or an element exists.
    """
    if not is_spatialdata(data):
        raise InputTypeError(
            f"key_added={key_added!r} with {type(data).__name__}.",
            allowed="key_added with a SpatialData only",
            remedy="leave key_added out; the table is returned.",
        )
    if cells:
        raise InputError(
            f"key_added={key_added!r} with a table of cells, whose coordinates belong to no coordinate system.",
            allowed="key_added with points",
            remedy="bin the points, or leave key_added out; the table is returned.",
        )
    taken = sorted({REGION, INSTANCE} & {*ladder[0].carry, ladder[0].sample_key})
    if taken:
        raise InputError(
            f"the columns {listed(taken)} in carry or sample_key.",
            allowed=f"other columns than {REGION!r} and {INSTANCE!r}, which tie the table to its shapes",
            remedy="rename the column, or leave key_added out.",
        )
    keys = [element_key(key_added, s, several=len(ladder) > 1) for s in ladder]
    _check_free(data, [*(f"{k}_table" for k in keys), *([] if ladder[0].sample_key else keys)])


def write_elements(
    data: "SpatialData", key_added: str, results: Sequence[tuple[BinSettings, AnnData]], sources: Sequence[Source]
) -> None:
    """Add the spots of every resolution to `data`: all of them, or after any failure none.

    Raises
    ------
    InputError
        An element exists, a name is no name for an element, or the place of a sample is not determined.
    """
    elements: dict[str, Any] = {}
    for settings, table in results:
        key = element_key(key_added, settings, several=len(results) > 1)
        elements.update(
            _elements(key, table, settings, lambda sample: _transformations(data, _source_of(sample, sources)))
        )
    _check_free(data, list(elements))
    with ExitStack() as undo:
        for name, element in elements.items():
            undo.callback(_remove, data, name)
            data[name] = element
        undo.pop_all()


def _elements(
    key: str, table: AnnData, settings: BinSettings, places_of: Callable[[str], Mapping[str, Any]]
) -> dict[str, Any]:
    from spatialdata.models import ShapesModel, TableModel

    by_sample = [("", key)]
    if settings.sample_key is not None:
        names = table.obs[settings.sample_key].cat.categories
        by_sample = [(name, f"{key}_{name}") for name in names]
    region = np.empty(table.n_obs, dtype=object)
    elements: dict[str, Any] = {}
    for sample, name in by_sample:
        rows = slice(None) if settings.sample_key is None else (table.obs[settings.sample_key] == sample).to_numpy()
        region[rows] = name
        outlines = _outlines(table.obsm[slots.SPATIAL][rows], settings)
        outlines.index = pd.Index(table.obs_names[rows].astype(str), name=None)
        elements[name] = ShapesModel.parse(outlines, transformations=places_of(sample))
    table.obs[REGION] = pd.Categorical(region)
    table.obs[INSTANCE] = table.obs_names.astype(str).to_numpy()
    names = [name for _, name in by_sample]
    elements[f"{key}_table"] = TableModel.parse(table, region=names, region_key=REGION, instance_key=INSTANCE)
    return elements


def _outlines(centers: np.ndarray, settings: BinSettings) -> gpd.GeoDataFrame:
    """Return the spots in µm: circles as centres and radii, other shapes as polygons."""
    if settings.shape == "hex":
        radius = float(settings.spot_diameter or 0.0) / 2
        return gpd.GeoDataFrame({"radius": np.full(len(centers), radius)}, geometry=shapely.points(centers))
    corners = Lattice(settings.shape, float(settings.pitch), angle=float(settings.angle)).outline()
    return gpd.GeoDataFrame(geometry=shapely.polygons(centers[:, None, :] + corners[None]))


def _source_of(sample: str, sources: Sequence[Source]) -> Source:
    found = [s for s in sources if s.table.element == sample and s.columns.sample is None] or list(sources)
    if len(found) > 1:
        raise InputError(
            f"the sample {sample!r} of {len(found)} points elements.",
            allowed="samples of one points element, or one for each element",
            remedy="pass points_key= and bin the elements one by one.",
        )
    return found[0]


def _transformations(data: "SpatialData", source: Source) -> Mapping[str, Any]:
    """Return for every coordinate system of the molecules the way there from µm."""
    from spatialdata.transformations import Affine, Identity, get_transformation

    axes = ("x", "y")
    here = np.eye(3) if source.table.affine is None else source.table.affine
    from_microns = np.linalg.inv(here) @ np.diag([1 / source.unit, 1 / source.unit, 1.0])
    ways: dict[str, Any] = {}
    for system, way in get_transformation(data.points[source.table.element], get_all=True).items():
        matrix = np.asarray(way.to_affine_matrix(axes, axes)) @ from_microns
        ways[system] = Identity() if np.allclose(matrix, np.eye(3), atol=1e-12) else Affine(matrix, axes, axes)
    return ways


def _check_free(data: "SpatialData", names: Sequence[str]) -> None:
    wrong = [name for name in names if not _NAME.fullmatch(name)]
    if wrong:
        raise InputError(
            f"the names of elements {listed(wrong)}.",
            allowed="letters, digits, '_', '-' and '.'",
            remedy="pass another key_added; rename the samples.",
        )
    known = {name for _, name, _ in data.gen_elements()}
    taken = [name for name in names if name in known]
    if taken:
        raise InputError(
            f"a SpatialData that has the elements {listed(taken)}.",
            allowed="names that are free; elements are never overwritten",
            remedy="pass another key_added, or delete them first: del sdata[name].",
        )


def _remove(data: "SpatialData", name: str) -> None:
    if any(name == known for _, known, _ in data.gen_elements()):
        del data[name]
