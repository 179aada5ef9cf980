"""Binned counts equal a brute-force spatial join, and every molecule is accounted for."""

import warnings
from dataclasses import replace
from pathlib import Path

import anndata
import dask.dataframe as dd
import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import shapely
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pp.molecules import GRIDS, UM, make_molecules, two_samples

from stfmkit._core.errors import InputError, MissingKeyError, UnitsError
from stfmkit.pp._bin import bin as bin_molecules
from stfmkit.pp._bin_hest import bin_hest
from stfmkit.pp._grids import HexGrid, SpotGrid, SquareGrid


@pytest.fixture
def molecules() -> pd.DataFrame:
    return make_molecules()


def outlines(binned: AnnData, angle: float) -> np.ndarray:
    """Cells as polygons, built here from the centres alone."""
    params = binned.uns["stfmkit"]["bin"]
    pitch = params["pitch"]
    if params["shape"] == "square":
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * pitch / 2
    else:
        turns = np.deg2rad(np.arange(30, 390, 60))
        corners = np.column_stack([np.cos(turns), np.sin(turns)]) * pitch / np.sqrt(3)
    turn = np.exp(1j * np.deg2rad(angle))
    turned = (corners[:, 0] + 1j * corners[:, 1]) * turn
    return shapely.polygons(binned.obsm["spatial"][:, None, :] + np.column_stack([turned.real, turned.imag])[None])


def join(binned: AnnData, molecules: pd.DataFrame, angle: float = 0.0) -> pd.DataFrame:
    """Spots × genes by geometric predicates on every pair."""
    points = gpd.GeoDataFrame(molecules, geometry=gpd.points_from_xy(molecules["x"], molecules["y"]))
    params = binned.uns["stfmkit"]["bin"]
    if params["shape"] == "hex":
        centers = gpd.GeoDataFrame(geometry=gpd.points_from_xy(*binned.obsm["spatial"].T), index=binned.obs_names)
        hits = gpd.sjoin(points, centers, predicate="dwithin", distance=params["diameter"] / 2)
    else:
        cells = gpd.GeoDataFrame(geometry=outlines(binned, angle), index=binned.obs_names)
        # the outermost molecules lie on the rim of the lattice
        hits = gpd.sjoin(points, cells, predicate="dwithin", distance=1e-9)
        assert hits.index.is_unique
    table = pd.crosstab(hits["index_right"].to_numpy(), hits["gene"].astype(str).to_numpy())
    return table.reindex(index=binned.obs_names, columns=binned.var_names, fill_value=0)


@pytest.mark.parametrize("kind", list(GRIDS))
@pytest.mark.parametrize(("angle", "origin"), [(0.0, "bbox"), (17.0, "centroid"), (-65.0, (211.0, -340.5))])
def test_equals_spatial_join(kind: str, angle: float, origin: object, molecules: pd.DataFrame) -> None:
    binned = bin_molecules(molecules, replace(GRIDS[kind], angle=angle, origin=origin), mask=None, **UM)
    good = molecules[(molecules["qv"] >= 20) & molecules["gene"].isin(["ACTB", "NANOG", "NEGR1"])]
    expected = join(binned, good, angle)
    np.testing.assert_array_equal(binned.X.toarray(), expected.to_numpy())
    report = binned.uns["stfmkit"]["bin"]["molecules"]
    assert report["kept"] == expected.to_numpy().sum()
    if kind != "hex":
        assert report["outside_spots"] == 0
        assert report["kept"] == len(good)
    controls = molecules[(molecules["qv"] >= 20) & ~molecules["gene"].isin(["ACTB", "NANOG", "NEGR1"])]
    by_spot = join(binned, controls.assign(gene="ACTB"), angle)["ACTB"]
    np.testing.assert_array_equal(binned.obs["n_control"], by_spot)
    np.testing.assert_allclose(binned.obs["control_rate"], by_spot / (by_spot + expected.sum(axis=1)))


