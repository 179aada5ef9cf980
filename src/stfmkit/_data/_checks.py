"""Checks of a whole table: what must hold before any long work starts."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError

_SAMPLE_WORDS = (
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
_OVERLAP = 0.2


def check_names(adata: AnnData) -> None:
    """Refuse an empty table and duplicated names of observations or genes."""
    if adata.n_obs == 0 or adata.n_vars == 0:
        raise InputError(
            f"a table of {adata.n_obs} observations and {adata.n_vars} genes.",
            allowed="at least one of each",
            remedy="check the filters before this step.",
        )
    for axis, names, fix in (
        ("observation", adata.obs_names, "adata.obs_names_make_unique()"),
        ("gene", adata.var_names, "sum or drop the duplicates, or adata.var_names_make_unique()"),
    ):
        if not names.is_unique:
            twice = names[names.duplicated()].unique()
            raise InputError(
                f"{len(twice)} duplicated {axis} names: {listed(twice, most=5)}.",
                allowed=f"unique {axis} names",
                remedy=f"{fix}.",
            )


def check_no_empty(counts: sparse.csr_array, obs_names: pd.Index, *, what: str = "observations") -> None:
    """Refuse observations without a single count."""
    empty = np.diff(counts.indptr) == 0
    if empty.any():
        raise InputError(
            f"{int(empty.sum())} {what} without any count: {listed(obs_names[empty], most=3)}.",
            allowed=f"{what} with at least one count",
            remedy="drop them first: sc.pp.filter_cells(adata, min_counts=1).",
        )


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
        if not any(word in key.casefold() for word in _SAMPLE_WORDS):
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
