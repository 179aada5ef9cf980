"""Visium-like spots from imaging-based data."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from anndata import AnnData

from stfmkit._core import slots
from stfmkit.pp._bin import bin as bin_molecules

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import dask.dataframe as dd
    import pandas as pd
    import pyarrow as pa
    import shapely
    from spatialdata import SpatialData

PITCH = 100.0
"""Distance of neighbouring Visium spots, in µm."""

SPOT_DIAMETER = 55.0
"""Diameter of a Visium spot, in µm."""


def xisium(
    data: "SpatialData | AnnData | pd.DataFrame | pa.Table | dd.DataFrame | Path | str",
    *,
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
    chunk_size: int = 1 << 20,
    key_added: str | None = None,
    show_progress: bool = True,
) -> Any:
    """Count molecules or cells in spots with the geometry of Visium: 55 µm circles, 100 µm apart.

    The same as :func:`stfmkit.pp.bin` with ``shape="hex"``, ``pitch=100`` and ``spot_diameter=55``; see there for the
    parameters, the slots of the result and the errors. Such spots hold about 27 % of the molecules of a tissue.

    Parameters
    ----------
    data
        Molecules (SpatialData, DataFrame, pyarrow Table, dask DataFrame, path of a parquet file) or cells (AnnData).
    x_key, y_key, gene_key, qv_key, cell_key, sample_key, control_key
        Columns; recognised for the common platforms.
    points_key, table_key, coordinate_system
        Elements of a SpatialData, and the system that its points are transformed to.
    spatial_key, layer
        Coordinates and raw counts of a table of cells.
    microns_per_unit
        Length of one unit of the positions in µm.
    min_qv, drop_controls
        Which molecules count.
    origin, angle
        Where the lattice lies, in µm and degrees.
    like
        Real Visium spots of the same tissue, on the same frame: circles are put at their places.
    mask, min_inside
        Where the tissue is, and the least share of a spot in it.
    carry
        Columns to carry over by majority.
    chunk_size, show_progress
        Molecules that a thread reads at a time; whether to show a bar.
    key_added
        Add the spots to a SpatialData as shapes and a table, and return ``None``.

    Returns
    -------
    A new table of spots: ``X`` CSR int32 (n_spots, n_genes), ``obsm["spatial"]`` in µm; ``None`` with `key_added`.

    Raises
    ------
    InputError
        See :func:`stfmkit.pp.bin`.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> molecules = pd.DataFrame(rng.uniform(0, 1000, size=(20_000, 2)), columns=["x", "y"])
    >>> molecules["gene"] = rng.choice(["ACTB", "NANOG"], size=20_000)
    >>> spots = xisium(molecules, microns_per_unit=1.0)
    >>> bool(((spots.obs["array_row"] + spots.obs["array_col"]) % 2 == 0).all())
    True
    >>> bool(0.24 < spots.obs["total_counts"].sum() / len(molecules) < 0.28)
    True
    """
    return bin_molecules(
        data,
        shape="hex",
        pitch=PITCH,
        spot_diameter=SPOT_DIAMETER,
        x_key=x_key,
        y_key=y_key,
        gene_key=gene_key,
        qv_key=qv_key,
        cell_key=cell_key,
        sample_key=sample_key,
        points_key=points_key,
        table_key=table_key,
        coordinate_system=coordinate_system,
        spatial_key=spatial_key,
        layer=layer,
        microns_per_unit=microns_per_unit,
        min_qv=min_qv,
        drop_controls=drop_controls,
        control_key=control_key,
        origin=origin,
        angle=angle,
        like=like,
        mask=mask,
        min_inside=min_inside,
        carry=carry,
        chunk_size=chunk_size,
        key_added=key_added,
        show_progress=show_progress,
    )