@pytest.mark.parametrize("kind", ["hex", "square"])
def test_equals_spatialdata_aggregate(kind: str, molecules: pd.DataFrame) -> None:
    from spatialdata import SpatialData, aggregate
    from spatialdata.models import PointsModel, ShapesModel

    good = molecules[(molecules["qv"] >= 20) & molecules["gene"].isin(["ACTB", "NANOG", "NEGR1"])]
    binned = bin_molecules(good, GRIDS[kind], mask=None, **UM)
    if kind == "hex":  # aggregate buffers circles to polygons: keep clear of their rims
        away = np.hypot(
            good["x"].to_numpy()[:, None] - binned.obsm["spatial"][:, 0],
            good["y"].to_numpy()[:, None] - binned.obsm["spatial"][:, 1],
        )
        good = good[(np.abs(away - 27.5) > 0.1).all(axis=1)]
        binned = bin_molecules(
            good, replace(GRIDS[kind], origin=(molecules["x"].min(), molecules["y"].min())), mask=None, **UM
        )
        shapes = ShapesModel.parse(binned.obsm["spatial"], geometry=0, radius=27.5, index=binned.obs_names)
    else:
        shapes = ShapesModel.parse(gpd.GeoDataFrame(geometry=outlines(binned, 0.0), index=binned.obs_names))
    good = good.assign(gene=good["gene"].cat.remove_unused_categories()).reset_index(drop=True)
    points = PointsModel.parse(good[["x", "y", "gene"]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of spatialdata and dask, about their own futures
        joined = aggregate(
            values_sdata=SpatialData(points={"m": points}), values="m", by=shapes, value_key="gene", agg_func="count"
        )
    table = next(iter(joined.tables.values()))
    expected = (
        table.to_df().set_axis(table.obs["instance_id"].astype(str), axis=0).loc[binned.obs_names, binned.var_names]
    )
    np.testing.assert_array_equal(binned.X.toarray(), expected.to_numpy())


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 400),
    kind=st.sampled_from(list(GRIDS)),
    min_inside=st.sampled_from([0.0, 0.5, 1.0]),
    mask=st.sampled_from(["computed", "polygon", None]),
    drop=st.booleans(),
)
def test_totals_are_conserved(seed: int, n: int, kind: str, min_inside: float, mask: str | None, drop: bool) -> None:
    molecules = make_molecules(n, seed=seed, width=300, height=300)
    cover = shapely.box(-50, 30, 130, 260) if mask == "polygon" else mask
    try:
        binned = bin_molecules(molecules, GRIDS[kind], mask=cover, min_inside=min_inside, drop_controls=drop, **UM)
    except InputError as error:
        if "no spot left" not in error.found:
            raise
        return
    report = binned.uns["stfmkit"]["bin"]["molecules"]
    assert report["read"] == n
    assert report["read"] == sum(v for k, v in report.items() if k != "read")
    assert report["low_qv"] == (molecules["qv"] < 20).sum()
    control = molecules["gene"].isin(["NegControlProbe_00001", "BLANK_0002"]) & (molecules["qv"] >= 20)
    assert report["control"] == (control.sum() if drop else 0)
    assert report["kept"] == binned.X.sum() == binned.obs["total_counts"].sum()
    assert (binned.obs["frac_inside"] >= min_inside).all()
    assert (binned.obs["total_counts"] > 0).all()
    np.testing.assert_array_equal(binned.obs["n_genes"], (binned.X.toarray() > 0).sum(axis=1))


@pytest.mark.parametrize("size", [3, 37, 6000])
@pytest.mark.parametrize("kind", ["hex", "square"])
def test_chunks_change_nothing(size: int, kind: str, tmp_path: Path) -> None:
    molecules = make_molecules(400, width=300, height=300)
    options = {"grid": replace(GRIDS[kind], angle=12.0, origin="centroid"), "carry": ["niche"], **UM}
    whole = bin_molecules(molecules, **options)
    path = tmp_path / "molecules.parquet"
    molecules.to_parquet(path, row_group_size=150)
    shuffled = molecules.sample(frac=1, random_state=3)
    for data in (path, pa.Table.from_pandas(molecules), dd.from_pandas(molecules, npartitions=4), shuffled):
        other = bin_molecules(data, **options, chunk_size=size)
        assert (whole.X != other.X).nnz == 0
        pd.testing.assert_frame_equal(whole.obs, other.obs)
        pd.testing.assert_frame_equal(whole.var, other.var)
        np.testing.assert_array_equal(whole.obsm["spatial"], other.obsm["spatial"])
        np.testing.assert_array_equal(whole.obsm["niche_share"], other.obsm["niche_share"])
        assert whole.uns["stfmkit"]["bin"]["molecules"] == other.uns["stfmkit"]["bin"]["molecules"]


