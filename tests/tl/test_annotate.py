"""Labels of a reference: what is written, leaks, spaces that do not fit, bad input, and real layers of cortex."""

import time
import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import KNeighborsClassifier

import stfmkit as sk
from stfmkit.errors import InputError, InputTypeError, LeakError, MissingKeyError, StfmkitWarning

KEYS = {"label_key": "niche", "embedding_key": "X_hvg_pca"}


@pytest.fixture
def tables(toy):
    """Data and reference of other patients, embedded in one call."""
    sk.tl.embed(toy, "hvg_pca", n_components=8)
    second = toy.obs["patient"].isin(["P3", "P4"]).to_numpy()
    data = toy[second].copy()
    del data.obs["niche"]
    return data, toy[~second].copy(), toy.obs["niche"][second]


def test_equals_the_classifier_of_scikit_learn(tables):
    data, reference, truth = tables
    sk.tl.annotate(data, reference, **KEYS, n_neighbors=9)
    oracle = KNeighborsClassifier(9).fit(reference.obsm["X_hvg_pca"], reference.obs["niche"].astype(str))
    shares = oracle.predict_proba(data.obsm["X_hvg_pca"])
    np.testing.assert_array_equal(data.obs["annotation"].astype(str), oracle.predict(data.obsm["X_hvg_pca"]))
    np.testing.assert_allclose(data.obsm["annotation_probability"], shares, atol=1e-7)
    np.testing.assert_allclose(data.obs["annotation_probability"], shares.max(axis=1), atol=1e-7)
    assert (data.obs["annotation"].astype(str) == truth.astype(str)).mean() > 0.9


def test_what_is_written(tables):
    data, reference, _ = tables
    sk.tl.annotate(data, reference, **KEYS, patient_key="patient", key_added="found", min_probability=0.9, rng=3)
    assert list(data.obs["found"].cat.categories) == ["stroma", "tumour", "unknown"]
    assert isinstance(data.obsm["found_probability"], pd.DataFrame)
    assert list(data.obsm["found_probability"].columns) == ["stroma", "tumour"]
    assert data.obsm["found_probability"].index.equals(data.obs_names)
    record = data.uns["stfmkit"]["annotate"]["results"]["found"]
    assert record["method"] == "annotate/knn"
    assert record["licence"] == "BSD-3-Clause"
    assert record["options"]["min_probability"] == 0.9
    assert record["options"]["n_neighbors"] == 15
    assert record["output"]["n_unknown"] == int((data.obs["found"] == "unknown").sum())
    assert record["patients_on_both_sides"].tolist() == []
    assert record["sample_key"] is None
    assert (record["rng"], record["n_obs"], record["n_obs_reference"]) == (3, data.n_obs, reference.n_obs)
    assert data.uns["stfmkit"]["microns_per_unit"] == 1.0


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
@pytest.mark.filterwarnings("ignore:Writing zarr v2:UserWarning")
def test_results_can_be_stored(tables, kind, tmp_path):
    data, reference, _ = tables
    sk.tl.annotate(data, reference, **KEYS, patient_key="patient")
    place = tmp_path / f"data.{kind}"
    getattr(data, f"write_{kind}")(place)
    again = getattr(ad, f"read_{kind}")(place)
    assert (again.obs["annotation"] == data.obs["annotation"]).all()
    pd.testing.assert_frame_equal(again.obsm["annotation_probability"], data.obsm["annotation_probability"])
    sk.tl.annotate(again, reference, **KEYS)  # slots of ours may be written again


def test_copy_writes_nothing(tables, content):
    data, reference, _ = tables
    before = content(data), content(reference)
    output = sk.tl.annotate(data, reference, **KEYS, copy=True)
    assert (content(data), content(reference)) == before
    sk.tl.annotate(data, reference, **KEYS)
    assert content(reference) == before[1]
    assert isinstance(output, sk.methods.Output)
    assert (output.result == data.obs["annotation"]).all()


