"""Nothing that stfmkit did not write is overwritten, and no key reaches the record of another verb."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from stfmkit._core.errors import InputError
from stfmkit._data.write_slots import (
    check_free,
    check_free_embedding,
    read_record,
    write_embedding,
    write_params,
    write_record,
)

SLOTS = ("obs", "var", "obsm", "varm", "obsp", "varp", "layers", "uns")


def put(adata, slot, key):
    values = {
        "obs": np.zeros(adata.n_obs),
        "var": np.zeros(adata.n_vars),
        "obsm": np.zeros((adata.n_obs, 2)),
        "varm": np.zeros((adata.n_vars, 2)),
        "obsp": sparse.csr_matrix((adata.n_obs, adata.n_obs)),
        "varp": sparse.csr_matrix((adata.n_vars, adata.n_vars)),
        "layers": np.zeros(adata.shape),
        "uns": {"a": 1},
    }
    getattr(adata, slot)[key] = values[slot]


@pytest.mark.parametrize("slot", SLOTS)
def test_what_others_wrote_is_refused_in_every_slot(toy, slot):
    check_free(toy, slot, ["mine"], step="niches")
    put(toy, slot, "mine")
    with pytest.raises(InputError, match=f"{slot} already has 'mine', not written by niches"):
        check_free(toy, slot, ["free", "mine"], step="niches")


@pytest.mark.parametrize("slot", SLOTS)
def test_a_verb_owns_what_it_wrote_in_this_slot_only(toy, slot):
    for each in SLOTS:
        put(toy, each, "mine")
    write_record(toy, "niches", "mine", {}, wrote={slot: ["mine"]})
    check_free(toy, slot, ["mine"], step="niches")
    for other in SLOTS:
        if other != slot:
            with pytest.raises(InputError, match="already has"):
                check_free(toy, other, ["mine"], step="niches")
    with pytest.raises(InputError, match="not written by split"):
        check_free(toy, slot, ["mine"], step="split")


def test_the_corner_of_stfmkit_in_uns_cannot_be_replaced(toy):
    with pytest.raises(InputError, match="keeps its records"):
        check_free(toy, "uns", ["stfmkit"], step="coexpression")


@pytest.mark.parametrize("key", ["embed", "embed_genes", "niches", "microns_per_unit", "results", "wrote"])
def test_a_key_never_reaches_the_record_of_another_verb(toy, key):
    write_embedding(toy, "X_pca", np.zeros((toy.n_obs, 2)), {"model": "pca"})
    write_record(toy, "niches", "niche", {"rng": 0}, wrote={"obs": ["niche"]})
    before = {verb: dict(toy.uns["stfmkit"][verb]) for verb in ("embed", "niches")}
    write_record(toy, "split", key, {"rng": 1}, wrote={"obs": [key]})
    assert {verb: toy.uns["stfmkit"][verb] for verb in before} == before
    assert toy.uns["stfmkit"]["microns_per_unit"] == 1.0
    assert read_record(toy, "split", key) == {"rng": 1}
    assert read_record(toy, "embed", "X_pca") == {"model": "pca"}


def test_results_of_a_verb_stand_beside_each_other(toy):
    write_record(toy, "niches", "a", {"n_clusters": 3, "layer": None}, wrote={"obs": ["a"], "obsm": ["a_p"]})
    write_record(toy, "niches", "b", {"n_clusters": 4}, wrote={"obs": ["b"]})
    assert read_record(toy, "niches", "a") == {"n_clusters": 3, "layer": None}
    assert read_record(toy, "niches", "b") == {"n_clusters": 4}
    assert read_record(toy, "niches", "c") is None
    assert read_record(toy, "domains", "a") is None
    assert toy.uns["stfmkit"]["niches"]["wrote"] == {"obs": ["a", "b"], "obsm": ["a_p"]}


def test_the_record_is_a_copy(toy):
    record = {"n": 1}
    write_record(toy, "niches", "a", record, wrote={})
    record["n"] = 2
    read_record(toy, "niches", "a")["n"] = 3
    assert read_record(toy, "niches", "a") == {"n": 1}


@pytest.mark.parametrize("key", ["a/b", ""])
def test_keys_that_a_file_cannot_hold_are_refused(toy, key):
    with pytest.raises(InputError, match="key_added"):
        write_record(toy, "niches", key, {}, wrote={})


@pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")  # anndata announces its next default
@pytest.mark.parametrize("form", ["h5ad", "zarr"])
def test_records_come_back_from_files_with_none_as_none(toy, tmp_path, form):
    put(toy, "obs", "a")
    write_record(toy, "niches", "a", {"layer": None, "rng": 7, "text": "x"}, wrote={"obs": ["a"]})
    write_embedding(toy, "X_m", np.zeros((toy.n_obs, 2)), {"sample_key": None})
    getattr(toy, f"write_{form}")(tmp_path / "a")
    back = getattr(ad, f"read_{form}")(tmp_path / "a")
    assert read_record(back, "niches", "a") == {"layer": None, "rng": 7, "text": "x"}
    check_free(back, "obs", ["a"], step="niches")
    check_free_embedding(back, "X_m")
    write_record(back, "niches", "b", {}, wrote={"obs": ["b"]})
    assert back.uns["stfmkit"]["niches"]["wrote"]["obs"] == ["a", "b"]


def test_foreign_embeddings_are_not_overwritten(toy):
    toy.obsm["X_mine"] = np.zeros((toy.n_obs, 2))
    with pytest.raises(InputError, match="not written by embed"):
        check_free_embedding(toy, "X_mine")
    write_embedding(toy, "X_ours", np.zeros((toy.n_obs, 2)), {"model": "m"})
    check_free_embedding(toy, "X_ours")
    assert toy.obsm["X_ours"].dtype == np.float32
    assert toy.uns["stfmkit"]["microns_per_unit"] == 1.0


def test_vectors_of_genes_and_of_observations_of_one_name_are_apart(toy):
    write_embedding(toy, "X_m", np.zeros((toy.n_obs, 2)), {"of": "observations"})
    toy.varm["X_m"] = np.zeros((toy.n_vars, 2))
    with pytest.raises(InputError, match="varm already has 'X_m'"):
        check_free_embedding(toy, "X_m", output="genes")
    del toy.varm["X_m"]
    write_embedding(toy, "X_m", np.zeros((toy.n_vars, 2)), {"of": "genes"}, output="genes")
    assert read_record(toy, "embed", "X_m") == {"of": "observations"}
    assert read_record(toy, "embed_genes", "X_m") == {"of": "genes"}


def test_the_record_of_a_step_with_one_result_owns_nothing(toy):
    write_params(toy, "align_panels", {"genes": "union"})
    assert toy.uns["stfmkit"]["align_panels"] == {"genes": "union"}
    toy.uns["table"] = pd.DataFrame()
    with pytest.raises(InputError):
        check_free(toy, "uns", ["table"], step="align_panels")


def test_what_was_edited_since_is_not_overwritten(toy):
    toy.obs["a"] = pd.Categorical(["x", "y"] * (toy.n_obs // 2))
    toy.obsm["t"] = pd.DataFrame({"x": np.arange(toy.n_obs, dtype=float)}, index=toy.obs_names)
    toy.obsp["g"] = sparse.eye_array(toy.n_obs, format="csr")
    toy.layers["l"] = np.ones(toy.shape, dtype=np.float32)
    wrote = {"obs": ["a"], "obsm": ["t"], "obsp": ["g"], "layers": ["l"]}
    write_record(toy, "annotate", "a", {}, wrote=wrote)
    for slot, keys in wrote.items():
        check_free(toy, slot, keys, step="annotate", result="a")
    toy.obs.loc[toy.obs_names[3], "a"] = "x"
    toy.obsm["t"].iloc[0, 0] = 5
    toy.obsp["g"] = 2 * toy.obsp["g"]
    toy.layers["l"][0, 0] = 0
    for slot, keys in wrote.items():
        with pytest.raises(InputError, match=rf"{slot}\['{keys[0]}'\], which annotate wrote and which is no longer"):
            check_free(toy, slot, keys, step="annotate", result="a")
    del toy.obs["a"]
    check_free(toy, "obs", ["a"], step="annotate", result="a")


def test_a_key_of_another_result_is_not_overwritten(toy):
    for key in ("a", "a_p"):
        put(toy, "obs", key)
    write_record(toy, "annotate", "a", {}, wrote={"obs": ["a", "a_p"]})
    with pytest.raises(InputError, match=r"obs\['a_p'\], which belongs to the result 'a' of annotate"):
        check_free(toy, "obs", ["a_p"], step="annotate", result="a_p")


def test_some_of_the_rows_in_another_order_are_unchanged(toy):
    toy.obs["a"] = pd.Categorical(["x", "y"] * (toy.n_obs // 2))
    write_embedding(toy, "X_m", np.random.default_rng(0).normal(size=(toy.n_obs, 3)), {})
    toy.layers["l"] = np.ones(toy.shape, dtype=np.float32)
    write_record(toy, "annotate", "a", {}, wrote={"obs": ["a"], "layers": ["l"]})
    part = toy[::-3, :5].copy()
    check_free_embedding(part, "X_m")
    check_free(part, "obs", ["a"], step="annotate", result="a")
    check_free(part, "layers", ["l"], step="annotate", result="a")
    part.obs["a"] = np.array(["y", "x"])[(part.obs["a"] == "y").astype(int)]  # labels exchanged
    part.obsm["X_m"] = part.obsm["X_m"][::-1]  # rows exchanged
    with pytest.raises(InputError, match="edited since"):
        check_free(part, "obs", ["a"], step="annotate", result="a")
    with pytest.raises(InputError, match="edited since"):
        check_free_embedding(part, "X_m")


@pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")
@pytest.mark.parametrize("form", ["h5ad", "zarr"])
def test_a_file_changes_nothing(toy, tmp_path, form):
    toy.obs["text"] = ["a", "b"] * (toy.n_obs // 2)
    toy.obs["whole"] = np.arange(toy.n_obs)
    toy.obs["truth"] = np.arange(toy.n_obs) % 2 == 0
    toy.obs["category"] = pd.Categorical([None, "b"] * (toy.n_obs // 2), categories=["b", "unused"])
    toy.obsm["t"] = pd.DataFrame({"x": np.arange(toy.n_obs, dtype=np.float32)}, index=toy.obs_names)
    toy.obsm["m"] = np.asfortranarray(np.random.default_rng(0).normal(size=(toy.n_obs, 3)))
    toy.obsp["g"] = sparse.random_array((toy.n_obs, toy.n_obs), density=0.05, format="csr", rng=0)
    wrote = {"obs": ["text", "whole", "truth", "category"], "obsm": ["t", "m"], "obsp": ["g"]}
    write_record(toy, "annotate", "a", {}, wrote=wrote)
    getattr(toy, f"write_{form}")(tmp_path / "a")
    back = getattr(ad, f"read_{form}")(tmp_path / "a")
    for slot, keys in wrote.items():
        check_free(back, slot, keys, step="annotate", result="a")


@pytest.mark.parametrize(
    "junk", ["text", [1, 2], {"annotate": 5}, {"annotate": {"results": 5}}, {"annotate": {"wrote": [1]}}]
)
def test_what_others_put_into_our_corner_is_refused(toy, junk):
    toy.uns["stfmkit"] = junk
    put(toy, "obs", "a")
    with pytest.raises(InputError, match=r"del adata.uns\['stfmkit'\]"):
        write_record(toy, "annotate", "a", {}, wrote={"obs": ["a"]})