@pytest.mark.parametrize("kind", ["hex", "hex_gapless"])
def test_neighbours_for_squidpy(kind: str, molecules: pd.DataFrame) -> None:
    import squidpy as sq

    binned = bin_molecules(molecules, GRIDS[kind], mask=None, **UM)
    row, col = binned.obs["array_row"].to_numpy(), binned.obs["array_col"].to_numpy()
    assert ((row + col) % 2 == 0).all()
    assert min(row.min(), col.min()) >= 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # squidpy renames this function
        sq.gr.spatial_neighbors(binned, coord_type="grid", n_neighs=6)
    places = {place: i for i, place in enumerate(zip(row.tolist(), col.tolist(), strict=True))}
    steps = [(0, -2), (0, 2), (-1, -1), (-1, 1), (1, -1), (1, 1)]
    expected = np.zeros((len(row), len(row)))
    for (r, c), i in places.items():
        for dr, dc in steps:
            if (r + dr, c + dc) in places:
                expected[i, places[r + dr, c + dc]] = 1
    np.testing.assert_array_equal(binned.obsp["spatial_connectivities"].toarray(), expected)
    np.testing.assert_array_equal(binned.obs["border"], expected.sum(axis=1) < 6)


def test_indices_follow_an_explicit_origin(molecules: pd.DataFrame) -> None:
    far = bin_molecules(molecules, replace(GRIDS["hex_gapless"], origin=(300.0, 300.0)), mask=None, **UM)
    assert far.obs["array_row"].min() in {0, 1}
    assert far.obs["array_col"].min() in {0, 1}
    assert ((far.obs["array_row"] + far.obs["array_col"]) % 2 == 0).all()
    at = far.obsm["spatial"] - 300.0
    np.testing.assert_allclose(at[:, 0] % 30, np.round(at[:, 0] / 30) * 30 % 30, atol=1e-9)
    turned = bin_molecules(molecules, SquareGrid(50, origin=(300.0, 300.0), angle=30.0), mask=None, **UM)
    assert turned.obs["array_row"].min() == turned.obs["array_col"].min() == 0


def test_quality_is_half_open_and_optional(molecules: pd.DataFrame) -> None:
    options = {"grid": GRIDS["square"], "mask": None, **UM}
    strict = bin_molecules(molecules, **options)
    assert strict.uns["stfmkit"]["bin"]["qv"] == "qv"
    assert strict.uns["stfmkit"]["bin"]["molecules"]["low_qv"] == (molecules["qv"] < 20).sum()  # 20 itself is kept
    lax = bin_molecules(molecules, **options, min_qv=None)
    assert lax.uns["stfmkit"]["bin"]["qv"] is None
    without = bin_molecules(molecules.drop(columns="qv"), **options)
    assert without.uns["stfmkit"]["bin"]["qv"] is None
    assert without.uns["stfmkit"]["bin"]["min_qv"] == 20
    assert lax.uns["stfmkit"]["bin"]["min_qv"] is None
    assert (lax.X != without.X).nnz == 0
    with pytest.raises(MissingKeyError, match=r"columns\['qv'\]"):
        bin_molecules(molecules.drop(columns="qv"), **options, columns={"qv": "qv"})


def test_controls_by_name_category_and_key(molecules: pd.DataFrame) -> None:
    options = {"grid": GRIDS["square"], "mask": None, **UM}
    by_name = bin_molecules(molecules, **options)
    assert list(by_name.var_names) == ["ACTB", "NANOG", "NEGR1"]
    is_control = molecules["gene"].isin(["NegControlProbe_00001", "BLANK_0002"])
    words = np.where(is_control, "negative_control_probe", "predesigned_gene")
    for column, values in (("codeword_category", words), ("is_gene", ~is_control)):
        found = bin_molecules(molecules.assign(**{column: values}), **options)
        assert (found.X != by_name.X).nnz == 0
        np.testing.assert_array_equal(found.obs["n_control"], by_name.obs["n_control"])
    keyed = bin_molecules(molecules.assign(bad=molecules["gene"] == "ACTB"), **options, control_key="bad")
    assert "ACTB" not in keyed.var_names
    assert "BLANK_0002" in keyed.var_names
    kept = bin_molecules(molecules, **options, drop_controls=False)
    assert kept.var["is_control"].tolist() == [False, True, False, False, True]
    np.testing.assert_array_equal(kept.obs["n_control"], kept.X[:, [1, 4]].sum(axis=1).A1)
    with pytest.raises(InputError, match="'strange'"):
        bin_molecules(molecules.assign(codeword_category="strange"), **options)
    with pytest.raises(InputError, match="without a value in 'codeword_category'"):
        bin_molecules(molecules.assign(codeword_category=np.where(is_control, None, "gene")), **options)


