"""Visium-like spots from imaging-based data."""

from typing import TYPE_CHECKING, Any, Unpack

from anndata import AnnData

from stfmkit._core import slots
from stfmkit._core.errors import InputError
from stfmkit.pp._bin import BinOptions
from stfmkit.pp._bin import bin as bin_molecules
from stfmkit.pp._grids import HexGrid, Origin, SpotGrid

if TYPE_CHECKING:
    from pathlib import Path

    import dask.dataframe as dd
    import pandas as pd
    import pyarrow as pa
    from spatialdata import SpatialData


def xisium(
    data: "SpatialData | AnnData | pd.DataFrame | pa.Table | dd.DataFrame | Path | str",
    *,
    like: AnnData | None = None,
    origin: Origin = "bbox",
    angle: float = 0.0,
    **options: Unpack[BinOptions],
) -> Any:
    """Count molecules or cells in spots with the geometry of Visium: 55 µm circles, 100 µm apart.

    The same as :func:`stfmkit.pp.bin` with ``HexGrid(pitch=100, diameter=55)``, or with ``SpotGrid(like)``. Such spots
    hold about 27 % of the molecules of a tissue.

    Parameters
    ----------
    data
        Molecules or cells, as :func:`stfmkit.pp.bin` takes them.
    like
        Real Visium spots of the same tissue in the same coordinate system; circles are put at their coordinates.
    origin, angle
        Where the grid lies, see `HexGrid`; not with `like`.
    options
        Further arguments of :func:`stfmkit.pp.bin`.

    Returns
    -------
    What :func:`stfmkit.pp.bin` returns: a new table of spots, or None with `key_added`.

    Raises
    ------
    InputError
        `like` with another origin or angle; otherwise as :func:`stfmkit.pp.bin` says.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import stfmkit as sk
    >>> rng = np.random.default_rng(0)
    >>> molecules = pd.DataFrame(rng.uniform(0, 1000, size=(20_000, 2)), columns=["x", "y"])
    >>> molecules["gene"] = rng.choice(["ACTB", "NANOG"], size=20_000)
    >>> spots = sk.pp.xisium(molecules, microns_per_unit=1.0)
    >>> bool(((spots.obs["array_row"] + spots.obs["array_col"]) % 2 == 0).all())
    True
    >>> bool(0.24 < spots.obs["total_counts"].sum() / len(molecules) < 0.28)
    True
    """
    if like is None:
        return bin_molecules(data, HexGrid(origin=origin, angle=angle), **options)
    if angle != 0 or origin != "bbox":
        raise InputError(
            f"like= with origin={origin!r} and angle={angle!r}.",
            allowed="circles at the spots of the table, without origin and angle",
            remedy="leave origin and angle out, or leave like out to lay a new grid.",
        )
    spots = SpotGrid(like, spatial_key=options.get("spatial_key", slots.SPATIAL))
    return bin_molecules(data, spots, **options)