def test_spatialdata(tables):
    import spatialdata

    data, reference, _ = tables
    plain = sk.tl.annotate(data, reference, **KEYS, copy=True)
    one = spatialdata.SpatialData(tables={"spots": data, "other": data[:5].copy()})
    sk.tl.annotate(one, spatialdata.SpatialData(tables={"cells": reference}), **KEYS, table_key="spots")
    assert (one.tables["spots"].obs["annotation"] == plain.result).all()
    with pytest.raises(InputError, match="table_key"):
        sk.tl.annotate(one, reference, **KEYS)
    with pytest.raises(InputTypeError, match="type ndarray"):
        sk.tl.annotate(np.ones((3, 3)), reference, **KEYS)


def test_nothing_of_the_user_is_overwritten(tables):
    data, reference, _ = tables
    for slot in ("annotation", "annotation_probability"):
        data.obs[slot] = 1.0
        with pytest.raises(InputError, match=f"obs already has '{slot}'"):
            sk.tl.annotate(data, reference, **KEYS)
        del data.obs[slot]
    data.obsm["annotation_probability"] = np.ones((data.n_obs, 2))
    with pytest.raises(InputError, match="obsm already has 'annotation_probability'"):
        sk.tl.annotate(data, reference, **KEYS)
    assert "annotation" not in data.obs


def test_a_second_result_stands_beside_the_first_or_replaces_it(tables):
    data, reference, _ = tables
    sk.tl.annotate(data, reference, **KEYS, key_added="one")
    sk.tl.annotate(data, reference, **KEYS, key_added="two", n_neighbors=3)
    sk.tl.annotate(data, reference, **KEYS, key_added="one", n_neighbors=1)
    results = data.uns["stfmkit"]["annotate"]["results"]
    assert {key: record["options"]["n_neighbors"] for key, record in results.items()} == {"one": 1, "two": 3}
    assert set(np.unique(data.obsm["one_probability"])) == {0.0, 1.0}


# leaks


def test_the_reference_itself_is_refused(tables):
    data, reference, _ = tables
    with pytest.raises(LeakError, match=f"{reference.n_obs} observations that are in the reference, too"):
        sk.tl.annotate(reference, reference, **KEYS)
    mixed = ad.concat([data, reference[:3]], uns_merge="first")
    with pytest.raises(LeakError, match="3 observations"):
        sk.tl.annotate(mixed, reference, **KEYS)
    with pytest.raises(LeakError, match="3 observations"):
        sk.tl.annotate(mixed, reference, **KEYS, patient_key="patient")
    assert "annotation" not in mixed.obs


def test_equal_names_of_different_observations(tables):
    data, reference, _ = tables
    data.obs_names = reference.obs_names[: data.n_obs]
    with pytest.warns(StfmkitWarning, match=f"{data.n_obs} names are on both sides, with different vectors"):
        sk.tl.annotate(data, reference, **KEYS)
    sk.tl.annotate(data, reference, **KEYS, patient_key="patient")
    sk.tl.annotate(data, reference, **KEYS, sample_key="sample")
    data.obs["patient"] = "P1"
    reference.obs["patient"] = "P1"
    with pytest.raises(LeakError, match="pass sample_key="):
        sk.tl.annotate(data, reference, **KEYS, patient_key="patient")
    sk.tl.annotate(data, reference, **KEYS, patient_key="patient", sample_key="sample")
    record = data.uns["stfmkit"]["annotate"]["results"]["annotation"]
    assert record["patients_on_both_sides"].tolist() == ["P1"]


# spaces


def test_two_fits_are_two_spaces(tables):
    data, reference, _ = tables
    sk.tl.embed(reference, "hvg_pca", n_components=8)
    with pytest.raises(InputError, match=r"'hvg_pca' was fitted twice[\s\S]*in one call"):
        sk.tl.annotate(data, reference, **KEYS)


def test_another_model_under_the_same_key(tables):
    data, reference, _ = tables
    reference.uns["stfmkit"]["embed"]["results"]["X_hvg_pca"] |= {"model": "neighbor_pca"}
    with pytest.raises(InputError, match="one is of the model 'hvg_pca', the other of 'neighbor_pca'"):
        sk.tl.annotate(data, reference, **KEYS)


