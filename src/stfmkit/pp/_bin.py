"""Molecules or cells to spots of a grid."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from anndata import AnnData

from stfmkit._core import slots
from stfmkit._core.errors import InputError
from stfmkit._data.view import is_spatialdata, resolve_table
from stfmkit.pp._binning.cells import bin_table
from stfmkit.pp._binning.columns import as_keys
from stfmkit.pp._binning.count import bin_sources
from stfmkit.pp._binning.output import check_target, to_anndata, write_elements
from stfmkit.pp._binning.plan import BinSettings
from stfmkit.pp._binning.sources import open_molecules, open_sources
from stfmkit.pp._grids import Grid, as_grids

if TYPE_CHECKING:
    from pathlib import Path

    import dask.dataframe as dd
    import pandas as pd
    import pyarrow as pa
    import shapely
    from spatialdata import SpatialData

    from stfmkit.pp._binning.sources import Source


class BinOptions(TypedDict, total=False):
    """The keyword arguments of `bin`, for functions that pass them on."""

    columns: Mapping[str, str] | None
    sample_key: str | None
    points_key: str | Sequence[str] | None
    table_key: str | None
    coordinate_system: str | None
    spatial_key: str
    layer: str | None
    microns_per_unit: float | None
    min_qv: float | None
    drop_controls: bool
    control_key: str | None
    mask: "shapely.Polygon | shapely.MultiPolygon | Mapping[str, Any] | Literal['computed'] | None"
    min_inside: float
    carry: str | Sequence[str]
    chunk_size: int
    key_added: str | None
    show_progress: bool


def bin(  # noqa: A001  the name that users know
    data: "SpatialData | AnnData | pd.DataFrame | pa.Table | dd.DataFrame | Path | str",
    grid: Grid | Sequence[Grid],
    *,
    columns: Mapping[str, str] | None = None,
    sample_key: str | None = None,
    points_key: str | Sequence[str] | None = None,
    table_key: str | None = None,
    coordinate_system: str | None = None,
    spatial_key: str = slots.SPATIAL,
    layer: str | None = None,
    microns_per_unit: float | None = None,
    min_qv: float | None = 20,
    drop_controls: bool = True,
    control_key: str | None = None,
    mask: "shapely.Polygon | shapely.MultiPolygon | Mapping[str, Any] | Literal['computed'] | None" = "computed",
    min_inside: float = 0.5,
    carry: str | Sequence[str] = (),
    chunk_size: int = 1 << 20,
    key_added: str | None = None,
    show_progress: bool = True,
) -> Any:
    r"""Count molecules in the spots of a grid.

    Positions belong to the nearest centre; on a border, to the cell with the larger row, then the larger column
    (cells are half-open). Circles hold molecules up to and with the distance ``diameter / 2``. Every molecule is
    counted once or accounted for, and partial spots are flagged or dropped, never rescaled.

    Parameters
    ----------
    data
        Molecules: a pandas DataFrame, a pyarrow Table, a dask DataFrame (read by partition), the path of a parquet
        file or of a folder of them (read in batches), or the points of a SpatialData. Or cells: an AnnData with raw
        counts, or a SpatialData with `table_key`; all counts of a cell go to the spot that holds its centroid.
        Molecules are read `chunk_size` at a time with several threads, and are never all in memory; once where the
        footers of parquet files state their box, and else twice. Dask collections are read on the cluster of the
        active `distributed` client, if there is one. The result is the same, bit by bit.
    grid
        `HexGrid` (circles as Visium's, or hexagons), `SquareGrid`, or `SpotGrid` (circles at the spots of another
        table). Several grids in a list are counted in one pass over the molecules.
    columns
        Names of the columns of molecules, such as ``{"x": "x_um", "y": "y_um", "gene": "target"}``; keys are "x",
        "y", "gene", "qv" and "cell". Left out, the names of Xenium (``x_location``, ``y_location``,
        ``feature_name``, ``qv``, ``cell_id``), CosMx (``x_global_px``, ``y_global_px``, ``target``, ``cell_ID`` with
        ``fov``), MERSCOPE (``global_x``, ``global_y``, ``gene``, ``cell_id``) and plain ``x``, ``y``, ``gene``,
        ``qv``, ``cell_id`` are recognised. Cells named "UNASSIGNED", "-1", "" (in ``cell_ID`` also 0) or null are no
        cells.
    sample_key
        Column with the sample (section, slide); each sample gets its own grid. With several points elements and no
        such column, the names of the elements are the samples, in a column of this name.
    points_key
        Points element or elements of a SpatialData; may be left out if one holds molecules, or with `sample_key`.
    table_key
        Table of a SpatialData; its cells are binned instead of its points.
    coordinate_system
        Coordinate system of a SpatialData to which points are transformed first; may be left out where a points
        element has only one.
    spatial_key
        Key of the coordinates in ``obsm``; read for cells only.
    layer
        Layer with raw counts, None for ``X``; read for cells only.
    microns_per_unit
        Length of one coordinate unit in µm. Needed, unless the columns are in µm by definition (Xenium's
        ``x_location``, MERSCOPE's ``global_x``) or the data declare it: an AnnData in
        ``uns["stfmkit"]["microns_per_unit"]``; a SpatialData for its coordinate systems in
        ``attrs["stfmkit"]["microns_per_unit"]``, or, for points that are not transformed, in all its tables.
    min_qv
        Leave out molecules of lower quality; None takes all. Without a column of qualities all are taken, and
        ``uns["stfmkit"]["bin"]["qv"]`` is None.
    drop_controls
        Leave control probes and codewords out of ``X``; they are counted in ``obs["n_control"]``.
    control_key
        Column (of ``var`` for cells) that is true for control features. Left out, Xenium's ``codeword_category`` or
        ``is_gene`` is used if there is one, and else the exact names of the platforms' controls.
    mask
        Where the tissue is. "computed": the union of discs of radius 50 µm around the molecules, shrunk by 50 µm,
        without pieces below 8660 µm², on a raster of 5 µm. A shapely polygon in µm, or a mapping from samples to
        masks. None: everything is tissue.
    min_inside
        Drop spots with a smaller share of their area in the mask.
    carry
        Columns of labels to carry over by majority; the first in alphabetical order wins a tie, and molecules
        without a label (null, "" or "UNASSIGNED") do not vote.
    chunk_size
        Number of molecules that a thread reads at a time; the result does not depend on it.
    key_added
        With the points of a SpatialData: add the spots to it as shapes `key_added` (with `sample_key`, one element
        ``f"{key_added}_{sample}"`` for each sample) and the table ``f"{key_added}_table"`` that describes them. They
        lie in all coordinate systems of the points. With several grids, the names begin with
        ``f"{key_added}_{pitch:g}um"``. Existing elements are never overwritten, and after a failure or an interrupt
        none is left behind. What is on disk is not changed: see ``sdata.write_element``.
    show_progress
        Show a progress bar where the work takes longer than two seconds.

    Returns
    -------
    A new table of the spots with at least one count, by sample, row and column; with several grids, a list of tables
    in their order; with `key_added`, None.

    ``X``
        CSR int32 counts (n_spots, n_genes); genes are all names seen, sorted.
    ``obs["array_row"]``, ``obs["array_col"]``
        Non-negative; in hexagonal grids row + column is even, so that squidpy's grid neighbours work.
    ``obs["total_counts"]``, ``obs["n_genes"]``
        Counts, and genes with a count.
    ``obs["n_control"]``, ``obs["control_rate"]``
        Controls in the spot, and their share of its molecules.
    ``obs["frac_inside"]``, ``obs["border"]``
        Share of the area in the mask; whether a neighbour in the grid (6, or 4 of squares) is missing.
    ``obs["n_cells"]``, ``obs["frac_unassigned"]``
        Where cells are known: those whose centroid (the mean position of their counted molecules) lies in the spot,
        and the share of molecules without a cell.
    ``obs[sample_key]``, ``obs[column]``, ``obsm[f"{column}_share"]``
        Sample; majority of each column in `carry`, and the float32 shares of its levels (n_spots, n_levels), zeros
        where nothing is labelled.
    ``obsm["spatial"]``
        Centres in µm.
    ``uns["stfmkit"]["bin"]``
        Parameters, names of the levels, and ``molecules``: how many were read, and went where; ``read`` is the sum of
        ``low_qv``, ``control``, ``outside_spots``, ``in_dropped_spots`` and ``kept``, in this order of precedence.

    Raises
    ------
    UnitsError
        The unit of the positions is not known, or that of some samples is another one: they are several times wider
        than all others, and sparser by the square of that.
    MissingKeyError
        A column is not there or not recognised.
    InputError
        Positions, names or qualities are missing; samples overlap without `sample_key`; a file cannot be read;
        arguments do not fit together; or no spot is left.
    InputTypeError
        `data` holds neither molecules nor cells, or `grid` is no grid.

    Notes
    -----
    The geometry of Visium is ``HexGrid(pitch=100, diameter=55)``: spots of 55 µm, 100 µm apart, rows 100 · √3/2 µm
    apart. Circles hold π · 27.5² / 8660 = 27.4 % of the tissue.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import stfmkit as sk
    >>> rng = np.random.default_rng(0)
    >>> molecules = pd.DataFrame(rng.uniform(0, 500, size=(5000, 2)), columns=["x", "y"])
    >>> molecules["gene"] = rng.choice(["ACTB", "NANOG", "BLANK_0001"], size=5000)
    >>> spots = sk.pp.bin(molecules, sk.pp.SquareGrid(100), microns_per_unit=1.0)
    >>> spots.shape
    (25, 2)
    >>> {k: v for k, v in spots.uns["stfmkit"]["bin"]["molecules"].items() if v}
    {'read': 5000, 'control': 1656, 'kept': 3344}
    >>> fine, coarse = sk.pp.bin(molecules, [sk.pp.SquareGrid(50), sk.pp.SquareGrid(100)], microns_per_unit=1.0)
    >>> fine.n_obs, coarse.n_obs
    (100, 25)
    """
    grids = as_grids(grid)
    settings = BinSettings(
        sample_key=sample_key,
        spatial_key=spatial_key,
        microns_per_unit=microns_per_unit,
        min_qv=min_qv,
        drop_controls=drop_controls,
        mask=mask,
        min_inside=min_inside,
        carry=(carry,) if isinstance(carry, str) else tuple(carry),
        chunk_size=chunk_size,
        show_progress=show_progress,
    )
    cells = isinstance(data, AnnData) or (is_spatialdata(data) and table_key is not None)
    if key_added is not None:
        check_target(data, key_added, settings, grids, cells=cells)
    sources: list[Source] = []
    if cells:
        _refuse(data, "cells", columns=columns, points_key=points_key, coordinate_system=coordinate_system)
        table = resolve_table(data, table_key=table_key)
        binned = [bin_table(table, settings, item, layer=layer, control_key=control_key) for item in grids]
    else:
        _refuse(data, "molecules", table_key=table_key, layer=layer)
        keys = as_keys(columns, sample_key=sample_key, control_key=control_key, carry=settings.carry)
        tables = open_molecules(data, points_key=points_key, coordinate_system=coordinate_system, sample_key=sample_key)
        sources = open_sources(tables, keys, with_qv=min_qv is not None, microns_per_unit=microns_per_unit)
        binned = bin_sources(sources, settings, grids)
    results = [to_anndata(counts, settings, item) for counts, item in zip(binned, grids, strict=True)]
    if key_added is not None:
        pairs = list(zip(grids, results, strict=True))
        write_elements(data, key_added, pairs, settings=settings, sources=sources)
        return None
    return results[0] if grids == (grid,) else results


def _refuse(data: object, what: str, **options: object) -> None:
    for name, value in options.items():
        if value is not None:
            raise InputError(
                f"{name}={value!r} with {what} ({type(data).__name__}).",
                allowed=f"{name} with {'molecules' if what == 'cells' else 'cells'} only",
                remedy=f"leave {name} out.",
            )
