"""One verb for every model: what it writes, and what it leaves alone."""

from dataclasses import replace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

import stfmkit as sk
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError

NAMES = list(sk.models.list_models(family="baseline")["name"])
KEYS = {"sample_key": "sample", "celltype_key": "niche"}


def _seed(name: str) -> int | None:
    """Return the seed that is recorded."""
    return 0 if sk.models.model_card(name).needs_rng else None


@pytest.mark.parametrize("name", NAMES)
def test_writes_the_embedding_and_its_provenance(toy, name):
    assert sk.tl.embed(toy, name, **KEYS, patient_key="patient") is None
    values = toy.obsm[f"X_{name}"]
    assert values.dtype == np.float32
    assert values.shape[0] == toy.n_obs
    assert np.isfinite(values).all()
    facts = toy.uns["stfmkit"]["embed"]["results"][f"X_{name}"]
    card = sk.models.model_card(name)
    assert facts["model"] == name
    assert (facts["family"], facts["licence"]) == (card.family, card.licence)
    assert facts["dimension"] == values.shape[1]
    assert facts["n_obs_fitted"] == (toy.n_obs if card.fits else 0)
    assert facts["rng"] == _seed(name)
    assert facts["sample_key"] == "sample"
    assert facts["layer"] is None
    assert facts["seconds"] > 0
    assert facts["peak_memory_mb"] > 1
    assert {"stfmkit", "numpy", "scipy", "anndata"} <= set(facts["versions"])
    assert ("gene_coverage" in facts) == card.reads_expression
    assert ("patients_fitted" in facts) == card.fits


def test_a_licence_that_is_not_known_is_recorded_and_saved(toy, tmp_path):
    model = sk.models.load_model("library_size")
    model.card = replace(model.card, commercial=None)
    sk.tl.embed(toy, model, **KEYS, key_added="X_made")
    toy.write_h5ad(tmp_path / "made.h5ad")
    assert ad.read_h5ad(tmp_path / "made.h5ad").uns["stfmkit"]["embed"]["results"]["X_made"]["commercial"] is None


@pytest.mark.parametrize("name", NAMES)
def test_nothing_else_is_changed(toy, name, content):
    toy.uns["theirs"] = {"a": 1}
    toy.obsm["theirs"] = np.ones((toy.n_obs, 2))
    before = content(toy)
    result = sk.tl.embed(toy, name, **KEYS, copy=True)
    assert content(toy) == before  # copy=True writes nothing
    sk.tl.embed(toy, name, **KEYS)
    assert np.array_equal(toy.obsm[f"X_{name}"], result)
    del toy.obsm[f"X_{name}"]
    del toy.uns["stfmkit"]["embed"]
    assert content(toy) == before


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_bits_and_rows_follow_the_observations(toy, name, rng):
    order = rng.permutation(toy.n_obs)
    first, second, turned = (sk.tl.embed(table, name, **KEYS, copy=True) for table in (toy, toy, toy[order]))
    assert np.array_equal(first, second)
    np.testing.assert_allclose(turned, first[order], atol=2e-4)


def test_seed_matters_for_random_models_only(toy):
    a, b = (sk.tl.embed(toy, "random", rng=seed, copy=True) for seed in (0, 1))
    assert not np.array_equal(a, b)
    sk.tl.embed(toy, "random", rng=np.random.default_rng(3))
    drawn = toy.uns["stfmkit"]["embed"]["results"]["X_random"]["rng"]
    assert np.array_equal(sk.tl.embed(toy, "random", rng=drawn, copy=True), toy.obsm["X_random"])
    sk.tl.embed(toy, "hvg_pca", rng=3)
    assert toy.uns["stfmkit"]["embed"]["results"]["X_hvg_pca"]["rng"] is None
    sk.tl.embed(toy, "random")
    assert toy.uns["stfmkit"]["embed"]["results"]["X_random"]["rng"] == 0
    sk.tl.embed(toy, "random", rng=None)
    drawn = toy.uns["stfmkit"]["embed"]["results"]["X_random"]["rng"]
    assert isinstance(drawn, int)
    assert np.array_equal(sk.tl.embed(toy, "random", rng=drawn, copy=True), toy.obsm["X_random"])


@pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")  # about a default of anndata to come
@pytest.mark.parametrize("store", ["h5ad", "zarr"])
def test_results_survive_the_disk(toy, store, tmp_path):
    for name in NAMES:
        sk.tl.embed(toy, name, **KEYS, patient_key="patient")
    path = tmp_path / f"toy.{store}"
    getattr(toy, f"write_{store}")(path)
    back = getattr(ad, f"read_{store}")(path)
    for name in NAMES:
        assert np.array_equal(back.obsm[f"X_{name}"], toy.obsm[f"X_{name}"])
        assert back.obsm[f"X_{name}"].dtype == np.float32
        ours, theirs = (table.uns["stfmkit"]["embed"]["results"][f"X_{name}"] for table in (toy, back))
        assert set(ours) == set(theirs)
        for key, value in ours.items():
            assert np.array_equal(value, theirs[key]), key


def test_provenance_names_genes_patients_and_options(toy):
    train = np.asarray(toy.obs["patient"] != "P4")
    sk.tl.embed(toy, "hvg_pca", n_genes=10, n_components=4, patient_key="patient", train=train)
    facts = toy.uns["stfmkit"]["embed"]["results"]["X_hvg_pca"]
    assert facts["options"] == {"n_genes": 10, "n_components": 4}
    assert list(facts["patients_fitted"]) == ["P1", "P2", "P3"]
    assert facts["n_obs_fitted"] == train.sum()
    assert facts["gene_coverage"]["n_genes"] == 10
    assert facts["gene_coverage"]["genes"] == 10 / toy.n_vars
    assert 0 < facts["gene_coverage"]["counts"] < 1


def test_train_restricts_the_fit(toy):
    train = np.asarray(toy.obs["patient"] != "P4")
    toy.obs["train"] = train
    wanted = sk.tl.embed(toy, "hvg_pca", train="train", copy=True)
    assert np.array_equal(sk.tl.embed(toy, "hvg_pca", train=train, copy=True), wanted)
    assert np.array_equal(sk.tl.embed(toy, "hvg_pca", train=toy.obs["train"], copy=True), wanted)
    assert not np.allclose(sk.tl.embed(toy, "hvg_pca", copy=True), wanted, atol=1e-3)
    changed = toy.copy()
    dense = changed.X.toarray()
    dense[~train] += 3
    changed.X = sparse.csr_matrix(dense)
    again = sk.tl.embed(changed, "hvg_pca", train="train", copy=True)
    assert np.array_equal(again[train], wanted[train])  # test patients do not reach the fit


@pytest.mark.parametrize(
    "train",
    [
        np.ones(3, dtype=bool),
        np.zeros(240, dtype=bool),
        np.ones(240),
        np.arange(240),
        "niche",
        pd.Series(data=True, index=[f"spot{i}" for i in range(240)][::-1]),
    ],
)
def test_train_that_is_no_mask(toy, train):
    with pytest.raises(InputError, match="train of shape"):
        sk.tl.embed(toy, "hvg_pca", train=train)


def test_keys_of_ours_are_replaced_and_foreign_ones_kept(toy):
    toy.obsm["X_hvg_pca"] = np.ones((toy.n_obs, 2))
    with pytest.raises(InputError, match=r"'X_hvg_pca'[\s\S]*key_added="):
        sk.tl.embed(toy)
    assert (toy.obsm["X_hvg_pca"] == 1).all()
    sk.tl.embed(toy, key_added="mine")
    sk.tl.embed(toy, key_added="mine", n_components=3)
    assert toy.obsm["mine"].shape == (toy.n_obs, 3)
    assert list(toy.uns["stfmkit"]["embed"]["results"]) == ["mine"]
    assert toy.uns["stfmkit"]["microns_per_unit"] == 1.0
    assert sk.tl.embed(toy, copy=True).shape[0] == toy.n_obs