def test_cells_are_counted_where_their_molecules_lie(molecules: pd.DataFrame) -> None:
    binned = bin_molecules(molecules, GRIDS["square"], mask=None, **UM)
    good = molecules[(molecules["qv"] >= 20) & ~molecules["gene"].isin(["NegControlProbe_00001", "BLANK_0002"])]
    cells = good[good["cell_id"] != "UNASSIGNED"].groupby("cell_id")[["x", "y"]].mean().assign(gene="ACTB")
    np.testing.assert_array_equal(binned.obs["n_cells"], join(binned, cells)["ACTB"])
    assert binned.obs["n_cells"].sum() == len(cells)
    loose = join(binned, good[good["cell_id"] == "UNASSIGNED"].assign(gene="ACTB"))["ACTB"]
    np.testing.assert_allclose(binned.obs["frac_unassigned"], loose / binned.obs["total_counts"])
    without = bin_molecules(molecules.drop(columns="cell_id"), GRIDS["square"], mask=None, **UM)
    assert not {"n_cells", "frac_unassigned"} & set(without.obs)


def test_carried_labels_by_majority() -> None:
    molecules = pd.DataFrame(
        {
            "x": [1.0, 2, 3, 4, 11, 12, 21, 31],
            "y": 5.0,
            "gene": "A",
            "niche": ["b", "b", "a", None, "b", "a", "UNASSIGNED", "c"],
        }
    )
    binned = bin_molecules(molecules, SquareGrid(10), mask=None, carry="niche", **UM)
    assert binned.obs["niche"].astype(object).where(binned.obs["niche"].notna(), "-").tolist() == ["b", "a", "-", "c"]
    levels = binned.uns["stfmkit"]["bin"]["levels"]["niche"]
    assert list(levels) == list(binned.obs["niche"].cat.categories) == ["a", "b", "c"]
    share = binned.obsm["niche_share"]
    assert share.dtype == np.float32
    np.testing.assert_allclose(share, [[1 / 3, 2 / 3, 0], [0.5, 0.5, 0], [0, 0, 0], [0, 0, 1]], rtol=1e-6)


def test_labels_equal_a_join(molecules: pd.DataFrame) -> None:
    binned = bin_molecules(molecules, GRIDS["hex"], mask=None, carry=["niche"], **UM)
    good = molecules[(molecules["qv"] >= 20) & ~molecules["gene"].isin(["NegControlProbe_00001", "BLANK_0002"])]
    counts = pd.DataFrame(
        {level: join(binned, part.assign(gene="ACTB"))["ACTB"] for level, part in good.groupby("niche")}
    )
    np.testing.assert_array_equal(binned.obs["niche"].astype(str), counts.idxmax(axis=1))
    np.testing.assert_allclose(binned.obsm["niche_share"], counts.div(counts.sum(axis=1), axis=0), rtol=1e-6)


def test_each_sample_has_its_own_lattice() -> None:
    both = two_samples()
    binned = bin_molecules(both, GRIDS["hex"], sample_key="sample", carry=["niche"], **UM)
    assert binned.obs_names.is_unique
    assert binned.obs["sample"].tolist() == sorted(binned.obs["sample"])
    for name, part in both.groupby("sample"):
        alone = bin_molecules(part.drop(columns="sample"), GRIDS["hex"], carry=["niche"], **UM)
        here = binned[binned.obs["sample"] == name]
        assert [n.removeprefix(f"{name}_") for n in here.obs_names] == list(alone.obs_names)
        np.testing.assert_array_equal(here.X.toarray(), alone.X.toarray())
        np.testing.assert_array_equal(here.obsm["spatial"], alone.obsm["spatial"])
        for column in ("border", "frac_inside", "n_cells", "n_control", "array_row", "array_col"):
            np.testing.assert_array_equal(here.obs[column], alone.obs[column])
    assert binned.obs_names[0].startswith("S1_r0")


