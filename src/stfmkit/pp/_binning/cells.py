"""Cells to spots: all counts of a cell go to the spot that holds its centroid."""

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from stfmkit._core.arguments import listed, nearest
from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit._data.columns import read_groups, read_labels
from stfmkit._data.coordinates import check_one_frame, check_positions, read_coords, read_microns_per_unit
from stfmkit._data.matrices import read_counts
from stfmkit._data.names import check_names
from stfmkit.pp._binning.chunks import UNLABELLED
from stfmkit.pp._binning.mask import sample_mask
from stfmkit.pp._binning.output import Binned
from stfmkit.pp._binning.plan import BinSettings, Sample, check_size
from stfmkit.pp._binning.spots import spots_for
from stfmkit.pp._controls import control_categories, control_names
from stfmkit.pp._grids import Grid


def bin_table(
    adata: AnnData, settings: BinSettings, grid: Grid, *, layer: str | None, control_key: str | None
) -> Binned:
    """Sum the cells of `adata` in spots.

    Raises
    ------
    InputError
        Counts are no counts, or positions are missing, duplicated or of several samples.
    """
    check_names(adata)
    unit = read_microns_per_unit(adata, settings.microns_per_unit)
    coords = read_coords(adata, spatial_key=settings.spatial_key) * unit
    labels = {key: _labels(adata, key) for key in settings.carry}
    if settings.sample_key is None:
        groups: Any = pd.Categorical([""] * adata.n_obs)
        check_positions(coords, None, adata.obs_names, sample_key=None)
        check_one_frame(adata, coords)
    else:
        groups = read_groups(adata, settings.sample_key, role="sample_key")
        check_positions(coords, groups.codes, adata.obs_names, sample_key=settings.sample_key)
    counts = sparse.csr_array(read_counts(adata, layer), dtype=np.int64)
    control = _controls(adata, control_key)
    order = np.argsort(adata.var_names.to_numpy().astype(str), kind="stable")
    counts, control = counts[:, order], control[order]
    genes = adata.var_names.to_numpy().astype(str)[order]
    wanted = ~control if settings.drop_controls else np.ones(len(control), bool)

    spot = np.full(adata.n_obs, -1, dtype=np.int64)
    samples: list[Sample] = []
    base = 0
    for code, name in enumerate(groups.categories):
        rows = np.flatnonzero(groups.codes == code)
        at = coords[rows]
        box = (*at.min(axis=0).tolist(), *at.max(axis=0).tolist())
        centroid = (float(at[:, 0].mean()), float(at[:, 1].mean()))
        spots = spots_for(grid, name, box=box, centroid=centroid, **settings.for_spots)
        samples.append(Sample(name, spots, sample_mask(settings.mask, name, box), base))
        samples[-1].mask.add(at[:, 0].copy(), at[:, 1].copy())
        here = spots.locate(at[:, 0], at[:, 1])
        spot[rows] = np.where(here < 0, -1, here + base)
        base += spots.size
    check_size(base, grid)

    inside = spot >= 0
    numbers, row = np.unique(spot[inside], return_inverse=True)
    gather = sparse.csr_array((np.ones(len(row), np.int64), (row, np.flatnonzero(inside))), (len(numbers), len(spot)))
    totals = counts.sum(axis=1)
    control_totals = totals - counts[:, ~control].sum(axis=1)
    kept_totals = totals - control_totals if settings.drop_controls else totals
    return Binned(
        samples=samples,
        numbers=numbers,
        counts=sparse.csr_array(gather @ counts[:, np.flatnonzero(wanted)]),
        genes=genes[wanted].tolist(),
        is_control=None if settings.drop_controls else control,
        n_control=gather @ control_totals,
        n_cells=np.diff(gather.indptr).astype(np.int64),
        unassigned=None,
        shares={key: (list(v.categories), _levels(gather, v)) for key, v in labels.items()},
        molecules={
            "read": int(totals.sum()),
            "low_qv": 0,
            "control": int((totals - kept_totals).sum()),
            "outside_spots": int(kept_totals[~inside].sum()),
        },
        qv=None,
    )


def _controls(adata: AnnData, key: str | None) -> np.ndarray:
    if key is None:
        return control_names(adata.var_names)
    if key not in adata.var.columns:
        raise MissingKeyError(
            f"control_key={key!r}, but var has no such column.",
            allowed=listed(adata.var.columns),
            remedy=f"pass a column of var.{nearest(key, [str(c) for c in adata.var.columns])}",
        )
    column = adata.var[key]
    if column.isna().any():
        raise InputError(
            f"{int(column.isna().sum())} genes without a value in var[{key!r}].",
            allowed="a value for every gene",
            remedy="fill in true for controls, false for genes.",
        )
    names, codes = np.unique(column.astype(str).to_numpy().astype(str), return_inverse=True)
    return control_categories(names.tolist(), key=key)[codes]


def _labels(adata: AnnData, key: str) -> pd.Categorical:
    labels = read_labels(adata, key, role="carry")
    return labels.remove_categories([c for c in labels.categories if c.strip().casefold() in UNLABELLED])


def _levels(gather: sparse.csr_array, labels: pd.Categorical) -> sparse.csr_array:
    rows = np.flatnonzero(labels.codes >= 0)
    shape = (len(labels), len(labels.categories))
    ones = sparse.csr_array((np.ones(len(rows), np.int64), (rows, labels.codes[rows])), shape=shape)
    return sparse.csr_array(gather @ ones)
