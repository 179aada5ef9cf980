"""What `bin` refuses, with what was found, what is allowed and the remedy."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapely
from anndata import AnnData
from tests.pp.molecules import SHAPES, UM, make_molecules, two_samples

from stfmkit._core.errors import InputError, InputTypeError
from stfmkit.pp._bin import bin as bin_molecules


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
        bin_molecules(plant(molecules, fault), **SHAPES["square"], chunk_size=size, **UM)


def test_missing_sample_is_refused() -> None:
    both = two_samples()
    both.loc[5, "sample"] = None
    with pytest.raises(InputError, match="1 of 3500 molecules without an id in 'sample'"):
        bin_molecules(both, **SHAPES["square"], sample_key="sample", **UM)


def test_nothing_to_bin(molecules: pd.DataFrame, tmp_path: Path) -> None:
    molecules.iloc[:0].to_parquet(tmp_path / "empty.parquet")
    for data in (tmp_path / "empty.parquet", molecules.iloc[:0]):
        with pytest.raises(InputError, match="no molecules"):
            bin_molecules(data, **SHAPES["square"], **UM)
    with pytest.raises(InputError, match="no spot left"):
        bin_molecules(molecules.assign(qv=3.0), **SHAPES["square"], **UM)
    with pytest.raises(InputError, match="mask=None"):
        bin_molecules(molecules.iloc[:2], **SHAPES["square"], min_qv=None, **UM)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"shape": "hexagon", "pitch": 100}, InputError, "Did you mean 'hex'"),
        ({"shape": "square", "pitch": 0}, InputError, "pitch"),
        ({"shape": "square", "pitch": np.nan}, InputError, "pitch"),
        ({"shape": "square", "pitch": "100"}, InputTypeError, "pitch"),
        ({"shape": "hex", "pitch": 100}, InputError, "spot_diameter=55"),
        ({"shape": "hex", "pitch": 50, "spot_diameter": 55}, InputError, "overlap"),
        ({"shape": "square", "pitch": 100, "spot_diameter": 55}, InputError, "fill the plane"),
        ({**SHAPES["square"], "origin": "corner"}, InputError, "origin"),
        ({**SHAPES["square"], "origin": (1.0, np.nan)}, InputError, "origin"),
        ({**SHAPES["square"], "angle": np.inf}, InputError, "angle"),
        ({**SHAPES["square"], "min_inside": 1.5}, InputError, "min_inside"),
        ({**SHAPES["square"], "min_qv": -1}, InputError, "min_qv"),
        ({**SHAPES["square"], "min_qv": "20"}, InputError, "min_qv"),
        ({**SHAPES["square"], "chunk_size": 0}, InputError, "chunk_size"),
        ({**SHAPES["square"], "mask": "tissue"}, InputTypeError, "mask"),
        ({**SHAPES["square"], "mask": shapely.Polygon()}, InputError, "empty"),
        (
            {**SHAPES["square"], "mask": shapely.Polygon([(0, 0), (9, 9), (9, 0), (0, 5)])},
            InputError,
            "Self-intersection",
        ),
        ({**SHAPES["square"], "carry": ["border"]}, InputError, "carry"),
        ({**SHAPES["square"], "carry": ["niche", "niche"]}, InputError, "carry"),
        ({**SHAPES["square"], "table_key": "cells"}, InputError, "table_key"),
        ({**SHAPES["square"], "layer": "counts"}, InputError, "layer"),
        ({**SHAPES["square"], "like": AnnData(np.ones((2, 1)))}, InputError, 'shape="hex"'),
        ({**SHAPES["hex"], "like": "spots.h5ad"}, InputTypeError, "AnnData"),
        ({**SHAPES["square"], "microns_per_unit": 0}, InputError, "microns_per_unit"),
        ({"shape": "square", "pitch": 1e-17, "mask": None}, InputError, "places"),
    ],
)
def test_arguments_that_do_not_fit(options: dict, error: type[Exception], match: str, molecules: pd.DataFrame) -> None:
    with pytest.raises(error, match=match):
        bin_molecules(molecules, **{**UM, **options})


def test_wrong_unit_is_noticed(molecules: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="check microns_per_unit"):
        bin_molecules(molecules, **SHAPES["square"], microns_per_unit=1000.0)