@pytest.mark.parametrize("column", ["sample", "fov", "Patient_ID"])
def test_samples_on_one_frame_are_refused(column: str) -> None:
    both = two_samples().rename(columns={"sample": column})
    with pytest.raises(InputError, match=rf"pass sample_key='{column}'"):
        bin_molecules(both, GRIDS["square"], **UM)


def test_samples_side_by_side_are_one_frame_if_wanted(molecules: pd.DataFrame) -> None:
    molecules["section"] = np.where(molecules["x"] > 200, "right", "left")
    binned = bin_molecules(molecules, GRIDS["square"], mask=None, **UM)
    assert "section" not in binned.obs


def test_masks(molecules: pd.DataFrame) -> None:
    polygon = shapely.box(0, 100, 300, 400).difference(shapely.box(120, 180, 160, 220))
    for kind, grid in GRIDS.items():
        binned = bin_molecules(molecules, grid, mask=polygon, min_inside=0.0, **UM)
        if kind == "hex":
            spots = shapely.buffer(shapely.points(binned.obsm["spatial"]), 27.5, quad_segs=64)
        else:
            spots = outlines(binned, 0.0)
        share = shapely.area(shapely.intersection(spots, polygon)) / shapely.area(spots)
        np.testing.assert_allclose(binned.obs["frac_inside"], share, atol=1e-3)
        assert (binned.obs["frac_inside"] <= 1).all()
        strict = bin_molecules(molecules, grid, mask=polygon, min_inside=0.6, **UM)
        assert list(strict.obs_names) == list(binned.obs_names[binned.obs["frac_inside"] >= 0.6])
        report = strict.uns["stfmkit"]["bin"]
        assert report["spots"]["below_min_inside"] == binned.n_obs - strict.n_obs
        assert report["molecules"]["in_dropped_spots"] == binned.X.sum() - strict.X.sum()
        np.testing.assert_array_equal(strict.X.toarray(), binned[strict.obs_names].X.toarray())  # never rescaled


def test_mask_for_every_sample() -> None:
    both = two_samples()
    left = shapely.box(-50, 0, 120, 800)
    binned = bin_molecules(both, GRIDS["square"], sample_key="sample", mask={"S1": left, "S2": None}, **UM)
    assert binned.obsm["spatial"][binned.obs["sample"] == "S1", 0].max() < 145
    assert (binned.obs.loc[binned.obs["sample"] == "S2", "frac_inside"] == 1).all()
    with pytest.raises(MissingKeyError, match="'S2'"):
        bin_molecules(both, GRIDS["square"], sample_key="sample", mask={"S1": left}, **UM)


def test_unit_scales_positions(molecules: pd.DataFrame) -> None:
    pixels = molecules.assign(x=molecules["x"] / 0.25, y=molecules["y"] / 0.25)
    one = bin_molecules(molecules, GRIDS["hex"], **UM)
    other = bin_molecules(pixels, GRIDS["hex"], microns_per_unit=0.25, show_progress=False)
    assert (one.X != other.X).nnz == 0
    assert other.uns["stfmkit"]["microns_per_unit"] == 1.0
    with pytest.raises(UnitsError, match="microns_per_unit"):
        bin_molecules(molecules, GRIDS["hex"])
    xenium = molecules.rename(columns={"x": "x_location", "y": "y_location", "gene": "feature_name"})
    assert (bin_molecules(xenium, GRIDS["hex"]).X != one.X).nnz == 0


def test_like_puts_circles_at_given_places(molecules: pd.DataFrame) -> None:
    spots = bin_molecules(molecules, GRIDS["hex"], mask=None, **UM)
    again = bin_molecules(molecules, SpotGrid(spots), mask=None, **UM)
    assert (again.X != spots.X).nnz == 0
    columns = ["array_row", "array_col", "border", "n_cells", "n_control"]
    pd.testing.assert_frame_equal(again.obs[columns], spots.obs[columns])
    # places in other units, without a unit of their own, turned and moved
    other = AnnData(np.ones((spots.n_obs, 1)), obs=pd.DataFrame(index=spots.obs_names + "-x"))
    other.obsm["spatial"] = spots.obsm["spatial"] / 0.5 + 3.3
    moved = bin_molecules(molecules, SpotGrid(_with_unit(other, 0.5)), mask=None, **UM)
    assert {n[-2:] for n in moved.obs_names} == {"-x"}
    good = molecules[(molecules["qv"] >= 20) & molecules["gene"].isin(["ACTB", "NANOG", "NEGR1"])]
    np.testing.assert_array_equal(moved.X.toarray(), join(moved, good).to_numpy())
    with pytest.raises(UnitsError):
        bin_molecules(molecules.rename(columns={"x": "x_location", "y": "y_location"}), SpotGrid(other))
    with pytest.raises(InputError, match="200 µm apart, with pitch=100"):
        bin_molecules(molecules, SpotGrid(other), **UM)


