"""Domains: what is written, jointly and in every sample, seeds, bad input, and real layers of cortex."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

import stfmkit as sk
from stfmkit.errors import InputError, InputTypeError, MissingKeyError
from stfmkit.tl._domains import natural

KEYS = {"embedding_key": "X_e"}


@pytest.fixture
def planted(rng):
    """Three groups in two samples, the second of which is moved in the embedding."""
    group, sample = rng.choice(3, size=240, p=[0.5, 0.3, 0.2]), np.arange(240) % 2
    obs = pd.DataFrame(
        {"group": [f"g{g}" for g in group], "sample": [("s10", "s2")[s] for s in sample]},
        index=[f"c{i}" for i in range(240)],
    )
    adata = ad.AnnData(np.ones((240, 2), dtype=np.float32), obs=obs)
    adata.obsm["X_e"] = 9 * np.eye(3, 6)[group] + rng.normal(size=(240, 6))
    adata.obsm["X_moved"] = adata.obsm["X_e"] + 40 * sample[:, None]
    return adata


def agreement(adata, key="domains", rows=slice(None)):
    return adjusted_rand_score(adata.obs["group"][rows], adata.obs[key].astype(str)[rows])


@pytest.mark.parametrize("method", ["kmeans", "gmm", "leiden"])
def test_planted_groups_are_found(planted, method):
    sk.tl.domains(planted, method=method, n_clusters=3, **KEYS)
    assert agreement(planted) > 0.97
    assert list(planted.obs["domains"].cat.categories) == ["0", "1", "2"]
    assert planted.obs["domains"].value_counts(sort=False).is_monotonic_decreasing
    assert ("domains_probability" in planted.obsm) == (method == "gmm")


def test_what_is_written(planted):
    sk.tl.domains(planted, method="gmm", n_clusters=3, key_added="d", sample_key="sample", covariance="diag", **KEYS)
    shares = planted.obsm["d_probability"]
    assert list(shares.columns) == ["0", "1", "2"]
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(planted.obs["d_probability"], shares.max(axis=1))
    record = planted.uns["stfmkit"]["domains"]["results"]["d"]
    assert record["method"] == "domains/gmm"
    assert record["options"] == {
        "embedding_key": "X_e",
        "n_clusters": 3,
        "covariance": "diag",
        "n_starts": 3,
        "max_iter": 500,
    }
    assert record["output"]["converged"]
    assert record["transductive"]
    assert (record["rng"], record["n_samples"], record["per_sample"], record["n_clusters"]) == (0, 2, False, 3)


def test_the_licence_of_leiden_is_recorded(planted):
    sk.tl.domains(planted, method="leiden", resolution=0.5, **KEYS)
    record = planted.uns["stfmkit"]["domains"]["results"]["domains"]
    assert "GPL-2.0-or-later (igraph)" in record["licence"]
    assert record["output"]["resolution"] == 0.5
    assert set(record["output"]["versions"]) == {"scanpy", "umap-learn", "igraph"}
    assert record["options"]["n_clusters"] is None
    assert record["sample_key"] is None


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
@pytest.mark.filterwarnings("ignore:Writing zarr v2:UserWarning")
@pytest.mark.parametrize("method", ["gmm", "leiden"])
def test_results_can_be_stored(planted, kind, method, tmp_path):
    sk.tl.domains(planted, method=method, n_clusters=3, sample_key="sample", per_sample=True, **KEYS)
    place = tmp_path / f"data.{kind}"
    getattr(planted, f"write_{kind}")(place)
    again = getattr(ad, f"read_{kind}")(place)
    assert (again.obs["domains"] == planted.obs["domains"]).all()
    sk.tl.domains(again, n_clusters=3, **KEYS)
    assert "domains_probability" not in again.obsm  # that of the earlier result is gone with it


def test_every_sample_on_its_own(planted):
    sk.tl.domains(planted, n_clusters=3, sample_key="sample", per_sample=True, embedding_key="X_moved")
    assert list(planted.obs["domains"].cat.categories) == ["s2:0", "s2:1", "s2:2", "s10:0", "s10:1", "s10:2"]
    for sample in ("s2", "s10"):
        rows = (planted.obs["sample"] == sample).to_numpy()
        assert planted.obs["domains"][rows].str.startswith(f"{sample}:").all()
        assert agreement(planted, rows=rows) > 0.97
        part = planted[rows].copy()
        sk.tl.domains(part, n_clusters=3, sample_key="sample", per_sample=True, embedding_key="X_moved")
        assert part.obs["domains"].tolist() == planted.obs["domains"][rows].tolist()  # other samples make no difference
    sk.tl.domains(planted, n_clusters=3, sample_key="sample", embedding_key="X_moved", key_added="joint")
    assert adjusted_rand_score(planted.obs["sample"], planted.obs["joint"]) > 0.3  # samples, rather than groups


def test_probabilities_of_every_sample(planted):
    sk.tl.domains(planted, method="gmm", n_clusters=2, sample_key="sample", per_sample=True, **KEYS)
    shares = planted.obsm["domains_probability"]
    assert list(shares.columns) == ["s2:0", "s2:1", "s10:0", "s10:1"]
    rows = (planted.obs["sample"] == "s2").to_numpy()
    assert (shares.loc[rows, ["s10:0", "s10:1"]] == 0).all(axis=None)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    assert (shares.idxmax(axis=1) == planted.obs["domains"].astype(str)).all()


def test_a_seed_gives_the_same_bits_and_a_generator_is_recorded(planted):
    first = sk.tl.domains(planted, n_clusters=7, rng=5, copy=True, **KEYS)
    assert sk.tl.domains(planted, n_clusters=7, rng=5, copy=True, **KEYS).result.equals(first.result)
    sk.tl.domains(planted, n_clusters=7, rng=np.random.default_rng(3), **KEYS)
    seed = planted.uns["stfmkit"]["domains"]["results"]["domains"]["rng"]
    again = sk.tl.domains(planted, n_clusters=7, rng=seed, copy=True, **KEYS)
    assert (again.result == planted.obs["domains"]).all()


def test_copy_writes_nothing(planted, content):
    planted.X = np.asarray(planted.X)
    before = planted.copy()
    output = sk.tl.domains(planted, n_clusters=3, copy=True, **KEYS)
    assert list(planted.obs) == list(before.obs)
    assert planted.uns == before.uns
    assert isinstance(output, sk.methods.Output)


def test_spatialdata(planted):
    import spatialdata

    plain = sk.tl.domains(planted, n_clusters=3, copy=True, **KEYS)
    data = spatialdata.SpatialData(tables={"cells": planted})
    sk.tl.domains(data, n_clusters=3, **KEYS)
    assert (data.tables["cells"].obs["domains"] == plain.result).all()


def test_refusals(planted):
    call = sk.tl.domains
    with pytest.raises(InputError, match="'domains/kmeans' without n_clusters"):
        call(planted, **KEYS)
    with pytest.raises(InputError, match="'domains/gmm' without embedding_key and n_clusters"):
        call(planted, method="gmm")
    with pytest.raises(InputError, match="for Leiden"):
        call(planted, method="leiden", **KEYS)
    with pytest.raises(InputError, match="n_clusters=1"):
        call(planted, n_clusters=1, **KEYS)
    with pytest.raises(InputTypeError, match="n_clusters='3'"):
        call(planted, n_clusters="3", **KEYS)
    with pytest.raises(InputError, match="240 different vectors"):
        call(planted, n_clusters=241, **KEYS)
    with pytest.raises(InputError, match="per_sample=True without sample_key"):
        call(planted, n_clusters=3, per_sample=True, **KEYS)
    with pytest.raises(MissingKeyError, match="sample_key='slide'"):
        call(planted, n_clusters=3, sample_key="slide", **KEYS)
    with pytest.raises(MissingKeyError, match="no method named 'knn'"):
        call(planted, method="knn", n_clusters=3, **KEYS)
    with pytest.raises(InputError, match="'resolution' is not an option of the method 'domains/kmeans'"):
        call(planted, n_clusters=3, resolution=1.0, **KEYS)
    with pytest.raises(MissingKeyError, match=r"no obsm\['X_pca'\] in the data"):
        call(planted, n_clusters=3, embedding_key="X_pca")
    planted.obs["sample"] = planted.obs["sample"].replace("s2", "s/2")
    with pytest.raises(InputError, match=r"names with '/' in obs\['sample'\]"):
        call(planted, n_clusters=3, sample_key="sample", per_sample=True, **KEYS)
    planted.obs["domains"] = "mine"
    with pytest.raises(InputError, match="obs already has 'domains'"):
        call(planted, n_clusters=3, **KEYS)
    assert "stfmkit" not in planted.uns


def test_natural_order():
    assert sorted(["s10", "s2", "t1", "s", "10", "9"], key=natural) == ["9", "10", "s", "s2", "s10", "t1"]


@pytest.mark.real_data
@pytest.mark.parametrize(("method", "least"), [("kmeans", 0.3), ("gmm", 0.4)])
def test_layers_of_cortex(real_data, method, least):
    """NichePCA reports 0.3 to 0.6 for sections of this cohort; a shared covariance does better than k-means."""
    adata = ad.read_h5ad(real_data / "dlpfc_visium_151673_151675.h5ad")
    adata = adata[adata.obs["layer"].notna()].copy()
    sk.tl.embed(adata, "neighbor_pca", sample_key="section")
    sk.tl.domains(adata, method=method, n_clusters=7, embedding_key="X_neighbor_pca", sample_key="section")
    assert adjusted_rand_score(adata.obs["layer"], adata.obs["domains"]) > least
