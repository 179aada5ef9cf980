"""Several grids, footers, threads and clusters: the same bits, whatever way the molecules are read."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pp.molecules import GRIDS, UM, make_molecules, two_samples

from stfmkit._core.errors import InputError
from stfmkit._kernels import _counts, _runs
from stfmkit.pp._bin import bin as bin_molecules
from stfmkit.pp._binning import count, extents
from stfmkit.pp._binning.columns import MoleculeKeys
from stfmkit.pp._binning.extents import footer_boxes
from stfmkit.pp._binning.plan import BinSettings, make_plan
from stfmkit.pp._binning.sources import open_molecules, open_sources
from stfmkit.pp._grids import Grid, HexGrid, SpotGrid, SquareGrid


def same(one: AnnData, other: AnnData) -> None:
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(one.X, part), getattr(other.X, part))
    pd.testing.assert_frame_equal(one.obs, other.obs)
    pd.testing.assert_frame_equal(one.var, other.var)
    for key in one.obsm:
        np.testing.assert_array_equal(one.obsm[key], other.obsm[key])
    assert one.uns["stfmkit"]["bin"]["molecules"] == other.uns["stfmkit"]["bin"]["molecules"]
    np.testing.assert_array_equal(one.uns["stfmkit"]["bin"]["origin"], other.uns["stfmkit"]["bin"]["origin"])


@pytest.fixture
def molecules() -> pd.DataFrame:
    return make_molecules(3000)


@pytest.mark.parametrize("shape", ["square", "hex_gapless"])
@pytest.mark.parametrize("mask", ["computed", None])
def test_several_grids_equal_single_calls(shape: str, mask: str | None, molecules: pd.DataFrame) -> None:
    options = {"mask": mask, "carry": ["niche"], **UM}
    grids: list[Grid] = [_grid(shape, pitch) for pitch in (8, 16, 55.0, 100)]
    tables = bin_molecules(molecules, grids, **options)
    for grid, table in zip(grids, tables, strict=True):
        same(table, bin_molecules(molecules, grid, **options))
    if mask is None:
        assert len({table.X.sum() for table in tables}) == 1


def _grid(shape: str, pitch: float) -> Grid:
    return SquareGrid(pitch, angle=5.0) if shape == "square" else HexGrid(pitch, diameter=None, angle=5.0)


def test_grids_of_any_kind_go_together(molecules: pd.DataFrame) -> None:
    spots = bin_molecules(molecules, HexGrid(), mask=None, **UM)
    grids: list[Grid] = [
        HexGrid(),
        HexGrid(60, diameter=20),
        SquareGrid(20),
        SquareGrid(40, angle=3.0),
        SquareGrid(40, origin="centroid"),
        SquareGrid(40),
        HexGrid(50, diameter=None, origin=(3.0, 4.0)),
        SpotGrid(spots, diameter=40),
    ]
    for grid, table in zip(grids, bin_molecules(molecules, grids, **UM), strict=True):
        same(table, bin_molecules(molecules, grid, **UM))
    (alone,) = bin_molecules(molecules, [HexGrid()], mask=None, **UM)
    same(alone, spots)


@settings(deadline=None, max_examples=8)
@given(
    seed=st.integers(0, 99),
    pitch=st.floats(3.0, 30.0),
    angle=st.sampled_from([0.0, 90.0, 17.3]),
    origin=st.sampled_from(["bbox", "centroid", (41.5, 600.25)]),
    dense=st.sampled_from([0, 1 << 25]),
    drop=st.booleans(),
)
def test_squares_of_several_grids_nest(
    seed: int, pitch: float, angle: float, origin: object, dense: int, drop: bool
) -> None:
    pitch = round(pitch * 4) / 4
    molecules = two_samples().sample(frac=0.3, random_state=seed)
    options = {"mask": None, "drop_controls": drop, "carry": ["niche"], "sample_key": "sample", **UM}
    grids = [SquareGrid(step * pitch, angle=angle, origin=origin) for step in (3, 1, 2, 6)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_counts.CountTable.__init__, "__kwdefaults__", {"dense": dense})
        patch.setattr(_runs, "_BLOCK", 300)
        tables = dict(zip((3, 1, 2, 6), bin_molecules(molecules, grids, **options), strict=True))
    fine = tables[1]
    lower = lattice_index(fine, pitch, angle)
    for factor in (2, 3, 6):
        coarse, grid = tables[factor], SquareGrid(factor * pitch, angle=angle, origin=origin)
        same(coarse, bin_molecules(molecules, grid, **options))  # counted molecule by molecule
        upper = pd.MultiIndex.from_arrays([coarse.obs["sample"], *lattice_index(coarse, factor * pitch, angle)])
        parent = pd.MultiIndex.from_arrays([fine.obs["sample"], *(axis // factor for axis in lower)])
        sums = fine.to_df().groupby(parent).sum()
        assert list(sums.index) == list(upper)
        np.testing.assert_array_equal(sums.to_numpy(), coarse.X.toarray())


def lattice_index(table: AnnData, pitch: float, angle: float) -> list[np.ndarray]:
    """Return row and column of squares from their centres and the origin of their sample."""
    stored = table.uns["stfmkit"]["bin"]
    at = dict(zip(stored["samples"], stored["origin"], strict=True))
    dx, dy = (table.obsm["spatial"] - np.array([at[s] for s in table.obs["sample"]])).T
    turn = np.deg2rad(angle)
    u, v = np.cos(turn) * dx + np.sin(turn) * dy, np.cos(turn) * dy - np.sin(turn) * dx
    return [np.rint(axis / pitch - 0.5).astype(int) for axis in (v, u)]


def test_only_exact_multiples_are_made_of_finer_squares() -> None:
    def summed_from(*grids: Grid) -> list[int | None]:
        box = {"": extents.Extent((0.0, 0.0, 9.0, 9.0), n=1)}
        return make_plan(BinSettings(mask=None), grids, box, check_overlap=False).summed_from

    def squares(*sizes: float) -> list[int | None]:
        return summed_from(*map(SquareGrid, sizes))

    assert squares(8, 16, 55, 100) == [None, 0, None, None]
    assert squares(48, 16, 8, 24, 55) == [2, 2, None, 2, None]
    assert squares(2, 3, 6, 12) == [None, None, 1, 1]
    assert squares(0.1, 0.3) == [None, None]  # 0.3 is not three times 0.1 in floating point
    assert summed_from(HexGrid(8, diameter=None), HexGrid(16, diameter=None)) == [None, None]
    assert summed_from(HexGrid(8, diameter=None), SquareGrid(16)) == [None, None]
    assert summed_from(SquareGrid(8), SquareGrid(16, angle=1.0)) == [None, None]
    assert summed_from(SquareGrid(8), SquareGrid(16, origin="centroid"), SquareGrid(32)) == [None, None, 0]


def test_several_grids_of_cells() -> None:
    rng = np.random.default_rng(0)
    cells = AnnData(rng.poisson(1.0, (200, 3)).astype(np.float32), obsm={"spatial": rng.uniform(0, 300, (200, 2))})
    grids = [SquareGrid(20), SquareGrid(40), HexGrid()]
    for grid, table in zip(grids, bin_molecules(cells, grids, mask=None, **UM), strict=True):
        same(table, bin_molecules(cells, grid, mask=None, **UM))


def boxes(path: Path) -> object:
    sources = open_sources(open_molecules(path), MoleculeKeys(), with_qv=True, microns_per_unit=1.0)
    return footer_boxes((s.table, s.columns, s.unit) for s in sources)


def test_footers_save_a_pass(molecules: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.parquet"
    molecules.to_parquet(path, row_group_size=700)
    box = boxes(path)[""].box
    assert box == (*molecules[["x", "y"]].min(), *molecules[["x", "y"]].max())
    expected = bin_molecules(molecules, GRIDS["hex"], **UM)
    monkeypatch.setattr(count, "_two_passes", None)
    same(bin_molecules(path, GRIDS["hex"], **UM), expected)
    same(bin_molecules(path, GRIDS["hex"], **UM, chunk_size=13), expected)


def test_footers_that_say_nothing_are_not_trusted(molecules: pd.DataFrame, tmp_path: Path) -> None:
    expected = bin_molecules(molecules, GRIDS["square"], **UM)
    pq.write_table(pa.Table.from_pandas(molecules), tmp_path / "bare.parquet", write_statistics=False)
    assert boxes(tmp_path / "bare.parquet") is None
    same(bin_molecules(tmp_path / "bare.parquet", GRIDS["square"], **UM), expected)
    broken = molecules.assign(x=molecules["x"].where(molecules.index != 5, np.inf))
    broken.to_parquet(tmp_path / "infinite.parquet")
    assert boxes(tmp_path / "infinite.parquet") is None
    for bad in (np.nan, np.inf):
        molecules.assign(x=molecules["x"].where(molecules.index != 5, bad)).to_parquet(tmp_path / "bad.parquet")
        with pytest.raises(InputError, match="1 of 3000 molecules with NaN, missing or infinite 'x'"):
            bin_molecules(tmp_path / "bad.parquet", GRIDS["square"], **UM)


@pytest.mark.parametrize("lie", ["small", "large"])
def test_footers_that_lie_are_noticed(
    lie: str, molecules: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.parquet"
    molecules.to_parquet(path, row_group_size=500)
    expected = bin_molecules(molecules, GRIDS["hex"], carry=["niche"], **UM)

    def wrong(sources: object) -> object:
        found = footer_boxes(sources)
        x0, y0, x1, y1 = found[""].box
        found[""].box = (x0 + 100, y0, x1, y1) if lie == "small" else (x0, y0 - 70, x1, y1)
        return found

    monkeypatch.setattr(count, "footer_boxes", wrong)
    same(bin_molecules(path, GRIDS["hex"], carry=["niche"], **UM), expected)


def test_molecules_that_change_on_the_way_are_refused(molecules: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extents.Extent, "add", lambda self, x, y: self.widen((0.0, 0.0, 100.0, 100.0)))
    with pytest.raises(InputError, match="changed while they were read"):
        bin_molecules(molecules, GRIDS["square"], **UM)


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("dense", [0, 1 << 25])
@pytest.mark.parametrize("sample_key", [None, "sample"])
def test_threads_and_tables_change_nothing(
    threads: int, dense: int, sample_key: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    molecules = two_samples()
    if sample_key is None:
        molecules = molecules[molecules["sample"] == "S2"].drop(columns="sample")
    options = {"grid": GRIDS["square"], "carry": ["niche"], "sample_key": sample_key, **UM}
    expected = bin_molecules(molecules, **options)
    shuffled = molecules.sample(frac=1, random_state=1).astype({"gene": str})
    shuffled.to_parquet(tmp_path / "m.parquet", row_group_size=150)
    monkeypatch.setattr(count, "_MOST_THREADS", threads)
    monkeypatch.setattr(count, "_cores", lambda: 4)
    monkeypatch.setattr(_counts.CountTable.__init__, "__kwdefaults__", {"dense": dense})
    same(bin_molecules(tmp_path / "m.parquet", **options), expected)
    kept = bin_molecules(molecules, **options, drop_controls=False)
    same(bin_molecules(tmp_path / "m.parquet", **options, drop_controls=False), kept)


def test_an_error_in_a_thread_stops_all(molecules: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    molecules.to_parquet(path, row_group_size=100, compression=None, use_dictionary=False)
    data = bytearray(path.read_bytes())
    data[20_000:40_000] = b"\xff" * 20_000
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match=r"cannot be read as parquet|molecules with"):
        bin_molecules(path, GRIDS["square"], **UM)


def test_cells_of_fields_and_samples_stay_apart() -> None:
    frame = pd.DataFrame(
        {
            "x_global_px": [1.0, 2, 3, 4, 30, 30.5, 1, 2],
            "y_global_px": 1.0,
            "target": "A",
            "cell_ID": [1, 1, 1, 1, 2, 0, 1, 2],
            "fov": [1, 1, 2, 2, 2, 2, 1, 1],
            "slide": ["a", "a", "a", "a", "a", "a", "b", "b"],
        }
    )
    binned = bin_molecules(frame, SquareGrid(10), mask=None, sample_key="slide", **UM)
    assert binned.obs["n_cells"].tolist() == [2, 1, 2]
    assert binned.obs["frac_unassigned"].tolist() == [0.0, 0.5, 0.0]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_cluster_of_two_workers_gives_the_same_bits() -> None:
    import dask.dataframe as dd
    from distributed import Client, LocalCluster

    molecules = two_samples()
    options = {"grid": HexGrid(origin="centroid"), "carry": ["niche"], "sample_key": "sample", **UM}
    expected = bin_molecules(molecules, **options)
    broken = molecules.assign(x=molecules["x"].where(molecules.index != 5, np.nan))
    plain = molecules[molecules["sample"] == "S1"].drop(columns="sample")
    squares = {"grid": [SquareGrid(8), SquareGrid(50)], "drop_controls": False, **UM}
    alone = bin_molecules(plain, **squares)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        before = client.run(lambda dask_worker: dask_worker.state.transition_counter)
        same(bin_molecules(dd.from_pandas(molecules, npartitions=11), **options), expected)
        after = client.run(lambda dask_worker: dask_worker.state.transition_counter)
        assert all(after[worker] > before[worker] for worker in before)  # both have worked
        found = bin_molecules(dd.from_pandas(plain, npartitions=3), **squares)
        for table, other in zip(found, alone, strict=True):
            same(table, other)
        with pytest.raises(InputError, match="1 of 3500 molecules with NaN"):
            bin_molecules(dd.from_pandas(broken, npartitions=4), **options)
