"""Read coordinates and their unit out of a table, checked."""

import numpy as np
import pandas as pd
from anndata import AnnData

from stfmkit._core import slots
from stfmkit._core.arguments import check_positive, listed, nearest
from stfmkit._core.errors import InputError, MissingKeyError, UnitsError
from stfmkit._data.write_slots import records

SAMPLE_WORDS = (
    "sample",
    "section",
    "slide",
    "library",
    "donor",
    "patient",
    "animal",
    "mouse",
    "puck",
    "chip",
    "replicate",
)
"""Parts of the names of columns that may tell samples apart."""

_OVERLAP = 0.2
_MOST_SAMPLES = 100


def read_coords(adata: AnnData, *, spatial_key: str = slots.SPATIAL) -> np.ndarray:
    """Return the first two coordinates (n_obs, 2) as float64, all finite.

    Raises
    ------
    MissingKeyError
        ``obsm`` has no such key.
    InputError
        The shape is wrong or values are not finite.
    """
    if spatial_key not in adata.obsm:
        raise MissingKeyError(
            f"no obsm[{spatial_key!r}].",
            allowed=f"one of {listed(adata.obsm)}",
            remedy=f"store coordinates (n_obs, 2) there or pass spatial_key=.{nearest(spatial_key, list(adata.obsm))}",
        )
    coords = np.asarray(adata.obsm[spatial_key], dtype=np.float64)
    if coords.ndim != 2 or coords.shape[1] not in {2, 3}:
        raise InputError(
            f"obsm[{spatial_key!r}] of shape {coords.shape}.",
            allowed="(n_obs, 2) or (n_obs, 3)",
            remedy="store x and y as columns.",
        )
    coords = coords[:, :2]
    bad = ~np.isfinite(coords).all(axis=1)
    if bad.any():
        names = listed(adata.obs_names[bad], most=3)
        raise InputError(
            f"{int(bad.sum())} observations with NaN or infinite coordinates: {names}.",
            allowed="finite coordinates",
            remedy="drop these observations or repair their coordinates.",
        )
    return coords


def read_microns_per_unit(adata: AnnData, value: float | None = None) -> float:
    """Return the length of one coordinate unit in µm, from `value` or from ``uns["stfmkit"]``.

    Raises
    ------
    UnitsError
        Neither is there.
    """
    if value is None:
        value = records(adata).get(slots.MICRONS)
    if value is None:
        raise UnitsError(
            "a distance in µm, and coordinates of unknown unit.",
            allowed="coordinates with a known length of one unit in µm",
            remedy="pass microns_per_unit= (1.0 where coordinates are in µm), or store it: "
            "adata.uns['stfmkit'] = {'microns_per_unit': 1.0}.",
        )
    check_positive(value, name=slots.MICRONS)
    return float(value)


def check_positions(
    coords: np.ndarray, samples: np.ndarray | None, obs_names: pd.Index, *, sample_key: str | None
) -> None:
    """Refuse two observations of one sample at exactly one place."""
    frame = pd.DataFrame({"x": coords[:, 0], "y": coords[:, 1]})
    if samples is not None:
        frame["sample"] = samples
    twice = frame.duplicated(keep=False).to_numpy()
    if twice.any():
        remedy = (
            "pass sample_key=, if these are several samples on one coordinate frame; else drop the duplicates."
            if sample_key is None
            else f"drop the duplicates, or check that obs[{sample_key!r}] tells the samples apart."
        )
        raise InputError(
            f"{int(twice.sum())} observations share their coordinates: {listed(obs_names[twice], most=4)}.",
            allowed="one observation at one place of a sample",
            remedy=remedy,
        )


def check_one_frame(adata: AnnData, coords: np.ndarray) -> None:
    """Refuse what looks like several samples on one coordinate frame when no ``sample_key`` was given.

    Evidence is a column of ``obs`` that may tell samples apart and whose groups overlap in space: it holds text or
    categories, never numbers; at most 100 groups, of ten observations in the mean; and its name speaks of samples
    (sample, section, slide, donor, …), since cell types overlap in any sample.
    """
    for key, column in adata.obs.items():
        if not (any(word in str(key).casefold() for word in SAMPLE_WORDS) and _holds_names(column)):
            continue
        codes, groups = pd.factorize(column)
        if not 2 <= len(groups) <= min(_MOST_SAMPLES, max(2, adata.n_obs // 10)):
            continue
        if _overlap(codes, coords, n=len(groups)):
            raise InputError(
                f"no sample_key, and the {len(groups)} groups of obs[{key!r}] overlap in space.",
                allowed="one sample for one coordinate frame",
                remedy=f"pass sample_key={key!r} (or the column that tells the samples apart).",
            )


def _holds_names(column: pd.Series) -> bool:
    """Tell whether a column holds categories or text; numbers as categories count where they are whole."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.categories.dtype.kind not in "fcbM"
    return column.dtype.kind not in "biufcmM" and pd.api.types.infer_dtype(column, skipna=True) == "string"


def _overlap(codes: np.ndarray, coords: np.ndarray, *, n: int) -> bool:
    """Tell whether the boxes around two of n groups share a good part of the smaller one; codes of -1 are of none."""
    low, high = np.full((n, 2), np.inf), np.full((n, 2), -np.inf)
    told = codes >= 0
    np.minimum.at(low, codes[told], coords[told])
    np.maximum.at(high, codes[told], coords[told])
    area = np.prod(high - low, axis=1)
    sides = np.minimum(high[:, None], high[None]) - np.maximum(low[:, None], low[None])
    shared = np.prod(np.clip(sides, 0, None), axis=2)
    smaller = np.minimum(area[:, None], area[None])
    apart = ~np.eye(n, dtype=bool)
    return bool(((smaller > 0) & (shared > _OVERLAP * smaller) & apart).any())
