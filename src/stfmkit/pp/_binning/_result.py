"""From counts by spot to the table that ``bin`` returns."""

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from stfmkit._core import slots
from stfmkit._core.errors import InputError
from stfmkit._data.write import package_versions
from stfmkit._kernels._row_sums import keep_rows
from stfmkit.pp._binning._binned import Binned, Sample
from stfmkit.pp._binning._settings import BinSettings, like_rows
from stfmkit.pp._binning._spots import PlacedSpots


def to_anndata(binned: Binned, settings: BinSettings) -> AnnData:
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
    pieces = [p for p in (_place(s, numbers, settings) for s in binned.samples) if len(p)]
    place = pd.concat(pieces, ignore_index=True) if len(pieces) > 1 else pieces[0]
    obs = place.drop(columns=["x", "y", "name"])
    obs.index = pd.Index(place["name"].to_numpy(), dtype=object)
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
    out.obsm[slots.SPATIAL] = place[["x", "y"]].to_numpy(dtype=np.float64)
    for key, (levels, matrix) in binned.shares.items():
        out.obs[key], out.obsm[f"{key}_share"] = _majority(levels, matrix[rows])
    out.uns[slots.ROOT] = {slots.MICRONS: 1.0, "bin": _params(binned, settings, totals, keep)}
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


def _place(sample: Sample, numbers: np.ndarray, settings: BinSettings) -> pd.DataFrame:
    """Return names, indices and positions of the spots of one sample."""
    local = numbers[_rows_of(sample, numbers)] - sample.base
    centers = sample.spots.centers(local)
    table = {}
    index = sample.spots.array_index(local)
    if index is not None:
        table = {"array_row": index[0], "array_col": index[1]}
    if isinstance(sample.spots, PlacedSpots) and settings.like is not None:
        names = settings.like.obs_names.to_numpy()[like_rows(settings, sample.name)][local]
    else:
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


def _params(binned: Binned, settings: BinSettings, totals: np.ndarray, keep: np.ndarray) -> dict[str, Any]:
    filled = totals > 0
    params: dict[str, Any] = {
        "shape": settings.shape,
        "pitch": float(settings.pitch),
        "angle": float(settings.angle),
        "samples": np.asarray([s.name for s in binned.samples], dtype=object),
        "origin": np.array([s.spots.lattice.origin for s in binned.samples]),
        "placed": "like" if settings.like is not None else str(settings.origin),
        "mask": "none" if settings.mask is None else "computed" if isinstance(settings.mask, str) else "polygon",
        "min_inside": float(settings.min_inside),
        "drop_controls": settings.drop_controls,
        "hest_compat": settings.hest_compat,
        "qv": binned.qv,
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
    if settings.spot_diameter is not None:
        params["spot_diameter"] = float(settings.spot_diameter)
    if settings.min_qv is not None and binned.qv not in {"absent", "not used"}:
        params["min_qv"] = float(settings.min_qv)
    return params
