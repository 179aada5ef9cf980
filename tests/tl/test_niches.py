"""Niches found without labels: what is written, oracles of the features, recovery, and bad input."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

import stfmkit as sk
from stfmkit._core.errors import InputError, MissingKeyError, StfmkitWarning, UnitsError
from stfmkit.evaluation.clusters import cluster
from stfmkit.evaluation.stability import choose_number

CELLS = {"sample_key": "sample", "celltype_key": "cell_type"}


@pytest.fixture(scope="module")
def cohort():
    return sk.datasets.synthetic_cohort(3, n_genes=40, size=600, as_="anndata", show_progress=False)


@pytest.fixture
def stripes(rng):
    """Two samples on one frame; three stripes, each with its own cell type and gene, and noise in both."""
    xy = rng.uniform(0, 900, size=(600, 2))
    stripe = (xy[:, 0] // 300).astype(int)
    kind = np.where(rng.random(600) < 0.2, rng.integers(0, 3, 600), stripe)
    rate = np.where(np.arange(12)[None, :] // 4 == stripe[:, None], 4.0, 1.0)
    obs = pd.DataFrame(
        {
            "sample": np.repeat(["A", "B"], 300),
            "stripe": [f"s{s}" for s in stripe],
            "cell_type": [f"t{t}" for t in kind],
        },
        index=[f"cell{i}" for i in range(600)],
    )
    adata = ad.AnnData(rng.poisson(rate).astype(np.float32) + (np.arange(12) == 0), obs=obs, obsm={"spatial": xy})
    adata.uns["stfmkit"] = {"microns_per_unit": 1.0}
    return adata


def find(adata, **options):
    return sk.tl.niches(adata, copy=True, **options)


def score(adata, found, key):
    return adjusted_rand_score(adata.obs[key].astype(str), found)


def slow_composition(adata, *, k=None, radius=None):
    shares = pd.get_dummies(adata.obs["cell_type"]).to_numpy(dtype=float)
    out = np.empty_like(shares)
    for sample in adata.obs["sample"].unique():
        rows = np.flatnonzero(adata.obs["sample"] == sample)
        xy = adata.obsm["spatial"][rows]
        tree = cKDTree(xy)
        for i, row in enumerate(rows):
            near = tree.query(xy[i], k=k + 1)[1] if radius is None else tree.query_ball_point(xy[i], radius)
            out[row] = shares[rows[near]].mean(axis=0)
    return out


@pytest.mark.parametrize("scope", [{"n_neighbors": 15}, {"radius": 120.0}])
def test_composition_is_that_of_the_slow_loop(stripes, scope):
    features = slow_composition(stripes, k=scope.get("n_neighbors"), radius=scope.get("radius"))
    expected = KMeans(3, n_init=10, random_state=0).fit_predict(features)
    found = find(stripes, **CELLS, n_clusters=3, **scope)
    assert adjusted_rand_score(expected, found) > 0.98
    assert score(stripes, found, "stripe") > 0.75


@pytest.mark.parametrize("method", ["kmeans", "gmm"])
@pytest.mark.parametrize("features", ["composition", "neighbor_pca"])
def test_stripes_are_recovered_across_samples(stripes, features, method):
    options = {"celltype_key": "cell_type"} if features == "composition" else {"n_components": 5}
    found = find(stripes, sample_key="sample", features=features, method=method, n_clusters=3, **options)
    assert score(stripes, found, "stripe") > 0.7
    assert found.value_counts().index.tolist() == ["0", "1", "2"]  # from the largest
    assert found.cat.categories.tolist() == ["0", "1", "2"]


def test_synthetic_niches_lie_between_chance_and_the_truth(cohort):
    found = find(cohort, **CELLS, n_clusters=4, n_neighbors=40)
    own = score(cohort, found, "niche")
    place = KMeans(4, n_init=10, random_state=0).fit_predict(cohort.obsm["spatial"])
    shuffled = cohort.copy()
    shuffled.obs["cell_type"] = np.random.default_rng(0).permutation(cohort.obs["cell_type"])
    assert own > 0.25
    assert own > score(cohort, place, "niche") + 0.15
    assert abs(score(cohort, find(shuffled, **CELLS, n_clusters=4, n_neighbors=40), "niche")) < 0.05
    assert own < 1  # neighbourhoods are noisy


def test_the_number_is_chosen_without_labels(stripes):
    without = stripes.copy()
    del without.obs["stripe"]
    found = find(without, **CELLS, n_neighbors=25, n_clusters=range(2, 5))
    assert found.nunique() == 3
    few = stripes[::3].copy()
    sk.tl.niches(few, **CELLS, n_neighbors=25)
    facts = few.uns["stfmkit"]["niches"]["results"]["niche"]
    assert facts["numbers"].tolist() == list(range(2, 13))
    good = facts["numbers"][facts["stability"] >= facts["stability"].max() - 0.025]
    assert facts["n_clusters"] == good.max() == few.obs["niche"].nunique()


def test_niches_are_written_with_their_provenance_and_nothing_else(stripes, tmp_path):
    before = stripes.copy()
    expected = find(stripes, **CELLS, n_clusters=[2, 3, 4])
    assert list(stripes.obs) == list(before.obs)
    assert sk.tl.niches(stripes, **CELLS, n_clusters=[2, 3, 4]) is None
    pd.testing.assert_series_equal(stripes.obs["niche"], expected)
    facts = stripes.uns["stfmkit"]["niches"]["results"]["niche"]
    assert (facts["features"], facts["n_clusters"], facts["n_neighbors"]) == ("composition", 3, 10)
    assert facts["numbers"].tolist() == [2, 3, 4]
    assert facts["stability"].shape == facts["spread"].shape == (3,)
    assert facts["stability"].max() - facts["stability"][1] <= 0.025
    stripes.copy().write_h5ad(tmp_path / "a.h5ad")
    back = ad.read_h5ad(tmp_path / "a.h5ad")
    pd.testing.assert_series_equal(back.obs["niche"], expected)
    assert back.uns["stfmkit"]["niches"]["results"]["niche"]["stability"].tolist() == facts["stability"].tolist()
    sk.tl.niches(stripes, **CELLS, n_clusters=2)  # the same step may write again
    del stripes.obs["niche"], stripes.uns["stfmkit"]["niches"]
    assert stripes.uns == before.uns
    pd.testing.assert_frame_equal(stripes.obs, before.obs)
    np.testing.assert_array_equal(stripes.X, before.X)


def test_an_annotation_is_never_overwritten(cohort):
    with pytest.raises(InputError, match=r"obs already has 'niche'(?s:.)*key_added"):
        sk.tl.niches(cohort, **CELLS, n_clusters=3)


def test_same_seed_same_bits_and_samples_do_not_touch(stripes):
    options = CELLS | {"n_clusters": 3}
    pd.testing.assert_series_equal(find(stripes, **options, rng=4), find(stripes, **options, rng=4))
    moved = stripes.copy()
    moved.obsm["spatial"] = stripes.obsm["spatial"] + np.where(stripes.obs["sample"] == "A", 0, 1e5)[:, None]
    pd.testing.assert_series_equal(find(moved, **options), find(stripes, **options))


def test_radius_is_in_microns(stripes):
    half = stripes.copy()
    half.obsm["spatial"] = stripes.obsm["spatial"] / 2
    found = find(half, **CELLS, n_clusters=3, radius=120.0, microns_per_unit=2.0)
    pd.testing.assert_series_equal(found, find(stripes, **CELLS, n_clusters=3, radius=120.0))
    del half.uns["stfmkit"]
    with pytest.raises(UnitsError, match="microns_per_unit"):
        find(half, **CELLS, n_clusters=3, radius=120.0)


def test_shares_work_as_labels_do(stripes):
    stripes.obsm["shares"] = pd.get_dummies(stripes.obs["cell_type"]).to_numpy(dtype=np.float32)
    options = {"sample_key": "sample", "n_clusters": 3}
    pd.testing.assert_series_equal(
        find(stripes, celltype_key="shares", **options), find(stripes, celltype_key="cell_type", **options)
    )


def test_centring_takes_off_what_a_group_has_of_its_own(stripes):
    """One gene is ten times as high in one sample, and would be a niche."""
    stripes.X[:, 0] *= np.where(stripes.obs["sample"] == "B", 30, 1)
    options = {"sample_key": "sample", "features": "neighbor_pca", "n_clusters": 3, "n_components": 3}
    raw, centred = find(stripes, **options), find(stripes, **options, center_key="sample")
    assert score(stripes, centred, "stripe") > score(stripes, raw, "stripe") + 0.2


def test_one_sample_needs_no_key(stripes):
    one = stripes[stripes.obs["sample"] == "A"].copy()
    del one.obs["sample"]
    assert find(one, sample_key=None, celltype_key="cell_type", n_clusters=2).nunique() == 2


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"features": "leiden"}, InputError, "features='leiden'"),
        ({"method": "louvain", "celltype_key": "cell_type"}, InputError, "method='louvain'"),
        ({}, InputError, r"without celltype_key(?s:.)*features='neighbor_pca'"),
        ({"celltype_key": "type"}, MissingKeyError, "'type' is neither"),
        ({"features": "neighbor_pca", "celltype_key": "cell_type"}, InputError, "leave celltype_key out"),
        ({"features": "neighbor_pca", "radius": 50}, InputError, "with radius"),
        ({"features": "neighbor_pca", "layer": "raw"}, MissingKeyError, "no layer named 'raw'"),
        ({"celltype_key": "cell_type", "layer": "raw"}, InputError, "with layer"),
        ({"celltype_key": "cell_type", "radius": 50, "n_neighbors": 5}, InputError, "leave one of them out"),
        ({"celltype_key": "cell_type", "radius": -1}, InputError, "radius=-1"),
        ({"celltype_key": "cell_type", "n_neighbors": 0}, InputError, "n_neighbors=0"),
        ({"celltype_key": "cell_type", "n_clusters": 1}, InputError, "n_clusters=1"),
        ({"celltype_key": "cell_type", "n_clusters": [3, 3]}, InputError, "each once"),
        ({"celltype_key": "cell_type", "n_clusters": []}, InputError, "each once"),
        ({"celltype_key": "cell_type", "n_clusters": [2, 599]}, InputError, "surroundings|in a part of"),
        ({"celltype_key": "cell_type", "center_key": "patient"}, MissingKeyError, "center_key='patient'"),
        ({"celltype_key": "cell_type", "sample_key": "slide"}, MissingKeyError, "sample_key='slide'"),
        ({"celltype_key": "cell_type", "sample_key": None}, InputError, "no sample_key, and the 2 groups"),
    ],
)
def test_unusable_options_are_refused(stripes, options, error, words):
    with pytest.raises(error, match=words):
        find(stripes, **({"sample_key": "sample"} | options))


@pytest.mark.parametrize(
    ("slot", "words"),
    [
        ("cell_type", "1 of 600 observations without an id in obs\\['cell_type'\\]"),
        ("sample", "1 of 600 observations without an id in obs\\['sample'\\]"),
        ("spatial", "1 observations with NaN or infinite coordinates: 'cell0'"),
        ("X", "1 observations without any count: 'cell0'"),
    ],
)
def test_what_is_missing_is_named(stripes, slot, words):
    options = CELLS | {"n_clusters": 3}
    if slot == "spatial":
        stripes.obsm["spatial"][0, 1] = np.inf
    elif slot == "X":
        stripes.X[0] = 0
        options = {"sample_key": "sample", "features": "neighbor_pca", "n_clusters": 3}
    else:
        stripes.obs[slot] = stripes.obs[slot].astype(object)
        stripes.obs.loc["cell0", slot] = None
    with pytest.raises(InputError, match=words):
        find(stripes, **options)


def test_a_sample_of_one_observation_is_its_own_surroundings(stripes):
    """It has no neighbour, takes the niche of its own cell type, and changes nothing for the others."""
    alone = stripes.copy()
    alone.obs["sample"] = ["C", *alone.obs["sample"].tolist()[1:]]
    alone.obs["cell_type"] = pd.Categorical(alone.obs["cell_type"], categories=["t0", "t1", "t2", "unused"])
    found = find(alone, **CELLS, n_clusters=3)
    expected = find(stripes, **CELLS, n_clusters=3)
    assert found.notna().all()
    assert adjusted_rand_score(found[1:], expected[1:]) > 0.97
    peers = alone.obs["cell_type"] == alone.obs["cell_type"].iloc[0]
    assert found.iloc[0] == found[peers].mode()[0]


def test_more_niches_than_surroundings_are_refused(stripes):
    stripes.obs["cell_type"] = "all alike"
    with pytest.raises(InputError, match="1 different surroundings, and 100 niches"):
        find(stripes, **CELLS, n_clusters=100)


@given(
    angle=st.floats(0, 6.3),
    scale=st.floats(0.01, 100),
    shift=st.floats(-1e5, 1e5),
    order=st.permutations(["t0", "t1", "t2"]),
    k=st.integers(2, 5),
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_frames_and_names_change_nothing(stripes, angle, scale, shift, order, k):
    """Neighbours are the same however the tissue lies, and clusters whatever cell types are called."""
    options = CELLS | {"n_clusters": k}
    expected = find(stripes, **options)
    other = stripes.copy()
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    other.obsm["spatial"] = stripes.obsm["spatial"] @ turn * scale + shift
    assert adjusted_rand_score(expected, find(other, **options)) > 0.98  # rounding may swap neighbours at one distance
    named = stripes.copy()
    named.obs["cell_type"] = named.obs["cell_type"].map(dict(zip(["t0", "t1", "t2"], order, strict=True)))
    found = find(named, **options)
    assert adjusted_rand_score(expected, found) > 0.9  # columns come in another order, and so do sums
    sizes = found.value_counts(sort=False).to_numpy()
    assert len(sizes) == k
    assert sizes.sum() == len(stripes)
    assert (np.diff(sizes) <= 0).all()
    assert sizes.min() > 0


# clusters


@pytest.mark.parametrize("method", ["kmeans", "gmm"])
def test_clusters_are_numbered_from_the_largest(rng, method):
    centres = np.repeat([[0.0, 0], [9, 0], [0, 9]], [10, 40, 25], axis=0)
    found = cluster(centres + rng.normal(0, 0.5, centres.shape), 3, method=method, rng=np.random.default_rng(0))
    assert found.tolist() == [2] * 10 + [0] * 40 + [1] * 25


@pytest.mark.parametrize("true", [2, 3, 5])
def test_the_number_of_separate_clouds_is_chosen(rng, true):
    angle = 2 * np.pi * np.arange(true) / true
    centres = 10 * np.column_stack([np.cos(angle), np.sin(angle)])
    features = np.repeat(centres, 60, axis=0) + rng.normal(size=(60 * true, 2))
    options = {"method": "kmeans", "seed": 0, "n_draws": 4, "share": 0.8, "most": 1000, "tolerance": 0.025}
    choice = choose_number(features, [2, 3, 4, 5, 6], **options)
    assert choice.chosen == true
    assert choice.stability[choice.numbers == true][0] == 1
    again = choose_number(features, [2, 3, 4, 5, 6], **options)
    assert (again.stability == choice.stability).all()
    with pytest.raises(InputError, match=r"in a part of 0\.8"):
        choose_number(features[:5], [4, 5], **options)


# real tissue


@pytest.mark.real_data
def test_starmap_layers_reach_the_published_baseline(real_data):
    """Mean over 25 neighbours, 30 components, k-means: .79 ± .045 on these labels; coordinates .38."""
    data = ad.read_h5ad(real_data / "starmap_visual_cortex_1020genes.h5ad")
    options = {"sample_key": "section", "features": "neighbor_pca", "n_neighbors": 24, "n_clusters": 7}
    own = np.mean([score(data, find(data, **options, rng=seed), "domain") for seed in range(3)])
    place = KMeans(7, n_init=10, random_state=0).fit_predict(data.obsm["spatial"])
    assert 0.75 < own < 0.92
    assert own > score(data, place, "domain") + 0.3
    types = find(data, sample_key="section", celltype_key="cell_type", n_neighbors=24, n_clusters=7)
    assert score(data, types, "domain") > 0.6


@pytest.mark.real_data
@pytest.mark.slow
def test_dlpfc_layers_are_found_better_than_by_place(real_data):
    data = ad.read_h5ad(real_data / "dlpfc_visium_151673_151675.h5ad")
    data = data[data.obs["layer"].notna()].copy()
    options = {"sample_key": "section", "features": "neighbor_pca", "n_clusters": 7}
    place = KMeans(7, n_init=10, random_state=0).fit_predict(data.obsm["spatial"])
    own = {method: score(data, find(data, **options, method=method), "layer") for method in ("kmeans", "gmm")}
    assert own["kmeans"] > score(data, place, "layer") + 0.08
    assert own["gmm"] > 0.42


@pytest.mark.real_data
def test_starmap_mpfc_layers_of_two_mice(real_data):
    """Four annotated layers: found by composition and by expression, in both mice, and not by place."""
    data = ad.read_h5ad(real_data / "starmap_mpfc_BZ5_BZ9.h5ad")
    place = KMeans(4, n_init=10, random_state=0).fit_predict(data.obsm["spatial"])
    assert score(data, place, "domain") < 0.3
    for options in ({"features": "neighbor_pca"}, {"celltype_key": "cell_type", "n_neighbors": 30}):
        found = find(data, sample_key="section", n_clusters=4, **options)
        assert score(data, found, "domain") > 0.7
        for mouse in ("BZ5", "BZ9"):
            here = (data.obs["mouse"] == mouse).to_numpy()
            assert score(data[here], found[here], "domain") > 0.6
    del data.obs["domain"]
    chosen = find(data, sample_key="section", celltype_key="cell_type", n_neighbors=30, n_clusters=range(2, 9))
    assert chosen.nunique() == 4  # as annotated, without a look at it


@pytest.mark.real_data
def test_merfish_white_matter_is_a_niche_with_markers_of_its_own(real_data):
    """Mature oligodendrocytes make a niche in both sections of the hypothalamus; its signature is myelin."""
    data = ad.read_h5ad(real_data / "merfish_hypothalamus_bregma0.26_0.21.h5ad")
    data = data[np.asarray(data.X.sum(axis=1)).ravel() > 0].copy()
    sk.tl.niches(data, sample_key="section", celltype_key="cell_type", n_clusters=6, n_neighbors=30)
    kinds = pd.crosstab(data.obs["niche"], data.obs["cell_type"], normalize="index")
    myelin = kinds["OD Mature 2"].idxmax()
    assert kinds.loc[myelin, "OD Mature 2"] > 0.5
    assert kinds["OD Mature 2"].drop(myelin).max() < 0.15
    assert (pd.crosstab(data.obs["section"], data.obs["niche"])[myelin] > 500).all()
    with pytest.warns(StfmkitWarning, match="6 niches are in fewer than 3 patients"):
        found = sk.tl.niche_signatures(data, "niche", patient_key="animal", sizes=5, ceiling=False, copy=True)["genes"]
    assert not set(found.loc[found["selected"], "gene"]) & set(data.var_names[data.var["is_control"].astype(bool)])
    own = set(found.loc[(found["niche"] == myelin) & found["selected"], "gene"])
    assert {"Ermn", "Lpar1", "Ndrg1"} <= own
