"""Points and tables of a SpatialData, transformed to a coordinate system."""

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from spatialdata import SpatialData
from spatialdata.models import PointsModel, TableModel
from spatialdata.transformations import Affine, Identity, Scale

from stfmkit._core.errors import InputError, MissingKeyError, UnitsError
from stfmkit.pp._bin import bin as bin_molecules
from stfmkit.pp._binning import count, sources
from stfmkit.pp._grids import SquareGrid

SQUARES = {"grid": SquareGrid(50.0), "mask": None, "show_progress": False}


@pytest.fixture
def molecules(rng: np.random.Generator) -> pd.DataFrame:
    n = 1500
    return pd.DataFrame(
        {
            "x": rng.uniform(0, 400, n),
            "y": rng.uniform(0, 300, n),
            "gene": pd.Categorical(rng.choice(["A", "B", "BLANK_0001"], n)),
            "qv": rng.uniform(10, 40, n),
        }
    )


def points(molecules: pd.DataFrame, **systems: object):
    return PointsModel.parse(molecules.reset_index(drop=True), transformations=systems)


def test_points_equal_their_table(molecules: pd.DataFrame) -> None:
    sdata = SpatialData(points={"transcripts": points(molecules, um=Identity())})
    binned = bin_molecules(sdata, **SQUARES, microns_per_unit=1.0)
    plain = bin_molecules(molecules, **SQUARES, microns_per_unit=1.0)
    assert (binned.X != plain.X).nnz == 0
    pd.testing.assert_frame_equal(binned.obs, plain.obs)


def test_transformations_are_applied(molecules: pd.DataFrame) -> None:
    turn = np.array([[0.0, -1.0, 500.0], [1.0, 0.0, -20.0], [0.0, 0.0, 1.0]])
    sdata = SpatialData(
        points={
            "transcripts": points(
                molecules, um=Affine(turn, ("x", "y"), ("x", "y")), px=Scale([4.0, 4.0], axes=("x", "y"))
            )
        }
    )
    with pytest.raises(InputError, match="coordinate_system="):
        bin_molecules(sdata, **SQUARES, microns_per_unit=1.0)
    with pytest.raises(MissingKeyError, match="Did you mean 'um'"):
        bin_molecules(sdata, **SQUARES, microns_per_unit=1.0, coordinate_system="ums")
    turned = bin_molecules(sdata, **SQUARES, microns_per_unit=1.0, coordinate_system="um")
    moved = molecules.assign(x=500 - molecules["y"], y=molecules["x"] - 20)
    expected = bin_molecules(moved, **SQUARES, microns_per_unit=1.0)
    assert (turned.X != expected.X).nnz == 0
    np.testing.assert_allclose(turned.obsm["spatial"], expected.obsm["spatial"])
    scaled = bin_molecules(sdata, **SQUARES, microns_per_unit=0.25, coordinate_system="px")
    assert (scaled.X != bin_molecules(molecules, **SQUARES, microns_per_unit=1.0).X).nnz == 0


def cell_table(unit: float | None) -> AnnData:
    table = AnnData(np.ones((2, 1), np.float32), obsm={"spatial": np.array([[1.0, 2.0], [80.0, 9.0]])})
    if unit is not None:
        table.uns["stfmkit"] = {"microns_per_unit": unit}
    return TableModel.parse(table)


def test_unit_is_declared_or_asked_for(molecules: pd.DataFrame) -> None:
    expected = bin_molecules(molecules, **SQUARES, microns_per_unit=0.5)
    straight = {"transcripts": points(molecules, frame=Identity())}
    scaled = {"transcripts": points(molecules, frame=Scale([1.0, 2.0], axes=("x", "y")))}
    with pytest.raises(UnitsError):
        bin_molecules(SpatialData(points=straight), **SQUARES)
    declared = SpatialData(points=straight, attrs={"stfmkit": {"microns_per_unit": 0.5}})
    by_table = SpatialData(points=straight, tables={"cells": cell_table(0.5)})
    for sdata in (declared, by_table):
        assert (bin_molecules(sdata, **SQUARES).X != expected.X).nnz == 0
    for sdata in (
        SpatialData(points=scaled, tables={"cells": cell_table(0.5)}),  # the table does not lie in this system
        SpatialData(points=straight, tables={"a": cell_table(0.5), "b": cell_table(1.0)}),
        SpatialData(points=straight, tables={"a": cell_table(0.5), "b": cell_table(None)}),
    ):
        with pytest.raises(UnitsError):
            bin_molecules(sdata, **SQUARES)


