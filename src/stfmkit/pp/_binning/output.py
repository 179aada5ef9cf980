"""From counts by spot to the table that `bin` returns, and to elements of a SpatialData."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import shapely
from anndata import AnnData
from scipy import sparse

from stfmkit._core import slots
from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError, InputTypeError
from stfmkit._data.view import is_spatialdata
from stfmkit._data.write_slots import package_versions
from stfmkit._kernels._row_sums import keep_rows
from stfmkit.pp._binning.plan import BinSettings, Sample
from stfmkit.pp._binning.sources import Source
from stfmkit.pp._grids import Grid, SpotGrid

if TYPE_CHECKING:
    import geopandas as gpd
    from spatialdata import SpatialData

REGION, INSTANCE = "region", "instance_id"
"""Columns of the table that name the shapes element, and the spot in it."""

_NAME = re.compile(r"[A-Za-z0-9_.\-]+")


@dataclass(frozen=True, eq=False)
class Binned:
    """What was counted in the spots that hold something.

    Attributes
    ----------
    samples
        In the order of their spots.
    numbers
        Numbers of the spots (n,), ascending.
    counts
        Counts (n, genes).
    genes
        Names of the columns, sorted.
    is_control
        Which columns are controls, or None where there are none.
    n_control
        Controls in every spot (n,).
    n_cells
        Cells in every spot (n,), or None.
    unassigned
        Molecules of every spot (n,) without a cell, or None.
    shares
        For every carried column its levels, sorted, and their counts (n, levels).
    molecules
        How many were read and left out, and why.
    qv
        The column of quality values that was read, or None.
    """

    samples: list[Sample]
    numbers: np.ndarray
    counts: sparse.csr_array
    genes: list[str]
    is_control: np.ndarray | None
    n_control: np.ndarray
    n_cells: np.ndarray | None
    unassigned: np.ndarray | None
    shares: dict[str, tuple[list[str], sparse.csr_array]]
    molecules: dict[str, int]
    qv: str | None


def to_anndata(binned: Binned, settings: BinSettings, grid: Grid) -> AnnData:
    """Drop empty spots and those with too little tissue, and describe the rest.

    Raises
    ------
    InputError
        No spot is left.
    """
    totals = np.asarray(binned.counts.sum(axis=1), dtype=np.int64)
    share = _shares_inside(binned)
    filled = totals > 0
    keep = filled & (share >= settings.min_inside)
    if not keep.any():
        raise InputError(
            f"no spot left: {int(filled.sum())} hold molecules, and {binned.molecules} were read and left out.",
            allowed=f"at least one spot with a molecule and frac_inside ≥ {settings.min_inside:g}",
            remedy="check microns_per_unit and min_qv; pass mask=None or a lower min_inside for sparse molecules.",
        )
    rows = np.flatnonzero(keep)
    numbers = binned.numbers[rows]
    counts = _kept_rows(binned.counts, rows)
    pieces = [p for p in (_describe(s, numbers, settings) for s in binned.samples) if len(p)]
    described = pd.concat(pieces, ignore_index=True) if len(pieces) > 1 else pieces[0]
    obs = described.drop(columns=["x", "y", "name"])
    obs.index = pd.Index(described["name"].to_numpy(), dtype=object)
    border = obs.pop("border").to_numpy()
    n_control, total = binned.n_control[rows], totals[rows]
    everything = total if binned.is_control is not None else total + n_control
    obs["total_counts"] = total
    obs["n_genes"] = np.diff(counts.indptr).astype(np.int64)
    obs["n_control"] = n_control
    obs["control_rate"] = n_control / everything
    obs["frac_inside"] = share[rows]
    obs["border"] = border
    if binned.n_cells is not None:
        obs["n_cells"] = binned.n_cells[rows]
    if binned.unassigned is not None:
        obs["frac_unassigned"] = binned.unassigned[rows] / total
    if settings.sample_key is not None:
        obs[settings.sample_key] = pd.Categorical(obs.pop("_sample"))
    else:
        obs = obs.drop(columns="_sample")
    var = pd.DataFrame(index=pd.Index(binned.genes, dtype=object))
    if binned.is_control is not None:
        var["is_control"] = binned.is_control
    out = AnnData(counts, obs=obs, var=var)
    out.obsm[slots.SPATIAL] = described[["x", "y"]].to_numpy(dtype=np.float64)
    for key, (levels, matrix) in binned.shares.items():
        out.obs[key], out.obsm[f"{key}_share"] = _majority(levels, matrix[rows])
    out.uns[slots.ROOT] = {slots.MICRONS: 1.0, "bin": _params(binned, settings, grid, totals=totals, keep=keep)}
    return out


def _kept_rows(counts: sparse.csr_array, rows: np.ndarray) -> sparse.csr_matrix:
    """Return some rows of a matrix that nobody else needs, where they are: it may be most of the memory."""
    data, indices, indptr = counts.data.astype(np.int32, copy=False), counts.indices, counts.indptr
    if len(rows) < counts.shape[0]:
        n, indptr = keep_rows(data, indices, indptr, rows)
        data, indices = data[:n], indices[:n]
        if 2 * n < len(counts.data):
            data, indices = data.copy(), indices.copy()
    return sparse.csr_matrix((data, indices, indptr), shape=(len(rows), counts.shape[1]))


def _shares_inside(binned: Binned) -> np.ndarray:
    share = np.ones(len(binned.numbers))
    for sample in binned.samples:
        rows = _rows_of(sample, binned.numbers)
        if rows.stop > rows.start:
            centers = sample.spots.centers(binned.numbers[rows] - sample.base)
            share[rows] = sample.mask.share(np.ascontiguousarray(centers), sample.spots.lattice)
    return share


def _rows_of(sample: Sample, numbers: np.ndarray) -> slice:
    first, last = np.searchsorted(numbers, [sample.base, sample.base + sample.spots.size])
    return slice(int(first), int(last))


def _describe(sample: Sample, numbers: np.ndarray, settings: BinSettings) -> pd.DataFrame:
    """Return names, indices and positions of the spots of one sample."""
    local = numbers[_rows_of(sample, numbers)] - sample.base
    centers = sample.spots.centers(local)
    table = {}
    index = sample.spots.array_index(local)
    if index is not None:
        table = {"array_row": index[0], "array_col": index[1]}
    names = sample.spots.names(local)
    if names is None:
        prefix = f"{sample.name}_" if settings.sample_key is not None else ""
        first, second = (pd.factorize(numbers) for numbers in index or ())
        names = np.array([f"{prefix}r{r:03d}" for r in first[1].tolist()], dtype=object)[first[0]]
        names = names + np.array([f"_c{c:03d}" for c in second[1].tolist()], dtype=object)[second[0]]
    return pd.DataFrame(
        {
            "name": names,
            "x": centers[:, 0],
            "y": centers[:, 1],
            **table,
            "border": sample.spots.border(local) if len(local) else np.empty(0, bool),
            "_sample": sample.name,
        }
    )


def _majority(levels: list[str], counts: sparse.csr_array) -> tuple[pd.Categorical, np.ndarray]:
    """Return the most frequent level of every spot (the first of equals), and the share of each (n, levels)."""
    dense = counts.toarray()
    total = dense.sum(axis=1, keepdims=True)
    codes = np.where(total[:, 0] > 0, dense.argmax(axis=1) if levels else 0, -1)
    share = np.divide(dense, total, out=np.zeros(dense.shape), where=total > 0)
    return pd.Categorical.from_codes(codes, categories=pd.Index(levels, dtype=object)), share.astype(np.float32)


def _params(
    binned: Binned, settings: BinSettings, grid: Grid, *, totals: np.ndarray, keep: np.ndarray
) -> dict[str, Any]:
    filled = totals > 0
    return {
        "shape": grid.shape,
        "pitch": float(grid.pitch),
        "diameter": None if grid.diameter is None else float(grid.diameter),
        "angle": float(grid.angle),
        "samples": np.asarray([s.name for s in binned.samples], dtype=object),
        "origin": np.array([s.spots.lattice.origin for s in binned.samples]),
        "placed_by": "table" if isinstance(grid, SpotGrid) else str(grid.origin),
        "mask": settings.mask if settings.mask is None or isinstance(settings.mask, str) else "polygon",
        "min_inside": float(settings.min_inside),
        "drop_controls": settings.drop_controls,
        "qv": binned.qv,
        "min_qv": None if settings.min_qv is None else float(settings.min_qv),
        "molecules": {
            **binned.molecules,
            "in_dropped_spots": int(totals[~keep].sum()),
            "kept": int(totals[keep].sum()),
        },
        "spots": {
            "with_molecules": int(filled.sum()),
            "below_min_inside": int((filled & ~keep).sum()),
            "kept": int(keep.sum()),
        },
        "levels": {key: np.asarray(levels, dtype=object) for key, (levels, _) in binned.shares.items()},
        "versions": package_versions("numpy", "numba"),
    }


def element_key(key_added: str, grid: Grid, *, several: bool) -> str:
    """Return the first part of the names of the elements of one grid."""
    return f"{key_added}_{grid.pitch:g}um" if several else key_added


def check_target(data: Any, key_added: str, settings: BinSettings, grids: Sequence[Grid], *, cells: bool) -> None:
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
    taken = sorted({REGION, INSTANCE} & {*settings.carry, settings.sample_key})
    if taken:
        raise InputError(
            f"the columns {listed(taken)} in carry or sample_key.",
            allowed=f"other columns than {REGION!r} and {INSTANCE!r}, which tie the table to its shapes",
            remedy="rename the column, or leave key_added out.",
        )
    keys = [element_key(key_added, grid, several=len(grids) > 1) for grid in grids]
    if len(set(keys)) < len(keys):
        raise InputError(
            f"several grids of one pitch with key_added={key_added!r}: {listed(grids)}.",
            allowed="grids of different pitches, which name the elements",
            remedy="call once for each grid, with another key_added.",
        )
    _check_free(data, [*(f"{k}_table" for k in keys), *([] if settings.sample_key else keys)])


def write_elements(
    data: "SpatialData",
    key_added: str,
    results: Sequence[tuple[Grid, AnnData]],
    *,
    settings: BinSettings,
    sources: Sequence[Source],
) -> None:
    """Add the spots of every grid to `data`: all of them, or after any failure none.

    Raises
    ------
    InputError
        An element exists, a name is no name for an element, or the place of a sample is not determined.
    """
    elements: dict[str, Any] = {}

    def to_systems(sample: str) -> Mapping[str, Any]:
        return _transformations(data, _source_of(sample, sources))

    for grid, table in results:
        key = element_key(key_added, grid, several=len(results) > 1)
        elements.update(_elements(key, table, grid, to_systems, sample_key=settings.sample_key))
    _check_free(data, list(elements))
    with ExitStack() as undo:
        for name, element in elements.items():
            undo.callback(_remove, data, name)
            data[name] = element
        undo.pop_all()


def _elements(
    key: str, table: AnnData, grid: Grid, to_systems: Callable[[str], Mapping[str, Any]], *, sample_key: str | None
) -> dict[str, Any]:
    from spatialdata.models import ShapesModel, TableModel

    by_sample = [("", key)]
    if sample_key is not None:
        names = table.obs[sample_key].cat.categories
        by_sample = [(name, f"{key}_{name}") for name in names]
    region = np.empty(table.n_obs, dtype=object)
    elements: dict[str, Any] = {}
    for sample, name in by_sample:
        rows = slice(None) if sample_key is None else (table.obs[sample_key] == sample).to_numpy()
        region[rows] = name
        outlines = _outlines(table.obsm[slots.SPATIAL][rows], grid)
        outlines.index = pd.Index(table.obs_names[rows].astype(str), name=None)
        elements[name] = ShapesModel.parse(outlines, transformations=to_systems(sample))
    table.obs[REGION] = pd.Categorical(region)
    table.obs[INSTANCE] = table.obs_names.astype(str).to_numpy()
    names = [name for _, name in by_sample]
    elements[f"{key}_table"] = TableModel.parse(table, region=names, region_key=REGION, instance_key=INSTANCE)
    return elements


def _outlines(centers: np.ndarray, grid: Grid) -> "gpd.GeoDataFrame":
    """Return the spots in µm: circles as centres and radii, other shapes as polygons."""
    import geopandas as gpd

    if grid.diameter is not None:
        return gpd.GeoDataFrame({"radius": np.full(len(centers), grid.diameter / 2)}, geometry=shapely.points(centers))
    corners = grid.lattice((0.0, 0.0)).outline()
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