def network(weights="a", **options):
    record = {"model": "net", "n_obs_fitted": 0, "options": {"device": "cpu", "gene_key": "None"} | options}
    return record | {"provenance": {"sha256": {"model.bin": weights}}, "rng": 0, "seconds": time.perf_counter()}


@pytest.mark.parametrize(
    ("mine", "theirs", "found"),
    [
        (network(), network(), ""),
        (network(device="cuda"), network(gene_key="'symbol'", batch_size=3), ""),
        (network("a"), network("b"), "they are of different weights of 'net'"),
        (network(layer=3), network(layer=-1), "different options (layer=3 and -1)"),
        (network(pooling="mean"), network(), "different options (pooling='mean' and None)"),
    ],
)
def test_a_network_has_one_space_for_weights_and_options(tables, mine, theirs, found):
    data, reference, _ = tables
    data.uns["stfmkit"]["embed"]["results"]["X_hvg_pca"] = mine
    reference.uns["stfmkit"]["embed"]["results"]["X_hvg_pca"] = theirs
    if not found:
        sk.tl.annotate(data, reference, **KEYS)
        return
    with pytest.raises(InputError) as caught:
        sk.tl.annotate(data, reference, **KEYS)
    assert found in str(caught.value)


def test_records_that_are_not_there(tables):
    data, reference, _ = tables
    for table, side in ((data, "data"), (reference, None)):
        del table.uns["stfmkit"]["embed"]
        if side:
            with pytest.warns(StfmkitWarning, match=f"of the {side} has no record"):
                sk.tl.annotate(data, reference, **KEYS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sk.tl.annotate(data, reference, **KEYS)  # of the user's own making on both sides


# bad input


def test_refusals(tables):
    data, reference, _ = tables
    call = sk.tl.annotate
    with pytest.raises(InputError, match="'annotate/knn' without embedding_key"):
        call(data, reference, label_key="niche")
    with pytest.raises(MissingKeyError, match=r"no obsm\['X_pca'\] in the data"):
        call(data, reference, label_key="niche", embedding_key="X_pca")
    with pytest.raises(MissingKeyError, match=r"no obs\['nich'\] in the reference[\s\S]*Did you mean 'niche'"):
        call(data, reference, label_key="nich", embedding_key="X_hvg_pca")
    with pytest.raises(MissingKeyError, match="no method named 'kmeans'"):
        call(data, reference, **KEYS, method="kmeans")
    with pytest.raises(InputError, match="'k' is not an option of the method 'annotate/knn'"):
        call(data, reference, **KEYS, k=3)
    with pytest.raises(InputError, match="n_neighbors=1000"):
        call(data, reference, **KEYS, n_neighbors=1000)
    with pytest.raises(InputError, match="key_added=''"):
        call(data, reference, **KEYS, key_added="")
    with pytest.raises(InputTypeError, match="rng='0'"):
        call(data, reference, **KEYS, rng="0")
    with pytest.raises(MissingKeyError, match="patient_key='donor'"):
        call(data, reference, **KEYS, patient_key="donor")
    assert "annotation" not in data.obs
    assert "annotate" not in data.uns["stfmkit"]


def test_values_that_are_missing(tables):
    data, reference, _ = tables
    reference.obs["niche"] = reference.obs["niche"].astype(object).where(np.arange(reference.n_obs) > 4)
    with pytest.raises(InputError, match="5 of 160 observations without an id"):
        sk.tl.annotate(data, reference, **KEYS)
    data.obsm["X_hvg_pca"][2, 1] = np.nan
    with pytest.raises(InputError, match=r"1 observations with NaN or infinite values in obsm\['X_hvg_pca'\]"):
        sk.tl.annotate(data, reference[5:].copy(), **KEYS)
    data.obsm["X_hvg_pca"] = np.nan_to_num(data.obsm["X_hvg_pca"])[:, :3]
    with pytest.raises(InputError, match="width 3 in the data, and 8 in the reference"):
        sk.tl.annotate(data, reference[5:].copy(), **KEYS)


def test_labels_that_cannot_be_stored(tables):
    data, reference, _ = tables
    reference.obs["niche"] = reference.obs["niche"].astype(str).replace("stroma", "stroma/other")
    with pytest.raises(InputError, match=r"'stroma/other'[\s\S]*str\.replace"):
        sk.tl.annotate(data, reference, **KEYS)
    assert "stroma/other" in sk.tl.annotate(data, reference, **KEYS, copy=True).probabilities


# real data


@pytest.mark.real_data
@pytest.mark.parametrize(("model", "least"), [("hvg_pca", 0.5), ("neighbor_pca", 0.8)])
def test_layers_of_one_section_of_cortex_to_another(real_data, model, least):
    """Twice to four times as good as the largest layer: 22 % of the second section."""
    adata = ad.read_h5ad(real_data / "dlpfc_visium_151673_151675.h5ad")
    adata = adata[adata.obs["layer"].notna()].copy()
    sk.tl.embed(adata, model, **({"sample_key": "section"} if model == "neighbor_pca" else {}))
    first = (adata.obs["section"] == "151673").to_numpy()
    reference, data = adata[first].copy(), adata[~first].copy()
    sk.tl.annotate(data, reference, label_key="layer", embedding_key=f"X_{model}", patient_key="donor")
    right = (data.obs["annotation"].astype(str) == data.obs["layer"].astype(str)).to_numpy()
    majority = data.obs["layer"].value_counts(normalize=True).max()
    assert right.mean() > max(least, 2 * majority)
    sure = data.obs["annotation_probability"] > 0.8
    assert right[sure].mean() > right.mean()
    shared = data.uns["stfmkit"]["annotate"]["results"]["annotation"]["patients_on_both_sides"]
    assert shared.tolist() == ["Br8100"]


@pytest.mark.real_data
def test_cell_types_of_lymph_node(real_data):
    adata = ad.read_h5ad(real_data / "lymph_node_scrna_reference.h5ad")
    sk.tl.embed(adata, "hvg_pca", n_components=20)
    half = np.arange(adata.n_obs) % 2 == 0
    reference, data = adata[half].copy(), adata[~half].copy()
    output = sk.tl.annotate(data, reference, label_key="cell_type", embedding_key="X_hvg_pca", n_neighbors=7, copy=True)
    assert (output.result.astype(str) == data.obs["cell_type"].astype(str)).mean() > 0.5


def test_labels_corrected_by_hand_stay(rng):
    adata = ad.AnnData(np.ones((60, 2), dtype=np.float32), obs=pd.DataFrame(index=[f"c{i}" for i in range(60)]))
    adata.obsm["X_e"] = rng.normal(size=(60, 3))
    adata.obs["label"] = pd.Categorical(np.array(["a", "b"])[(adata.obsm["X_e"][:, 0] > 0).astype(int)])
    reference, query = adata[:30].copy(), adata[30:].copy()
    options = {"label_key": "label", "embedding_key": "X_e"}
    sk.tl.annotate(query, reference, **options)
    sk.tl.annotate(query, reference, **options)
    with pytest.raises(InputError, match="belongs to the result 'annotation'"):
        sk.tl.annotate(query, reference, key_added="annotation_probability", **options)
    query.obs["annotation"] = query.obs["annotation"].cat.rename_categories({"a": "curated"})
    with pytest.raises(InputError, match="no longer what it wrote"):
        sk.tl.annotate(query, reference, **options)
    assert "curated" in set(query.obs["annotation"])
    query.obsm["X_hvg_pca"] = np.ones((30, 2))
    with pytest.raises(InputError, match="not written by embed"):
        sk.tl.embed(query, "hvg_pca", n_components=2)


def test_a_measurement_is_no_label_and_a_reference_is_named(rng):
    adata = ad.AnnData(np.ones((20, 2), dtype=np.float32), obs=pd.DataFrame(index=[f"c{i}" for i in range(20)]))
    adata.obsm["X_e"], adata.obs["size"] = rng.normal(size=(20, 3)), rng.random(20)
    with pytest.raises(InputTypeError, match="a reference of type NoneType"):
        sk.tl.annotate(adata, None, label_key="size", embedding_key="X_e")
    with pytest.raises(InputError, match="a measurement and no label"):
        sk.tl.annotate(adata[:10].copy(), adata[10:].copy(), label_key="size", embedding_key="X_e")