def test_elements_are_samples(molecules: pd.DataFrame) -> None:
    left, right = molecules.iloc[:700], molecules.iloc[700:]
    marks = pd.DataFrame({"x": [1.0], "y": [2.0]})
    sdata = SpatialData(
        points={
            "b_transcripts": points(left, b=Identity()),
            "a_transcripts": points(right, a=Identity()),
            "landmarks": points(marks, a=Identity()),
        }
    )
    options = {**SQUARES, "microns_per_unit": 1.0}
    with pytest.raises(InputError, match="no sample_key"):
        bin_molecules(sdata, **options)
    both = bin_molecules(sdata, **options, sample_key="slide")
    assert both.obs["slide"].cat.categories.tolist() == ["a_transcripts", "b_transcripts"]
    for name, part in (("b_transcripts", left), ("a_transcripts", right)):
        here = both[both.obs["slide"] == name]
        np.testing.assert_array_equal(here.X.toarray(), bin_molecules(part, **options).X.toarray())
    one = bin_molecules(sdata, **options, points_key="b_transcripts")
    np.testing.assert_array_equal(one.X.toarray(), bin_molecules(left, **options).X.toarray())
    named = SpatialData(
        points={
            "t1": points(left.assign(slide="S1"), a=Identity()),
            "t2": points(right.assign(slide="S2"), a=Identity()),
        }
    )
    assert set(bin_molecules(named, **options, sample_key="slide").obs["slide"]) == {"S1", "S2"}


def test_points_that_are_not_there(molecules: pd.DataFrame) -> None:
    marks = pd.DataFrame({"x": [1.0], "y": [2.0]})
    sdata = SpatialData(points={"landmarks": points(marks, a=Identity())})
    with pytest.raises(InputError, match="none with positions and genes"):
        bin_molecules(sdata, **SQUARES, microns_per_unit=1.0)
    with pytest.raises(MissingKeyError, match="Did you mean 'landmarks'"):
        bin_molecules(sdata, **SQUARES, microns_per_unit=1.0, points_key="landmark")
    whole = SpatialData(points={"transcripts": points(molecules, a=Identity())})
    with pytest.raises(MissingKeyError, match="sample_key='slide'"):
        bin_molecules(whole, **SQUARES, microns_per_unit=1.0, sample_key="slide")


def test_table_of_cells(molecules: pd.DataFrame) -> None:
    sdata = SpatialData(points={"transcripts": points(molecules, a=Identity())}, tables={"cells": cell_table(1.0)})
    binned = bin_molecules(sdata, **SQUARES, table_key="cells")
    assert binned.X.toarray().tolist() == [[1], [1]]
    assert binned.obs["n_cells"].tolist() == [1, 1]
    with pytest.raises(MissingKeyError, match="Did you mean 'cells'"):
        bin_molecules(sdata, **SQUARES, table_key="cell")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of ome-zarr, when it is imported
@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning", "ignore::UserWarning")
def test_points_on_disk_take_one_pass(molecules: pd.DataFrame, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dask.dataframe as dd
    from spatialdata import read_zarr

    molecules.to_parquet(tmp_path / "m.parquet", row_group_size=400)
    expected = bin_molecules(molecules, **SQUARES, microns_per_unit=1.0)
    far = bin_molecules(molecules[molecules["x"] > 200], **SQUARES, microns_per_unit=1.0)
    frame = dd.read_parquet(tmp_path / "m.parquet")
    part = bin_molecules(frame[frame["x"] > 200], **SQUARES, microns_per_unit=1.0)  # more than a file: two passes
    assert (part.X != far.X).nnz == 0
    pd.testing.assert_frame_equal(part.obs, far.obs)
    filtered = dd.read_parquet(tmp_path / "m.parquet", filters=[("x", ">", 200)])
    assert (bin_molecules(filtered, **SQUARES, microns_per_unit=1.0).X != far.X).nnz == 0
    SpatialData(points={"m": points(molecules, um=Identity())}).write(tmp_path / "m.zarr")
    monkeypatch.setattr(count, "_two_passes", None)
    for data in (frame, read_zarr(tmp_path / "m.zarr")):
        binned = bin_molecules(data, **SQUARES, microns_per_unit=1.0)
        assert (binned.X != expected.X).nnz == 0
        pd.testing.assert_frame_equal(binned.obs, expected.obs)


def test_dask_plans_in_one_thread_at_a_time(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two plans at once can wait for each other for ever under Python 3.11; computing may overlap."""
    planned: list[bool] = []
    optimize = dd.DataFrame.optimize

    def watched(self: dd.DataFrame, **options: bool) -> dd.DataFrame:
        planned.append(sources._PLANNING.locked())
        return optimize(self, **options)

    monkeypatch.setattr(dd.DataFrame, "optimize", watched)
    pd.DataFrame({"x": [1.0, 2.0], "y": [1.0, 2.0], "gene": ["A", "B"]}).to_parquet(tmp_path / "a.parquet")
    table = sources._dask(dd.read_parquet(tmp_path / "a.parquet").assign(more=1.0), label="points")
    assert [len(batch) for batch in table.parts[0](["x", "y", "gene"], 10)] == [2]
    assert planned
    assert all(planned)
    assert not sources._PLANNING.locked()
