"""Spatial graphs: within samples, in the right unit, as squidpy and scikit-learn have them."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.spatial import Delaunay
from scipy.spatial.distance import cdist

from stfmkit._core.errors import InputError, MissingKeyError, StfmkitWarning, UnitsError
from stfmkit.pp._spatial_graph import KINDS, spatial_graph


@pytest.fixture
def overlapping(rng) -> ad.AnnData:
    """Two samples on the same frame, interleaved in the table, one spot apart by a hair from its twin."""
    place = rng.uniform(0, 100, (40, 2))
    xy = np.repeat(place, 2, axis=0)
    xy[1::2] += 1e-3
    obs = pd.DataFrame({"section": np.tile(["S1", "S2"], 40)}, index=[f"c{i}" for i in range(80)])
    return ad.AnnData(np.ones((80, 1), dtype=np.float32), obs=obs, obsm={"spatial": xy})


@pytest.mark.parametrize("kind", KINDS)
def test_never_across_samples(overlapping, kind):
    radius = 25 if kind == "radius" else None
    near, far = spatial_graph(
        overlapping, sample_key="section", kind=kind, radius=radius, microns_per_unit=1, copy=True
    )
    code = overlapping.obs["section"].to_numpy()
    for graph in (near.tocoo(), far.tocoo()):
        assert graph.nnz > 80
        assert (code[graph.row] == code[graph.col]).all()
    assert near.diagonal().sum() == 0
    assert near.nnz == far.nnz
    assert not overlapping.obsp
    assert not overlapping.uns


def test_overlapping_samples_need_their_key(overlapping):
    """Without it every spot would be the neighbour of its twin in the other section."""
    with pytest.raises(InputError, match=r"sample_key='section'"):
        spatial_graph(overlapping, sample_key=None, n_neighbors=1)


def test_one_frame_of_one_sample_may_do_without(overlapping):
    one = overlapping[overlapping.obs["section"] == "S1"].copy()
    by_key = spatial_graph(one, sample_key="section", copy=True)[0]
    without = spatial_graph(one, sample_key=None, copy=True)[0]
    assert (by_key != without).nnz == 0


def test_knn_is_the_nearest(overlapping):
    near, far = spatial_graph(overlapping, sample_key="section", n_neighbors=5, copy=True)
    for name in ("S1", "S2"):
        rows = np.flatnonzero(overlapping.obs["section"] == name)
        apart = cdist(*[overlapping.obsm["spatial"][rows]] * 2)
        np.fill_diagonal(apart, np.inf)
        for i, row in enumerate(rows):
            want = rows[np.argsort(apart[i])[:5]]
            assert set(near[[row]].indices) == set(want)
            np.testing.assert_allclose(np.sort(far[[row]].data), np.sort(apart[i])[:5])


def test_radius_is_in_microns(overlapping):
    """One unit is half a micron, so that 15 µm are 30 units."""
    near, far = spatial_graph(
        overlapping, sample_key="section", kind="radius", radius=15, microns_per_unit=0.5, copy=True
    )
    rows = np.flatnonzero(overlapping.obs["section"] == "S1")
    apart = cdist(*[overlapping.obsm["spatial"][rows]] * 2)
    want = (apart <= 30) & (apart > 0)
    np.testing.assert_array_equal(near[rows][:, rows].toarray() > 0, want)
    np.testing.assert_allclose(far[rows][:, rows].toarray(), np.where(want, apart, 0))
    overlapping.uns["stfmkit"] = {"microns_per_unit": 0.5}
    stored = spatial_graph(overlapping, sample_key="section", kind="radius", radius=15, copy=True)[0]
    assert (stored != near).nnz == 0


def test_radius_without_a_unit_is_refused(overlapping):
    for kind in ("radius", "delaunay"):
        with pytest.raises(UnitsError, match="microns_per_unit"):
            spatial_graph(overlapping, sample_key="section", kind=kind, radius=10)


def test_delaunay_is_scipys_and_may_be_cut(overlapping):
    near, far = spatial_graph(overlapping, sample_key="section", kind="delaunay", copy=True)
    rows = np.flatnonzero(overlapping.obs["section"] == "S2")
    want = np.zeros((40, 40), dtype=bool)
    for triangle in Delaunay(overlapping.obsm["spatial"][rows]).simplices:
        for a in triangle:
            for b in triangle:
                want[a, b] |= a != b
    np.testing.assert_array_equal(near[rows][:, rows].toarray() > 0, want)
    short, length = spatial_graph(
        overlapping, sample_key="section", kind="delaunay", radius=30, microns_per_unit=1, copy=True
    )
    assert 0 < short.nnz < near.nnz
    assert length.data.max() <= 30 < far.data.max()


def test_grid_has_no_long_edges_at_the_border():
    x, y = np.meshgrid(np.arange(5.0), np.arange(6.0))
    xy = np.column_stack([x.ravel(), y.ravel()])
    adata = ad.AnnData(np.ones((30, 1), dtype=np.float32), obsm={"spatial": xy * 200})
    near, _ = spatial_graph(adata, sample_key=None, kind="grid", n_neighbors=4, copy=True)
    want = np.abs(xy[:, None] - xy[None]).sum(axis=2) == 1
    np.testing.assert_array_equal(near.toarray() > 0, want)


def test_slots_and_squidpys_functions(overlapping):
    import squidpy as sq

    assert spatial_graph(overlapping, sample_key="section") is None
    assert overlapping.obsp["spatial_connectivities"].dtype == np.float32
    params = dict(overlapping.uns["stfmkit"]["spatial_graph"]["results"]["spatial"])
    assert "squidpy" in params.pop("versions")
    assert params == {"kind": "knn", "sample_key": "section", "spatial_key": "spatial", "n_neighbors": 6}
    overlapping.obs["type"] = pd.Categorical(np.tile(["a", "a", "b", "b"], 20))
    sq.gr.interaction_matrix(overlapping, cluster_key="type")
    assert overlapping.uns["type_interactions"].sum() == 80 * 6


def test_second_name_and_no_overwriting(overlapping, tmp_path):
    spatial_graph(overlapping, sample_key="section")
    spatial_graph(overlapping, sample_key="section", n_neighbors=3, key_added="small")
    spatial_graph(overlapping, sample_key="section", n_neighbors=4)
    graphs = overlapping.uns["stfmkit"]["spatial_graph"]["results"]
    assert {name: g["n_neighbors"] for name, g in graphs.items()} == {"spatial": 4, "small": 3}
    overlapping.write_h5ad(tmp_path / "t.h5ad")
    back = ad.read_h5ad(tmp_path / "t.h5ad")
    spatial_graph(back, sample_key="section")
    del back.uns["stfmkit"]
    with pytest.raises(InputError, match="obsp already has 'spatial_connectivities'"):
        spatial_graph(back, sample_key="section")


def test_lonely_observations_are_counted(overlapping):
    overlapping.obsm["spatial"][0] = [1e4, 1e4]
    with pytest.warns(StfmkitWarning, match="1 of 80 observations have no neighbour in the radius graph"):
        spatial_graph(overlapping, sample_key="section", kind="radius", radius=30, microns_per_unit=1)


def test_faults_are_named(overlapping):
    with pytest.raises(InputError, match="without radius"):
        spatial_graph(overlapping, sample_key="section", kind="radius")
    with pytest.raises(InputError, match="radius=5 with kind='knn'"):
        spatial_graph(overlapping, sample_key="section", radius=5)
    with pytest.raises(InputError, match="Did you mean 'knn'"):
        spatial_graph(overlapping, sample_key="section", kind="nn")
    with pytest.raises(InputError, match="fewer than 41 observations: 'S1', 'S2'"):
        spatial_graph(overlapping, sample_key="section", n_neighbors=40)
    with pytest.raises(MissingKeyError, match="Did you mean 'section'"):
        spatial_graph(overlapping, sample_key="sections")
    overlapping.obsm["spatial"][2] = overlapping.obsm["spatial"][0]
    with pytest.raises(InputError, match="share their coordinates"):
        spatial_graph(overlapping, sample_key="section")


@pytest.mark.real_data
def test_visium_grid_is_the_array(real_data):
    adata = ad.read_h5ad(real_data / "dlpfc_visium_151673_151675.h5ad")
    with pytest.warns(StfmkitWarning, match="7 of 7231"):  # spots apart from the tissue
        near, _ = spatial_graph(adata, sample_key="section", kind="grid", n_neighbors=6, copy=True)
    spots = zip(adata.obs["section"], adata.obs["array_row"], adata.obs["array_col"], strict=True)
    at = {spot: i for i, spot in enumerate(spots)}
    steps = ((0, 2), (0, -2), (1, 1), (1, -1), (-1, 1), (-1, -1))
    want = {
        (i, at[section, row + dr, col + dc])
        for (section, row, col), i in at.items()
        for dr, dc in steps
        if (section, row + dr, col + dc) in at
    }
    got = near.tocoo()
    assert set(zip(got.row.tolist(), got.col.tolist(), strict=True)) == want