@pytest.mark.parametrize(("key", "kind"), [("", InputError), ("a/b", InputError), (3, InputTypeError)])
def test_bad_keys(toy, key, kind):
    with pytest.raises(kind, match="key_added"):
        sk.tl.embed(toy, key_added=key)


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        ({"model": "hvg-pca"}, MissingKeyError, "Did you mean 'hvg_pca'"),
        ({"n_component": 3}, InputError, "Did you mean 'n_components'"),
        ({"sample_key": "slide"}, MissingKeyError, "sample_key='slide'"),
        ({"patient_key": "donor"}, MissingKeyError, "patient_key='donor'"),
        ({"layer": "raw"}, MissingKeyError, "no layer named 'raw'"),
        ({"table_key": "cells"}, InputError, "table_key"),
        ({"train": "half"}, MissingKeyError, "train='half'"),
        ({"model": "coordinates"}, InputError, "pass sample_key='sample'"),
        ({"model": "coordinates", "sample_key": "sample", "spatial_key": "xy"}, MissingKeyError, "no obsm"),
        ({"model": "celltype_composition", "sample_key": "sample"}, MissingKeyError, "celltype_key is None"),
    ],
)
def test_wrong_arguments_leave_the_table_alone(toy, content, arguments, kind, text):
    before = content(toy)
    with pytest.raises(kind, match=text):
        sk.tl.embed(toy, **arguments)
    assert content(toy) == before


@pytest.mark.parametrize(
    ("change", "found"),
    [(np.log1p, "not integers"), (np.negative, "negative"), (lambda v: v * np.nan, "NaN")],
)
def test_what_is_not_a_count(toy, change, found):
    toy.X.data = change(toy.X.data)
    for name in ("hvg_pca", "library_size", "neighbor_pca"):
        with pytest.raises(InputError, match=found):
            sk.tl.embed(toy, name, sample_key="sample")


def test_missing_patients_are_refused(toy):
    toy.obs["patient"] = toy.obs["patient"].astype(object)
    toy.obs.loc["spot3", "patient"] = ""
    with pytest.raises(InputError, match="1 of 240 observations without an id"):
        sk.tl.embed(toy, patient_key="patient")


def test_data_of_another_type():
    with pytest.raises(InputTypeError, match=r"sk\.io\.read"):
        sk.tl.embed("sample.h5ad")


class _Halves(sk.models.EmbeddingModel):
    """A user's own model."""

    def __init__(self, *, power: float = 0.5, rng: int = 7):
        self.power, self.rng = power, rng
        self.card = sk.models.ModelCard(
            name="halves.v1", target="mine:_Halves", family="rna", summary="A test.", needs=("counts",)
        )

    def prepare(self, block):
        return block.read("counts")

    def encode(self, batch):
        return batch.toarray()[:, :3] ** self.power


def test_a_model_object(toy):
    sk.tl.embed(toy, _Halves(power=2.0))
    assert np.allclose(toy.obsm["X_halves.v1"], toy.X.toarray()[:, :3] ** 2)
    facts = toy.uns["stfmkit"]["embed"]["results"]["X_halves.v1"]
    assert facts["options"] == {"power": 2.0}
    assert facts["rng"] == 7
    fitted = sk.models.load_model("hvg_pca", n_components=3)
    sk.tl.embed(toy, fitted)
    assert toy.uns["stfmkit"]["embed"]["results"]["X_hvg_pca"]["gene_coverage"]["n_genes"] == toy.n_vars


def test_objects_that_are_no_models(toy):
    for wrong, text in ((_Halves, "the class _Halves"), (3, "type int"), (None, "type NoneType")):
        with pytest.raises(InputTypeError, match=text):
            sk.tl.embed(toy, wrong)
    for extra in ({"power": 2.0}, {"rng": 1}):
        with pytest.raises(InputError, match="a model object, and options"):
            sk.tl.embed(toy, _Halves(), **extra)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_spatialdata_by_table_key(toy):
    from spatialdata import SpatialData

    sdata = SpatialData(tables={"cells": toy, "other": toy[:100].copy()})
    with pytest.raises(InputError, match=r"table_key=\.\.\."):
        sk.tl.embed(sdata)
    with pytest.raises(MissingKeyError, match="Did you mean 'cells'"):
        sk.tl.embed(sdata, table_key="cell")
    sk.tl.embed(sdata, "neighbor_pca", table_key="cells", sample_key="sample")
    wanted = sk.tl.embed(toy, "neighbor_pca", sample_key="sample", copy=True)
    assert np.array_equal(sdata["cells"].obsm["X_neighbor_pca"], wanted)
    assert "X_neighbor_pca" not in sdata["other"].obsm


