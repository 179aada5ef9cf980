"""Visium's geometry, on made and on real data."""

import inspect

import anndata
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import shapely
from anndata import AnnData
from scipy import sparse
from scipy.spatial import cKDTree

from stfmkit._core.errors import InputError
from stfmkit.pp._bin import BinOptions
from stfmkit.pp._bin import bin as bin_molecules
from stfmkit.pp._grids import HexGrid, SquareGrid
from stfmkit.pp._xisium import xisium


@pytest.fixture
def molecules(rng: np.random.Generator) -> pd.DataFrame:
    frame = pd.DataFrame(rng.uniform(0, 900, size=(20_000, 2)), columns=["x", "y"])
    return frame.assign(gene=rng.choice(["A", "B"], len(frame)))


def test_is_bin_with_the_geometry_of_visium(molecules: pd.DataFrame) -> None:
    spots = xisium(molecules, microns_per_unit=1.0, angle=4.0, carry=["gene"])
    same = bin_molecules(molecules, HexGrid(pitch=100, diameter=55, angle=4.0), microns_per_unit=1.0, carry=["gene"])
    assert (spots.X != same.X).nnz == 0
    pd.testing.assert_frame_equal(spots.obs, same.obs)
    nearest = cKDTree(spots.obsm["spatial"]).query(spots.obsm["spatial"], k=2)[0][:, 1]
    np.testing.assert_allclose(nearest, 100.0)


def test_options_are_the_keywords_of_bin() -> None:
    parameters = inspect.signature(bin_molecules).parameters.values()
    keywords = {p.name: p.annotation for p in parameters if p.kind is p.KEYWORD_ONLY}
    stated = {name: getattr(hint, "__forward_arg__", hint) for name, hint in BinOptions.__annotations__.items()}
    assert stated == keywords


def test_like_leaves_no_choice_of_the_place(molecules: pd.DataFrame) -> None:
    spots = xisium(molecules, microns_per_unit=1.0)
    again = xisium(molecules, like=spots, microns_per_unit=1.0)
    assert list(again.obs_names) == list(spots.obs_names)
    for place in ({"angle": 3.0}, {"origin": "centroid"}):
        with pytest.raises(InputError, match="leave origin and angle out"):
            xisium(molecules, like=spots, microns_per_unit=1.0, **place)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("min_qv", None),
        ("drop_controls", False),
        ("min_inside", 0.0),
        ("mask", None),
        ("columns", {"cell": "gene"}),
        ("columns", {"x": "y", "y": "x"}),
    ],
)
def test_options_reach_bin(option: str, value: object, molecules: pd.DataFrame) -> None:
    one = xisium(molecules, origin="centroid", microns_per_unit=1.0, **{option: value})
    other = bin_molecules(molecules, HexGrid(origin="centroid"), microns_per_unit=1.0, **{option: value})
    np.testing.assert_array_equal(one.X.toarray(), other.X.toarray())
    pd.testing.assert_frame_equal(one.obs, other.obs)


FILES = {
    "xenium_breast_rep1": {"microns_per_unit": 1.0},
    "cosmx_lung9": {"microns_per_unit": 0.18, "sample_key": "fov"},
    "iss_mouse_ca1": {"microns_per_unit": 0.325},
}
GRIDS = {
    "square8": SquareGrid(8.0),
    "square100": SquareGrid(100.0),
    "hex_gapless": HexGrid(100.0, diameter=None),
    "hex": HexGrid(100.0, diameter=55.0),
}


@pytest.mark.real_data
@pytest.mark.parametrize("lattice", list(GRIDS))
@pytest.mark.parametrize("name", list(FILES))
def test_real_molecules_equal_nearest_centres(real_data, name: str, lattice: str) -> None:
    path = real_data / f"{name}_molecules.parquet"
    options = FILES[name]
    binned = bin_molecules(path, GRIDS[lattice], **options, mask=None)
    table = pq.read_table(path).to_pandas()
    unit = options["microns_per_unit"]
    at = table[["x", "y"]].to_numpy(dtype=np.float64) * unit
    sample = table[options["sample_key"]].astype(str) if "sample_key" in options else pd.Series("", index=table.index)
    of_spot = (
        binned.obs[options["sample_key"]].astype(str)
        if "sample_key" in options
        else pd.Series("", index=binned.obs_names)
    )
    control = table["gene"].astype(str).str.match(r"NegPrb\d+$").to_numpy()
    counts = np.zeros(binned.shape, dtype=np.int64)
    gene = binned.var_names.get_indexer(table["gene"].astype(str))
    for group in of_spot.unique():
        spots, rows = np.flatnonzero(of_spot == group), np.flatnonzero((sample == group) & ~control)
        centers = binned.obsm["spatial"][spots]
        pitch = GRIDS[lattice].pitch
        if lattice.startswith("square"):
            # integer pixels lie on the borders of squares: count in half-open boxes around the centres
            corner = at[(sample == group).to_numpy()].min(axis=0)
            index = np.floor((at[rows] - corner) / pitch).astype(int)
            mine = np.rint((centers - corner) / pitch - 0.5).astype(int)
            place = {tuple(key): spot for key, spot in zip(mine.tolist(), spots, strict=True)}
            hit = np.array([place[tuple(key)] for key in index.tolist()])
            np.add.at(counts, (hit, gene[rows]), 1)
        else:
            distances, two = cKDTree(centers).query(at[rows], k=2)
            tie = np.abs(distances[:, 1] - distances[:, 0]) < 1e-9  # float32 positions do meet the borders
            hit = np.where(tie, two.max(axis=1), two[:, 0])  # spots are sorted by row, then column
            near = distances[:, 0] <= 27.5 if lattice == "hex" else np.full(len(rows), fill_value=True)
            np.add.at(counts, (spots[hit[near]], gene[rows[near]]), 1)
    np.testing.assert_array_equal(binned.X.toarray(), counts)
    report = binned.uns["stfmkit"]["bin"]["molecules"]
    assert report["read"] == len(table)
    assert report["control"] == control.sum()
    assert report["read"] == sum(v for k, v in report.items() if k != "read")
    if lattice != "hex":
        assert report["kept"] == len(table) - control.sum()