def _with_unit(adata: AnnData, unit: float) -> AnnData:
    copy = adata.copy()
    copy.uns["stfmkit"] = {"microns_per_unit": unit}
    return copy


def test_like_by_sample() -> None:
    both = two_samples()
    spots = bin_molecules(both, GRIDS["hex"], sample_key="sample", mask=None, **UM)
    again = bin_molecules(both, SpotGrid(spots), sample_key="sample", mask=None, **UM)
    assert (again.X != spots.X).nnz == 0
    assert list(again.obs["sample"]) == list(spots.obs["sample"])
    with pytest.raises(InputError, match="µm apart"):  # two arrays on one frame
        bin_molecules(both.assign(sample="S1").drop(columns="sample"), SpotGrid(spots), mask=None, **UM)
    with pytest.raises(MissingKeyError, match="'S2'"):
        bin_molecules(both, SpotGrid(spots[spots.obs["sample"] == "S1"].copy()), sample_key="sample", **UM)


def test_hest_squares(molecules: pd.DataFrame) -> None:
    binned = bin_hest(molecules, **UM)
    x0, y0 = molecules["x"].min(), molecules["y"].min()
    cell = pd.MultiIndex.from_arrays(
        [((molecules["y"] - y0) // 100).astype(int), ((molecules["x"] - x0) // 100).astype(int)]
    )
    expected = pd.crosstab(
        [cell.get_level_values(0), cell.get_level_values(1)], molecules["gene"].astype(str).to_numpy()
    )
    np.testing.assert_array_equal(binned.X.toarray(), expected[list(binned.var_names)].to_numpy())
    assert list(zip(binned.obs["array_row"], binned.obs["array_col"], strict=True)) == list(expected.index)
    assert binned.var["is_control"].sum() == 2
    first = binned.obsm["spatial"][0]
    np.testing.assert_allclose(first, [x0 + 50, y0 + 50])
    assert binned.uns["stfmkit"]["bin"]["mask"] is None
    for option in ({"min_qv": 20}, {"mask": None, "drop_controls": True}):
        with pytest.raises(InputError, match="which fixes"):
            bin_hest(molecules, **option, **UM)


def test_captured_share_of_uniform_tissue() -> None:
    rng = np.random.default_rng(5)
    molecules = pd.DataFrame(rng.uniform(0, 4000, size=(200_000, 2)), columns=["x", "y"]).assign(gene="A")
    binned = bin_molecules(molecules, GRIDS["hex"], **UM)
    inside = binned.obs["frac_inside"] == 1
    assert inside.mean() > 0.9
    density = len(molecules) / 4000**2
    expected = np.pi * 27.5**2 * density
    assert binned.obs.loc[inside, "total_counts"].mean() == pytest.approx(expected, rel=0.02)
    full = bin_molecules(molecules, HexGrid(100, diameter=None), mask=None, **UM)
    assert binned.X.sum() / full.X.sum() == pytest.approx(0.274, abs=0.01)


def test_survives_disk(molecules: pd.DataFrame, tmp_path: Path) -> None:
    binned = bin_molecules(molecules, GRIDS["hex"], carry=["niche"], **UM)
    binned.write_h5ad(tmp_path / "spots.h5ad")
    back = anndata.read_h5ad(tmp_path / "spots.h5ad")
    pd.testing.assert_frame_equal(back.obs, binned.obs)
    assert back.uns["stfmkit"]["microns_per_unit"] == 1.0
    params = back.uns["stfmkit"]["bin"]
    assert (params["shape"], params["pitch"], params["diameter"]) == ("hex", 100.0, 55.0)
    assert params["molecules"] == binned.uns["stfmkit"]["bin"]["molecules"]
    assert list(params["levels"]["niche"]) == ["stroma", "tumour"]


def test_input_is_left_alone(molecules: pd.DataFrame) -> None:
    before = molecules.copy()
    bin_molecules(molecules, GRIDS["hex"], carry=["niche"], **UM)
    pd.testing.assert_frame_equal(molecules, before)