def test_dense_and_backed_tables_give_the_same(toy, tmp_path):
    wanted = sk.tl.embed(toy, copy=True)
    dense = AnnData(toy.X.toarray(), obs=toy.obs, var=toy.var)
    assert np.array_equal(sk.tl.embed(dense, copy=True), wanted)
    toy.write_h5ad(tmp_path / "toy.h5ad")
    backed = ad.read_h5ad(tmp_path / "toy.h5ad", backed="r")
    assert np.array_equal(sk.tl.embed(backed, copy=True), wanted)
    backed.file.close()


@pytest.mark.real_data
def test_dlpfc(real_data):
    adata = ad.read_h5ad(real_data / "dlpfc_visium_151673_151675.h5ad")
    adata = adata[::8].copy()
    for name in ("hvg_pca", "neighbor_pca", "coordinates", "library_size"):
        sk.tl.embed(adata, name, sample_key="section")
    assert adata.obsm["X_hvg_pca"].shape == (adata.n_obs, 50)
    assert adata.obsm["X_neighbor_pca"].shape == (adata.n_obs, 30)
    layer = adata.obs["layer"].astype(str)
    depth = adata.obsm["X_neighbor_pca"][:, 0]
    between = pd.Series(depth).groupby(layer.to_numpy()).mean().var()
    assert between > 0.2 * depth.var()  # the first component follows the layers


@pytest.mark.real_data
def test_her2st(real_data):
    adata = ad.read_h5ad(real_data / "her2st_patients_A-F.h5ad")
    adata = adata[np.isin(adata.obs["section"], ["A1", "B1", "C1"])].copy()
    with pytest.raises(InputError, match="overlap in space"):
        sk.tl.embed(adata, "neighbor_pca")
    train = np.asarray(adata.obs["patient"] != "C")
    sk.tl.embed(adata, "neighbor_pca", sample_key="section", patient_key="patient", train=train)
    assert list(adata.uns["stfmkit"]["embed"]["results"]["X_neighbor_pca"]["patients_fitted"]) == ["A", "B"]
    assert np.isfinite(adata.obsm["X_neighbor_pca"]).all()


@pytest.mark.parametrize(
    ("options", "text"), [({"patient_key": "donor"}, "patient_key='donor'"), ({"train": "half"}, "train='half'")]
)
def test_the_table_is_checked_before_weights_are_fetched(toy, options, text, monkeypatch):
    def fetch(*_args, **_options):
        pytest.fail("weights were looked for")

    monkeypatch.setattr("stfmkit.models.nets.checkpoint.resolve_weights", fetch)
    with pytest.raises(MissingKeyError, match=text):
        sk.tl.embed(toy, "scgpt", **options)
    toy.obs_names = ["spot"] * toy.n_obs
    with pytest.raises(InputError, match="duplicated observation names"):
        sk.tl.embed(toy, "scgpt")


def test_a_network_is_refused_before_its_weights_are_fetched(toy, monkeypatch):
    def fetch(*_args, **_options):
        pytest.fail("weights were looked for")

    monkeypatch.setattr("stfmkit.models.nets.checkpoint.resolve_weights", fetch)
    toy.X.data = np.log1p(toy.X.data)
    with pytest.raises(InputError, match="not integers"):
        sk.tl.embed(toy, "scgpt")
    with pytest.raises(InputError, match="on_empty='skip'"):
        sk.tl.embed(toy, "scgpt", on_empty="skip")


def test_a_model_of_images_says_that_there_is_none(toy):
    class Mean(sk.models.EmbeddingModel):
        card = sk.models.ModelCard(
            name="mean-colour", target="mine:Mean", family="histology", summary="A test.", needs=("image",)
        )

        def prepare(self, block):
            return block.read("image")

        def encode(self, batch):
            return batch.mean(axis=(1, 2))

    with pytest.raises(InputError, match="image"):
        sk.tl.embed(toy, Mean())


def test_finished_parts_are_found_again(toy, tmp_path):
    sk.tl.embed(toy, "library_size", resume=tmp_path)
    kept = sorted(tmp_path.iterdir())
    assert len(kept) == 1
    before = kept[0].stat().st_mtime_ns
    sk.tl.embed(toy, "library_size", resume=tmp_path)
    assert [path.stat().st_mtime_ns for path in sorted(tmp_path.iterdir())] == [before]
    with pytest.raises(InputError, match="resume= for 'hvg_pca', which fits"):
        sk.tl.embed(toy, "hvg_pca", resume=tmp_path)