@pytest.mark.real_data
def test_real_squares_equal_a_join(real_data) -> None:
    import geopandas as gpd

    path = real_data / "xenium_breast_rep1_molecules.parquet"
    binned = bin_molecules(path, SquareGrid(55), microns_per_unit=1.0, carry=["cell_type"])
    assert binned.uns["stfmkit"]["bin"]["molecules"]["read"] == 79_576
    table = pq.read_table(path).to_pandas()
    x, y = binned.obsm["spatial"].T
    squares = gpd.GeoDataFrame(geometry=shapely.box(x - 27.5, y - 27.5, x + 27.5, y + 27.5), index=binned.obs_names)
    points = gpd.GeoDataFrame(table, geometry=gpd.points_from_xy(table["x"].astype(float), table["y"].astype(float)))
    hits = gpd.sjoin(points, squares, predicate="intersects")
    assert hits.index.is_unique
    expected = pd.crosstab(hits["index_right"].to_numpy(), hits["gene"].astype(str).to_numpy())
    np.testing.assert_array_equal(binned.X.toarray(), expected.loc[binned.obs_names, binned.var_names])
    kinds = pd.crosstab(hits["index_right"].to_numpy(), hits["cell_type"].astype(str).to_numpy()).drop(
        columns=["nan", "None"], errors="ignore"
    )
    np.testing.assert_array_equal(binned.obs["cell_type"].astype(str), kinds.loc[binned.obs_names].idxmax(axis=1))


@pytest.mark.real_data
def test_fields_of_view_on_one_frame_are_refused(real_data) -> None:
    with pytest.raises(InputError, match="pass sample_key='fov'"):
        xisium(real_data / "cosmx_lung9_molecules.parquet", microns_per_unit=0.18)


def correlations(one: AnnData, other: AnnData) -> pd.Series:
    """Pearson correlation of every gene across spots, of size-factor log1p."""
    logged = []
    for table in (one, other):
        counts = np.asarray(table.X.toarray(), dtype=np.float64)
        depth = counts.sum(axis=1, keepdims=True)
        logged.append(np.log1p(counts / np.maximum(depth, 1) * np.median(depth)))
    a, b = (x - x.mean(axis=0) for x in logged)
    scale = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return pd.Series(
        np.divide((a * b).sum(axis=0), scale, out=np.full(len(scale), np.nan), where=scale > 0), one.var_names
    )


@pytest.mark.real_data
def test_xenium_cells_at_the_spots_of_visium(real_data) -> None:
    visium = anndata.read_h5ad(real_data / "breast_visium_cytassist_roi.h5ad")
    xenium = anndata.read_h5ad(real_data / "breast_xenium_roi.h5ad")
    six = cKDTree(visium.obsm["spatial"]).query(visium.obsm["spatial"], k=7)[0][:, 1:]
    unit = 100.0 / np.median(six[:, :3])  # inner spots have six neighbours, one pitch away
    spots = xisium(xenium, like=visium, microns_per_unit=unit, carry=["graphclust_10x"])
    # brute force over every cell and spot
    at, places = xenium.obsm["spatial"] * unit, visium[spots.obs_names].obsm["spatial"] * unit
    inside = sparse.csr_array((np.hypot(*(places[:, None, :] - at[None]).transpose(2, 0, 1)) <= 27.5).astype(np.int64))
    np.testing.assert_array_equal(spots.X.toarray(), (inside @ xenium[:, spots.var_names].X).toarray())
    np.testing.assert_array_equal(spots.obs["n_cells"], inside.sum(axis=1))
    assert spots.n_obs > 600
    genes = spots.var_names.intersection(visium.var_names)
    assert len(genes) > 300
    r = correlations(spots[:, genes], visium[spots.obs_names, genes]).dropna()
    assert r.max() == pytest.approx(0.72, abs=0.04)
    assert r.idxmax() == "CXCL12"
    assert 0.10 < r.median() < 0.20
    assert 0.20 < r.quantile(0.75) < 0.32
    shuffled = visium[spots.obs_names[np.random.default_rng(0).permutation(spots.n_obs)], genes]
    null = correlations(spots[:, genes], shuffled).dropna()
    assert abs(null.median()) < 0.02
    assert null.max() < 0.2
    with pytest.raises(InputError, match="µm apart, with pitch=100"):
        xisium(xenium, like=visium, microns_per_unit=1.0)
