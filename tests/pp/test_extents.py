"""Micrometres and pixels in one table, or samples that lie upon each other, are refused; neighbours are not."""

import numpy as np
import pandas as pd
import pytest
from tests.pp.molecules import GRIDS, UM, make_molecules

from stfmkit._core.errors import InputError, UnitsError
from stfmkit.pp._bin import bin as bin_molecules
from stfmkit.pp._binning.columns import MoleculeKeys, find_columns, molecule_unit
from stfmkit.pp._binning.extents import Extent, check_overlap, check_units


def extent(side: float, n: int) -> Extent:
    return Extent(box=(0.0, 0.0, side, side), n=n)


def samples(scale: float, n: int = 4000) -> pd.DataFrame:
    one, two = make_molecules(4000, seed=1), make_molecules(n, seed=2)
    two[["x", "y"]] *= scale
    return pd.concat([one.assign(sample="S1"), two.assign(sample="S2")], ignore_index=True)


@pytest.mark.parametrize("pixel", [0.2125, 0.12, 0.108, 0.325])
@pytest.mark.parametrize("shape", ["square", "hex"])
def test_a_sample_in_pixels_beside_one_in_microns(pixel: float, shape: str) -> None:
    with pytest.raises(UnitsError, match=r"samples 'S2' .* times as wide[\s\S]*microns_per_unit"):
        bin_molecules(samples(1 / pixel), GRIDS[shape], sample_key="sample", **UM)
    with pytest.raises(UnitsError, match="samples 'S1'"):
        bin_molecules(samples(pixel), GRIDS[shape], sample_key="sample", **UM)


def test_elements_whose_boxes_come_from_the_footers_of_files(tmp_path) -> None:
    """Two sets of points of one object: read in one pass, and seen all the same."""
    import dask.dataframe as dd
    import spatialdata as sd

    points = {}
    for name, scale in (("one", 1.0), ("two", 8.0)):
        frame = make_molecules(4000, seed=1)
        frame[["x", "y"]] *= scale
        frame[["x", "y", "gene"]].astype({"gene": str}).to_parquet(tmp_path / f"{name}.parquet")
        read = dd.read_parquet(tmp_path / f"{name}.parquet")
        points[name] = sd.models.PointsModel.parse(read, coordinates={"x": "x", "y": "y"}, feature_key="gene")
    with pytest.raises(UnitsError, match="samples 'two' 8 times as wide"):
        bin_molecules(sd.SpatialData(points=points), GRIDS["square"], sample_key="sample", **UM)


def test_the_way_out_gives_the_counts_of_one_unit() -> None:
    whole = bin_molecules(samples(1.0), GRIDS["square"], sample_key="sample", **UM)
    mixed = samples(4.0)
    alone = mixed[mixed["sample"] == "S2"]
    found = bin_molecules(alone, GRIDS["square"], sample_key="sample", microns_per_unit=0.25, show_progress=False)
    np.testing.assert_array_equal(found.X.toarray(), whole[whole.obs["sample"] == "S2"].X.toarray())


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_sections_of_other_sizes_are_taken(scale: float) -> None:
    found = bin_molecules(samples(scale), GRIDS["square"], sample_key="sample", **UM)
    assert set(found.obs["sample"]) == {"S1", "S2"}


@pytest.mark.parametrize(
    "extents",
    [
        {"a": extent(1000, 10_000), "b": extent(9000, 810_000)},  # larger, and as dense
        {"a": extent(1000, 10_000), "b": extent(1000, 200_000)},  # as large, and denser
        {"a": extent(1000, 10_000), "b": extent(9000, 999)},  # too few to tell
        {"a": extent(1000, 10_000)},
        {"a": extent(0, 10_000), "b": extent(1000, 10_000)},  # a point has no density
        {"a": extent(1000, 10_000), "b": extent(2000, 5_000), "c": extent(4000, 2_500)},  # no two groups
    ],
)
def test_what_is_no_change_of_the_unit(extents: dict[str, Extent]) -> None:
    check_units(extents)


def test_all_samples_of_the_other_unit_are_named() -> None:
    extents = {name: extent(1000 * times, 10_000) for name, times in zip("abcd", (1, 8, 1.2, 9), strict=True)}
    with pytest.raises(UnitsError, match=r"samples 'b', 'd' 6\.67 times as wide"):
        check_units(extents)


@pytest.mark.parametrize("keys", [("x_location", "y"), ("x_location", "y_global_px"), ("x", "global_y")])
def test_one_axis_in_microns_and_one_in_pixels_has_no_known_unit(keys: tuple[str, str]) -> None:
    names = ("x_location", "y_location", "x_global_px", "y_global_px", "global_x", "global_y", "x", "y", "gene")
    found = find_columns(names, MoleculeKeys(x=keys[0], y=keys[1]), with_qv=False)
    with pytest.raises(UnitsError, match="of unknown unit"):
        molecule_unit(found, None, what="molecules")


def test_columns_in_microns_win_over_columns_of_unknown_unit() -> None:
    found = find_columns(("x", "y", "x_location", "y_location", "gene"), MoleculeKeys(), with_qv=False)
    assert (found.x, found.y, found.microns) == ("x_location", "y_location", 1.0)


BOX = (0.0, 0.0, 100.0, 100.0)


def shifted(by: float) -> tuple[float, float, float, float]:
    return (by, 0.0, 100.0 + by, 100.0)


@pytest.mark.parametrize(("name", "by"), [("sample", 100), ("sample", 81), ("fov", 51), ("fov_name", 300)])
def test_neighbours_pass(name: str, by: float) -> None:
    check_overlap(name, [BOX, shifted(by)])


@pytest.mark.parametrize(("name", "by"), [("sample", 0), ("sample", 79), ("fov", 49), ("FOV", -3)])
def test_overlap_is_refused(name: str, by: float) -> None:
    with pytest.raises(InputError, match=f"pass sample_key='{name}'"):
        check_overlap(name, [BOX, shifted(500), shifted(by)])


def test_one_group_or_far_too_many_say_nothing() -> None:
    check_overlap("sample", [BOX])
    check_overlap("sample", [])
    check_overlap("sample_barcode", [BOX] * 3001)
