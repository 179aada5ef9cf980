"""Read coordinates and their unit out of a table, checked."""

from collections.abc import Sequence

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

    A column of ``obs`` whose name speaks of samples (sample, section, slide, donor, …) and whose groups overlap
    in space is taken as evidence.
    """
    for key in map(str, adata.obs.columns):
        if not any(word in key.casefold() for word in SAMPLE_WORDS):
            continue
        column = adata.obs[key]
        if not 2 <= column.nunique() <= max(2, adata.n_obs // 10):
            continue
        boxes = [
            (coords[rows].min(axis=0), coords[rows].max(axis=0))
            for rows in (np.flatnonzero(column.to_numpy() == value) for value in column.dropna().unique())
            if len(rows)
        ]
        if _boxes_overlap(boxes):
            raise InputError(
                f"no sample_key, and the {len(boxes)} groups of obs[{key!r}] overlap in space.",
                allowed="one sample for one coordinate frame",
                remedy=f"pass sample_key={key!r} (or the column that tells the samples apart).",
            )


def _boxes_overlap(boxes: Sequence[tuple[np.ndarray, np.ndarray]]) -> bool:
    for i, (low_a, high_a) in enumerate(boxes):
        for low_b, high_b in boxes[i + 1 :]:
            sides = np.clip(np.minimum(high_a, high_b) - np.maximum(low_a, low_b), 0, None)
            smaller = min(np.prod(high_a - low_a), np.prod(high_b - low_b))
            if smaller > 0 and np.prod(sides) / smaller > _OVERLAP:
                return True
    return False
