"""Spots written into a SpatialData: shapes, table, and where they lie."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import shapely
from spatialdata import SpatialData, get_centroids, transform
from spatialdata.models import PointsModel
from spatialdata.transformations import Affine, Identity, Scale
from tests.pp.molecules import GRIDS, make_molecules, two_samples

from stfmkit._core.errors import InputError, InputTypeError
from stfmkit.pp._bin import bin as bin_molecules
from stfmkit.pp._grids import SquareGrid
from stfmkit.pp._xisium import xisium

QUIET = {"show_progress": False, "mask": None}
TURN = np.array([[0.0, -2.0, 500.0], [2.0, 0.0, -20.0], [0.0, 0.0, 1.0]])


def with_points(molecules: pd.DataFrame, **systems: object) -> SpatialData:
    molecules = molecules.reset_index(drop=True).astype({"cell_id": "category", "niche": "category"})
    return SpatialData(points={"tx": PointsModel.parse(molecules, transformations=systems or {"um": Identity()})})


def names(sdata: SpatialData) -> set[str]:
    return {name for _, name, _ in sdata.gen_elements()}


@pytest.mark.parametrize("kind", list(GRIDS))
def test_elements_hold_what_is_returned(kind: str) -> None:
    sdata = with_points(make_molecules())
    options = {"grid": replace(GRIDS[kind], angle=10.0), **QUIET, "microns_per_unit": 1.0}
    expected = bin_molecules(sdata, **options)
    assert names(sdata) == {"tx"}
    assert bin_molecules(sdata, **options, key_added="spots") is None
    assert names(sdata) == {"tx", "spots", "spots_table"}
    table, shapes = sdata["spots_table"], sdata["spots"]
    assert (table.X != expected.X).nnz == 0
    pd.testing.assert_frame_equal(table.obs[expected.obs.columns], expected.obs)
    assert list(shapes.index) == list(table.obs["instance_id"]) == list(expected.obs_names)
    assert set(table.obs["region"]) == {"spots"}
    np.testing.assert_allclose(
        get_centroids(shapes, coordinate_system="um").compute().to_numpy(), expected.obsm["spatial"]
    )
    area = {"hex": np.pi * 27.5**2, "hex_gapless": 60**2 * np.sqrt(3) / 2, "square": 2500.0}[kind]
    found = np.pi * shapes["radius"] ** 2 if kind == "hex" else shapes.area
    np.testing.assert_allclose(found, area)


def test_squares_hold_their_molecules_in_every_system() -> None:
    molecules = make_molecules().drop(columns="qv")
    systems = {"px": Affine(TURN, ("x", "y"), ("x", "y")), "raw": Scale([3.0, 3.0], axes=("x", "y"))}
    sdata = with_points(molecules, **systems)
    bin_molecules(sdata, SquareGrid(40.0), coordinate_system="px", microns_per_unit=0.5, key_added="sq", **QUIET)
    table = sdata["sq_table"]
    for system in systems:
        squares = transform(sdata["sq"], to_coordinate_system=system).geometry.to_numpy()
        at = transform(sdata["tx"], to_coordinate_system=system).compute()
        tree = shapely.STRtree(shapely.points(at["x"], at["y"]))
        gene = at["gene"].astype(str).to_numpy()
        wanted = np.isin(gene, table.var_names)
        square, point = tree.query(squares, predicate="dwithin", distance=1e-6)
        assert len(np.unique(point)) == len(point) == len(molecules)
        counts = np.zeros(table.shape, int)
        keep = wanted[point]
        np.add.at(counts, (square[keep], table.var_names.get_indexer(gene[point[keep]])), 1)
        np.testing.assert_array_equal(table.X.toarray(), counts)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of ome-zarr, when it is imported
@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning", "ignore::UserWarning")
def test_each_sample_is_an_element(tmp_path) -> None:
    from spatialdata import read_zarr

    sdata = with_points(two_samples(), um=Identity())
    xisium(sdata, sample_key="sample", microns_per_unit=1.0, key_added="xisium", carry=["niche"], **QUIET)
    assert names(sdata) == {"tx", "xisium_S1", "xisium_S2", "xisium_table"}
    table = sdata["xisium_table"]
    for sample in ("S1", "S2"):
        here = table[table.obs["sample"] == sample]
        assert set(here.obs["region"]) == {f"xisium_{sample}"}
        assert list(here.obs["instance_id"]) == list(sdata[f"xisium_{sample}"].index)
    sdata.write(tmp_path / "s.zarr")
    back = read_zarr(tmp_path / "s.zarr")
    assert (back["xisium_table"].X != table.X).nnz == 0
    assert back["xisium_table"].uns["stfmkit"]["microns_per_unit"] == 1.0


def test_points_elements_are_samples_with_places_of_their_own() -> None:
    one, two = (make_molecules(800, seed=s)[["x", "y", "gene"]] for s in (1, 2))
    sdata = SpatialData(
        points={
            "a": PointsModel.parse(one, transformations={"A": Identity()}),
            "b": PointsModel.parse(two, transformations={"B": Scale([2.0, 2.0], axes=("x", "y"))}),
        }
    )
    bin_molecules(sdata, GRIDS["square"], sample_key="slide", microns_per_unit=0.5, key_added="sq", **QUIET)
    for element, system in (("a", "A"), ("b", "B")):
        shapes = transform(sdata[f"sq_{element}"], to_coordinate_system=system)
        molecules = transform(sdata[element], to_coordinate_system=system).compute()
        bounds = shapes.total_bounds
        assert (bounds[:2] <= molecules[["x", "y"]].min() + 1e-9).all()
        assert (bounds[2:] >= molecules[["x", "y"]].max()).all()
        assert (bounds[2:] - bounds[:2] <= molecules[["x", "y"]].max() - molecules[["x", "y"]].min() + 100).all()


def test_ladder_of_elements() -> None:
    sdata = with_points(make_molecules())
    bin_molecules(sdata, [SquareGrid(12.5), SquareGrid(25)], microns_per_unit=1.0, key_added="sq", **QUIET)
    assert names(sdata) == {"tx", "sq_12.5um", "sq_25um", "sq_12.5um_table", "sq_25um_table"}
    assert sdata["sq_12.5um_table"].X.sum() == sdata["sq_25um_table"].X.sum()


def test_nothing_is_overwritten() -> None:
    sdata = with_points(make_molecules())
    options = {"grid": GRIDS["square"], **QUIET, "microns_per_unit": 1.0}
    bin_molecules(sdata, **options, key_added="spots")
    before = sdata["spots"]
    for key in ("spots", "tx"):
        with pytest.raises(InputError, match=f"elements '{key}"):
            bin_molecules(sdata, **options, key_added=key)
    assert sdata["spots"] is before
    with pytest.raises(InputError, match="letters, digits"):
        bin_molecules(sdata, **options, key_added="my spots")
    with pytest.raises(InputTypeError, match="SpatialData only"):
        bin_molecules(make_molecules(), **options, key_added="spots")
    with pytest.raises(InputError, match="with a table of cells"):
        bin_molecules(sdata, **options, table_key="spots_table", key_added="again")
    named = with_points(make_molecules().rename(columns={"niche": "region"}).assign(niche="a"))
    with pytest.raises(InputError, match="'region'"):
        bin_molecules(named, **options, carry=["region"], key_added="spots")
    twice = {**options, "grid": [SquareGrid(50.0), SquareGrid(50.0, angle=5.0)]}
    with pytest.raises(InputError, match="different pitches"):
        bin_molecules(sdata, **twice, key_added="both")


def test_samples_in_several_elements_have_no_place() -> None:
    molecules = two_samples()[["x", "y", "gene", "sample"]].astype({"sample": "category"})
    parts = {name: PointsModel.parse(molecules.iloc[i::2].reset_index(drop=True)) for i, name in enumerate("ab")}
    sdata = SpatialData(points=parts)
    with pytest.raises(InputError, match="of 2 points elements"):
        bin_molecules(sdata, GRIDS["square"], sample_key="sample", microns_per_unit=1.0, key_added="sq", **QUIET)
    assert names(sdata) == {"a", "b"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_interrupted_write_leaves_nothing(error: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    sdata = with_points(make_molecules())
    write = SpatialData.__setitem__

    def stop_at_table(self: SpatialData, key: str, value: object) -> None:
        write(self, key, value)
        if key.endswith("table"):
            raise error

    monkeypatch.setattr(SpatialData, "__setitem__", stop_at_table)
    with pytest.raises(error):
        bin_molecules(sdata, GRIDS["hex"], microns_per_unit=1.0, key_added="spots", **QUIET)
    assert names(sdata) == {"tx"}
