"""Bins of HEST, for comparison with published figures."""

from typing import TYPE_CHECKING, Any, Unpack

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError
from stfmkit.pp._bin import BinOptions
from stfmkit.pp._bin import bin as bin_molecules
from stfmkit.pp._grids import SquareGrid

if TYPE_CHECKING:
    from pathlib import Path

    import dask.dataframe as dd
    import pandas as pd
    import pyarrow as pa
    from anndata import AnnData
    from spatialdata import SpatialData

SIZE = 100.0
"""Side of a square of HEST, in µm."""

FIXED: BinOptions = {"min_qv": None, "drop_controls": False, "mask": None, "min_inside": 0.0}
"""What HEST leaves no choice of."""


def bin_hest(
    data: "SpatialData | AnnData | pd.DataFrame | pa.Table | dd.DataFrame | Path | str",
    **options: Unpack[BinOptions],
) -> Any:
    """Bin as HEST does for Xenium, to compare with its published figures.

    Squares of 100 µm from the corner of the bounding box, all qualities (so a gene may be noise), controls as genes,
    no mask (slivers at the edge count as whole spots), spots with at least one count. A square is 4.2 times the area
    of a Visium spot. Not taken over are the wrap of a molecule on the far edge into the next row of squares, where the
    extent is a multiple of 100 µm, and the overflow of counts above 65535.

    Parameters
    ----------
    data
        Molecules or cells, as :func:`stfmkit.pp.bin` takes them.
    options
        Further arguments of :func:`stfmkit.pp.bin`, without `min_qv`, `drop_controls`, `mask` and `min_inside`, which
        are those of HEST.

    Returns
    -------
    What :func:`stfmkit.pp.bin` returns: a new table of squares, or None with `key_added`.

    Raises
    ------
    InputError
        An option that HEST fixes is passed; otherwise as :func:`stfmkit.pp.bin` says.

    References
    ----------
    Jaume et al. 2024, NeurIPS Datasets and Benchmarks (HEST-1k).

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import stfmkit as sk
    >>> molecules = pd.DataFrame({"x": np.arange(1000) % 199, "y": np.arange(1000) % 97, "gene": "ACTB"})
    >>> sk.pp.bin_hest(molecules, microns_per_unit=1.0).n_obs
    2
    """
    taken = sorted(set(options) & set(FIXED))
    if taken:
        raise InputError(
            f"{listed(taken)} in bin_hest, which fixes {FIXED}.",
            allowed="options that HEST does not fix",
            remedy="leave them out, or call sk.pp.bin(data, sk.pp.SquareGrid(100), ...) with your own.",
        )
    options.update(FIXED)
    return bin_molecules(data, SquareGrid(SIZE), **options)
