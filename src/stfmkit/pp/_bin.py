"""Molecules or cells to spots on a lattice."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from anndata import AnnData

from stfmkit._core import slots
from stfmkit._core.errors import InputError
from stfmkit._data.view import is_spatialdata, resolve_table
from stfmkit.pp._binning._bin_cells import bin_table
from stfmkit.pp._binning._bin_molecules import bin_sources
from stfmkit.pp._binning._columns import MoleculeKeys
from stfmkit.pp._binning._elements import check_target, write_elements
from stfmkit.pp._binning._molecules import open_molecules
from stfmkit.pp._binning._result import to_anndata
from stfmkit.pp._binning._settings import BinSettings, make_ladder
from stfmkit.pp._binning._source import open_sources

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import dask.dataframe as dd
    import pandas as pd
    import pyarrow as pa
    import shapely
    from spatialdata import SpatialData

    from stfmkit.pp._binning._source import Source


def bin(  # noqa: A001  the name that users know
    data: "SpatialData | AnnData | pd.DataFrame | pa.Table | dd.DataFrame | Path | str",
    *,
    shape: Literal["hex", "hex_gapless", "square"],
    pitch: float | None = None,
    resolutions: Sequence[float] = (),
    spot_diameter: float | None = None,
    x_key: str | None = None,
    y_key: str | None = None,
    gene_key: str | None = None,
    qv_key: str | None = None,
    cell_key: str | None = None,
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
    origin: tuple[float, float] | Literal["bbox", "centroid"] = "bbox",
    angle: float = 0.0,
    like: AnnData | None = None,
    mask: "shapely.Polygon | shapely.MultiPolygon | Mapping[str, Any] | Literal['computed'] | None" = "computed",
    min_inside: float = 0.5,
    carry: Sequence[str] = (),
    hest_compat: bool = False,
    chunk_size: int = 1 << 20,
    key_added: str | None = None,
    show_progress: bool = True,
) -> Any:
    r"""Count molecules in the spots of a lattice.

    Positions belong to the nearest centre; on a border, to the cell with the larger row, then the larger column
    (cells are half-open). Circles hold molecules up to and with the distance ``spot_diameter / 2``. Every molecule
    is counted once or accounted for, and partial spots are flagged or dropped, never rescaled.

    Parameters
    ----------
    data
        Molecules: a pandas DataFrame, a pyarrow Table, a dask DataFrame (read by partition), the path of a parquet
        file or of a folder of them (read in batches), or the points of a SpatialData. Or cells: an AnnData with raw
        counts, or a SpatialData with `table_key`; all counts of a cell go to the spot that holds its centroid.
        Molecules are read `chunk_size` at a time with several threads, and are never all in memory; once where the
        footers of parquet files state their box, and else twice. Dask collections are read on the cluster of the
        active `distributed` client, if there is one. The result is the same, bit by bit.
    shape
        "hex": circles of `spot_diameter` on a hexagonal lattice, as Visium's; "hex_gapless": hexagons that fill the
        plane, on the same lattice; "square": squares of side `pitch`.
    pitch
        Distance of neighbouring centres in µm.
    resolutions
        Several pitches instead of one, counted in one pass over the molecules; for "square" and "hex_gapless". Their
        lattices share `origin` and `angle`, so squares of 8 µm nest in those of 16 µm.
    spot_diameter
        Diameter of the circles in µm; with "hex" only, and needed there.
    x_key, y_key, gene_key, qv_key, cell_key
        Columns of the molecules. Left out, the names of Xenium (``x_location``, ``y_location``, ``feature_name``,
        ``qv``, ``cell_id``), CosMx (``x_global_px``, ``y_global_px``, ``target``, ``cell_ID`` with ``fov``), MERSCOPE
        (``global_x``, ``global_y``, ``gene``, ``cell_id``) and plain ``x``, ``y``, ``gene``, ``qv``, ``cell_id`` are
        recognised. Cells named "UNASSIGNED", "-1", "" (in ``cell_ID`` also 0) or null are no cells.
    sample_key
        Column that tells samples apart; each gets its own lattice. With several points elements and no such column,
        the names of the elements are the samples, in a column of this name.
    points_key
        Points element or elements of a SpatialData; may be left out if one holds molecules, or with `sample_key`.
    table_key
        Table of cells of a SpatialData, binned instead of its points.
    coordinate_system
        Coordinate system of a SpatialData to which points are transformed first; may be left out where a points
        element has only one.
    spatial_key
        Coordinates of cells, and of `like`, in ``obsm``.
    layer
        Layer with the raw counts of cells; ``X`` by default.
    microns_per_unit
        Length of one unit of the positions in µm. Needed, unless the columns are in µm by definition (Xenium's
        ``x_location``, MERSCOPE's ``global_x``) or the data declare it: an AnnData in
        ``uns["stfmkit"]["microns_per_unit"]``; a SpatialData for its coordinate systems in
        ``attrs["stfmkit"]["microns_per_unit"]``, or, for points that are not transformed, in all its tables.
    min_qv
        Molecules of lower quality are left out; ``None`` takes all. Without a column of qualities all are taken, and
        ``uns["stfmkit"]["bin"]["qv"]`` says "absent".
    drop_controls
        Leave control probes and codewords out of ``X``; they are counted in ``obs["n_control"]``.
    control_key
        Column (of ``var`` for cells) that is true for controls. Left out, Xenium's ``codeword_category`` or
        ``is_gene`` is used if there is one, and else the exact names of the platforms' controls.
    origin
        Position in µm of the centre of the spot (0, 0), or of its lower corner for squares. "bbox": the least x and
        y of all molecules of the sample, whatever their quality; "centroid": their mean.
    angle
        Degrees by which the lattice is turned around `origin`, from the x axis towards the y axis.
    like
        Put circles of `spot_diameter` at the places of the spots of this table instead of on a lattice. Its unit is
        the one stored in it, else `microns_per_unit`. Names and ``array_row``, ``array_col`` are taken over.
    mask
        Where the tissue is. "computed": the union of discs of radius 50 µm around the molecules, shrunk by 50 µm,
        without pieces below 8660 µm², on a raster of 5 µm. A shapely polygon in µm, or a mapping from samples to
        masks. ``None``: everything is tissue.
    min_inside
        Spots with a smaller share of their area in the mask are dropped.
    carry
        Columns of labels to carry over by majority; the first in alphabetical order wins a tie, and molecules
        without a label (null, "" or "UNASSIGNED") do not vote.
    hest_compat
        Bin as HEST does for Xenium: squares of 100 µm from the corner of the bounding box, all qualities (so a gene
        may be noise), controls as genes, no mask (slivers at the edge count as whole spots), spots with at least one
        count; a square is 4.2 times the area of a Visium spot. `min_qv`, `drop_controls`, `mask` and `min_inside`
        are overruled. Not taken over are the wrap of a molecule on the far edge into the next row of squares, where
        the extent is a multiple of 100 µm, and the overflow of counts above 65535.
    chunk_size
        Number of molecules that a thread reads at a time; the result does not depend on it.
    key_added
        With the points of a SpatialData: add the spots to it as shapes `key_added` (with `sample_key`, one element
        ``f"{key_added}_{sample}"`` for each sample) and the table ``f"{key_added}_table"`` that describes them. They
        lie in all coordinate systems of the points. With `resolutions`, the names begin with
        ``f"{key_added}_{pitch:g}um"``. Existing elements are never overwritten, and after a failure or an interrupt
        none is left behind. What is on disk is not changed: see ``sdata.write_element``.
    show_progress
        Show a bar when it takes longer than two seconds.

    Returns
    -------
    A new table of the spots with at least one count, by sample, row and column; with `resolutions`, a dictionary of
    tables by pitch; with `key_added`, ``None``.

    ``X``
        CSR int32 counts (n_spots, n_genes); genes are all names seen, sorted.
    ``obs["array_row"]``, ``obs["array_col"]``
        Non-negative; in hexagonal lattices row + column is even, so that squidpy's grid neighbours work.
    ``obs["total_counts"]``, ``obs["n_genes"]``
        Counts, and genes with a count.
    ``obs["n_control"]``, ``obs["control_rate"]``
        Controls in the spot, and their share of its molecules.
    ``obs["frac_inside"]``, ``obs["border"]``
        Share of the area in the mask; whether a neighbour in the lattice (6, or 4 of squares) is missing.
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
        `data` holds neither molecules nor cells.

    Notes
    -----
    The geometry is that of 10x Visium: spots of 55 µm, 100 µm apart, rows 100 · √3/2 µm apart. Circles hold
    π · 27.5² / 8660 = 27.4 % of the tissue.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> molecules = pd.DataFrame(rng.uniform(0, 500, size=(5000, 2)), columns=["x", "y"])
    >>> molecules["gene"] = rng.choice(["ACTB", "NANOG", "BLANK_0001"], size=5000)
    >>> spots = bin(molecules, shape="square", pitch=100, microns_per_unit=1.0)
    >>> spots.shape
    (25, 2)
    >>> {k: v for k, v in spots.uns["stfmkit"]["bin"]["molecules"].items() if v}
    {'read': 5000, 'control': 1656, 'kept': 3344}
    >>> ladder = bin(molecules, shape="square", resolutions=[50, 100], microns_per_unit=1.0)
    >>> {pitch: table.n_obs for pitch, table in ladder.items()}
    {50: 100, 100: 25}
    """
    settings = BinSettings(
        shape=shape,
        pitch=100.0 if pitch is None else pitch,
        spot_diameter=spot_diameter,
        origin=origin,
        angle=angle,
        like=like,
        mask=mask,
        min_inside=min_inside,
        min_qv=min_qv,
        drop_controls=drop_controls,
        carry=_as_tuple(carry),
        sample_key=sample_key,
        spatial_key=spatial_key,
        microns_per_unit=microns_per_unit,
        hest_compat=hest_compat,
        chunk_size=chunk_size,
        show_progress=show_progress,
    )
    ladder = make_ladder(settings, pitch, resolutions)
    keys = MoleculeKeys(x_key, y_key, gene_key, qv_key, cell_key, sample_key, control_key, ladder[0].carry)
    cells = isinstance(data, AnnData) or (is_spatialdata(data) and table_key is not None)
    if key_added is not None:
        check_target(data, key_added, ladder, cells=cells)
    sources: list[Source] = []
    if cells:
        _refuse(data, "cells", x_key=x_key, y_key=y_key, gene_key=gene_key, qv_key=qv_key, cell_key=cell_key)
        _refuse(data, "cells", points_key=points_key, coordinate_system=coordinate_system)
        table = resolve_table(data, table_key=table_key)
        binned = [bin_table(table, step, layer=layer, control_key=control_key) for step in ladder]
    else:
        _refuse(data, "molecules", table_key=table_key, layer=layer)
        tables = open_molecules(data, points_key=points_key, coordinate_system=coordinate_system, sample_key=sample_key)
        sources = open_sources(tables, keys, ladder[0])
        binned = bin_sources(sources, ladder)
    results = [to_anndata(counts, step) for counts, step in zip(binned, ladder, strict=True)]
    if key_added is not None:
        write_elements(data, key_added, list(zip(ladder, results, strict=True)), sources)
        return None
    return dict(zip(resolutions, results, strict=True)) if len(resolutions) else results[0]


def _as_tuple(carry: Sequence[str]) -> tuple[str, ...]:
    return (carry,) if isinstance(carry, str) else tuple(carry)


def _refuse(data: object, what: str, **options: object) -> None:
    for name, value in options.items():
        if value is not None:
            raise InputError(
                f"{name}={value!r} with {what} ({type(data).__name__}).",
                allowed=f"{name} with {'molecules' if what == 'cells' else 'cells'} only",
                remedy=f"leave {name} out.",
            )
