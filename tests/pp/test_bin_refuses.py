"""What `bin` refuses, with what was found, what is allowed and the remedy."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapely
from anndata import AnnData
from tests.pp.molecules import GRIDS, UM, make_molecules, two_samples

from stfmkit._core.errors import InputError, InputTypeError
from stfmkit.pp._bin import bin as bin_molecules
from stfmkit.pp._grids import HexGrid, SpotGrid, SquareGrid


@pytest.fixture
def molecules() -> pd.DataFrame:
    return make_molecules()


def plant(molecules: pd.DataFrame, fault: str) -> pd.DataFrame:
    rows = molecules.index[[3, 77]]
    column, value = {
        "NaN x": ("x", np.nan),
        "infinite y": ("y", np.inf),
        "far x": ("x", 1e12),
        "NaN qv": ("qv", np.nan),
        "null gene": ("gene", None),
        "blank gene": ("gene", " "),
    }[fault]
    molecules = molecules.assign(gene=molecules["gene"].astype(object))
    molecules.loc[rows, column] = value
    return molecules


@pytest.mark.parametrize("fault", ["NaN x", "infinite y", "far x", "NaN qv", "null gene", "blank gene"])
@pytest.mark.parametrize("size", [10, 10_000])
def test_broken_molecules_are_counted(fault: str, size: int, molecules: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=r"2 of 6000 molecules (with|without|more)"):
        bin_molecules(plant(molecules, fault), GRIDS["square"], chunk_size=size, **UM)


def test_missing_sample_is_refused() -> None:
    both = two_samples()
    both.loc[5, "sample"] = None
    with pytest.raises(InputError, match="1 of 3500 molecules without an id in 'sample'"):
        bin_molecules(both, GRIDS["square"], sample_key="sample", **UM)


def test_nothing_to_bin(molecules: pd.DataFrame, tmp_path: Path) -> None:
    molecules.iloc[:0].to_parquet(tmp_path / "empty.parquet")
    for data in (tmp_path / "empty.parquet", molecules.iloc[:0]):
        with pytest.raises(InputError, match="no molecules"):
            bin_molecules(data, GRIDS["square"], **UM)
    with pytest.raises(InputError, match="no spot left"):
        bin_molecules(molecules.assign(qv=3.0), GRIDS["square"], **UM)
    with pytest.raises(InputError, match="mask=None"):
        bin_molecules(molecules.iloc[:2], GRIDS["square"], min_qv=None, **UM)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"grid": "hexagon"}, InputTypeError, "sk.pp.HexGrid"),
        ({"grid": ("hex", 100)}, InputTypeError, "grid='hex'"),
        ({"grid": []}, InputError, "one or several"),
        ({"grid": [GRIDS["hex"], SquareGrid(8), SquareGrid(8.0)]}, InputError, "pass each once"),
        ({"grid": GRIDS["square"], "columns": {"z": "z"}}, InputError, "'qv'"),
        ({"grid": GRIDS["square"], "columns": {"x": "x"}}, InputError, "both or neither"),
        ({"grid": GRIDS["square"], "min_inside": 1.5}, InputError, "min_inside"),
        ({"grid": GRIDS["square"], "min_qv": -1}, InputError, "min_qv"),
        ({"grid": GRIDS["square"], "min_qv": "20"}, InputError, "min_qv"),
        ({"grid": GRIDS["square"], "chunk_size": 0}, InputError, "chunk_size"),
        ({"grid": GRIDS["square"], "mask": "tissue"}, InputTypeError, "mask"),
        ({"grid": GRIDS["square"], "mask": shapely.Polygon()}, InputError, "empty"),
        (
            {"grid": GRIDS["square"], "mask": shapely.Polygon([(0, 0), (9, 9), (9, 0), (0, 5)])},
            InputError,
            "Self-intersection",
        ),
        ({"grid": GRIDS["square"], "carry": ["border"]}, InputError, "carry"),
        ({"grid": GRIDS["square"], "carry": ["niche", "niche"]}, InputError, "carry"),
        ({"grid": GRIDS["square"], "table_key": "cells"}, InputError, "table_key"),
        ({"grid": GRIDS["square"], "layer": "counts"}, InputError, "layer"),
        ({"grid": GRIDS["square"], "microns_per_unit": 0}, InputError, "microns_per_unit"),
        ({"grid": SquareGrid(1e-17), "mask": None}, InputError, "spots with a pitch"),
    ],
)
def test_arguments_that_do_not_fit(options: dict, error: type[Exception], match: str, molecules: pd.DataFrame) -> None:
    with pytest.raises(error, match=match):
        bin_molecules(molecules, **{**UM, **options})


@pytest.mark.parametrize(
    ("make", "options", "error", "match"),
    [
        (SquareGrid, {"size": 0}, InputError, "size"),
        (SquareGrid, {"size": np.nan}, InputError, "size"),
        (SquareGrid, {"size": "100"}, InputTypeError, "size"),
        (HexGrid, {"pitch": -16}, InputError, "pitch"),
        (HexGrid, {"pitch": 50, "diameter": 55}, InputError, "overlap"),
        (HexGrid, {"diameter": 0}, InputError, "diameter"),
        (HexGrid, {"origin": "corner"}, InputError, "origin"),
        (HexGrid, {"origin": (1.0, np.nan)}, InputError, "origin"),
        (HexGrid, {"origin": [1.0, 2.0]}, InputError, "origin"),
        (SquareGrid, {"size": 8, "angle": np.inf}, InputError, "angle"),
        (SpotGrid, {"table": "spots.h5ad"}, InputTypeError, "AnnData"),
        (SpotGrid, {"table": AnnData(np.ones((2, 1))), "microns_per_unit": 0}, InputError, "microns_per_unit"),
        (SpotGrid, {"table": AnnData(np.ones((2, 1))), "diameter": 101}, InputError, "overlap"),
    ],
)
def test_grids_that_cannot_be(make: type, options: dict, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        make(**options)


def test_wrong_unit_is_noticed(molecules: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="check microns_per_unit"):
        bin_molecules(molecules, GRIDS["square"], microns_per_unit=1000.0)
