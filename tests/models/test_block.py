"""From a table to a block, and every refusal."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit.models.open_block import build_block
from stfmkit.models._cards import CELLTYPE_COMPOSITION, COORDINATES, HVG_PCA, NEIGHBOR_PCA, RANDOM


def test_reads_only_what_the_card_names(toy):
    block = build_block(toy, RANDOM)
    assert (block.counts, block.genes, block.coords, block.composition) == (None,) * 4
    assert block.obs_names.equals(toy.obs_names)
    block = build_block(toy, HVG_PCA)
    assert block.coords is None
    assert (block.counts != toy.X).nnz == 0
    block = build_block(toy, NEIGHBOR_PCA, sample_key="sample")
    assert np.array_equal(block.coords, toy.obsm["spatial"])
    assert np.array_equal(block.samples, toy.obs["sample"].cat.codes)


def test_other_slots(toy):
    toy.layers["raw"] = toy.X.copy()
    toy.X = toy.X * 0.5
    toy.obsm["place"] = toy.obsm["spatial"] + 1
    block = build_block(toy, NEIGHBOR_PCA, layer="raw", sample_key="sample", spatial_key="place")
    assert (block.counts != toy.layers["raw"]).nnz == 0
    assert np.array_equal(block.coords, toy.obsm["spatial"] + 1)


def test_dense_matrices_are_read(toy):
    wanted = toy.X.toarray()
    toy.X = wanted
    assert np.array_equal(build_block(toy, HVG_PCA).counts.toarray(), wanted)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (np.log1p, "not integers"),
        (lambda values: -values, "negative"),
        (lambda values: np.where(np.arange(len(values)) == 3, np.nan, values), "NaN"),
        (lambda values: np.where(np.arange(len(values)) == 3, np.inf, values), "infinite"),
    ],
)
def test_what_is_not_a_count_is_refused(toy, change, found):
    toy.X.data = change(toy.X.data)
    with pytest.raises(InputError, match=found):
        build_block(toy, HVG_PCA)
    build_block(toy, RANDOM)  # a model that reads no counts does not mind


def test_empty_observations_are_refused(toy):
    dense = toy.X.toarray()
    dense[[4, 7]] = 0
    toy.X = sparse.csr_matrix(dense)
    with pytest.raises(InputError, match="2 observations without any count: 'spot4', 'spot7'"):
        build_block(toy, HVG_PCA)


@pytest.mark.parametrize("axis", ["obs", "var"])
def test_duplicated_names_are_refused(toy, axis):
    names = list(getattr(toy, f"{axis}_names"))
    names[1] = names[0]
    setattr(toy, f"{axis}_names", names)
    with pytest.raises(InputError, match="duplicated"):
        build_block(toy, RANDOM)


def test_coordinates_are_checked(toy):
    good = toy.obsm["spatial"].copy()
    toy.obsm["spatial"][5, 0] = np.nan
    with pytest.raises(InputError, match="NaN or infinite coordinates: 'spot5'"):
        build_block(toy, COORDINATES, sample_key="sample")
    toy.obsm["spatial"] = good.copy()
    toy.obsm["spatial"][1] = good[0]  # same sample
    with pytest.raises(InputError, match=r"share their coordinates: 'spot0', 'spot1'[\s\S]*obs\['sample'\]"):
        build_block(toy, COORDINATES, sample_key="sample")
    toy.obsm["spatial"] = good.copy()
    toy.obsm["spatial"][239] = good[0]  # another sample
    build_block(toy, COORDINATES, sample_key="sample")
    del toy.obsm["spatial"]
    with pytest.raises(MissingKeyError, match="no obsm"):
        build_block(toy, COORDINATES, sample_key="sample")


def test_samples_on_one_frame_need_the_sample_key(toy):
    with pytest.raises(InputError, match=r"overlap in space[\s\S]*pass sample_key='sample'"):
        build_block(toy, COORDINATES)
    build_block(toy, HVG_PCA)  # reads no coordinates
    one = toy[toy.obs["sample"] == "S0"].copy()
    assert not build_block(one, COORDINATES).samples.any()


def test_sample_ids_are_never_invented(toy):
    toy.obs["sample"] = toy.obs["sample"].astype(object)
    toy.obs.iloc[3, 0] = None
    with pytest.raises(InputError, match="1 of 240 observations without an id"):
        build_block(toy, RANDOM, sample_key="sample")
    with pytest.raises(MissingKeyError, match="Did you mean 'sample'"):
        build_block(toy, RANDOM, sample_key="samples")


def test_labels_become_shares(toy):
    block = build_block(toy, CELLTYPE_COMPOSITION, sample_key="sample", celltype_key="niche")
    wanted = pd.get_dummies(toy.obs["niche"].astype(str))[["stroma", "tumour"]].to_numpy(dtype=float)
    assert np.array_equal(block.composition, wanted)


def test_shares_of_obsm(toy, rng):
    shares = rng.dirichlet(np.ones(3), size=toy.n_obs)
    for held in (shares, pd.DataFrame(shares, index=toy.obs_names, columns=list("abc")), sparse.csr_matrix(shares)):
        toy.obsm["shares"] = held
        block = build_block(toy, CELLTYPE_COMPOSITION, sample_key="sample", celltype_key="shares")
        assert np.allclose(block.composition, shares)


def test_cell_types_are_never_invented(toy, rng):
    def read(key):
        return build_block(toy, CELLTYPE_COMPOSITION, sample_key="sample", celltype_key=key)

    with pytest.raises(MissingKeyError, match=r"celltype_key is None[\s\S]*never invented"):
        read(None)
    with pytest.raises(MissingKeyError, match=r"neither a column of obs nor a key of obsm[\s\S]*Did you mean 'niche'"):
        read("niches")
    toy.obs["depth"] = rng.random(toy.n_obs)
    with pytest.raises(InputError, match="dtype float64"):
        read("depth")
    toy.obsm["niche"] = np.ones((toy.n_obs, 1))
    with pytest.raises(InputError, match="both"):
        read("niche")
    del toy.obsm["niche"]
    toy.obs["niche"] = toy.obs["niche"].astype(object)
    toy.obs.iloc[0, 2] = np.nan
    with pytest.raises(InputError, match="without an id"):
        read("niche")


@pytest.mark.parametrize("bad", [2.0, -0.1, np.nan])
def test_what_is_no_share_is_refused(toy, bad):
    toy.obsm["shares"] = np.full((toy.n_obs, 2), 0.5)
    toy.obsm["shares"][3, 1] = bad
    with pytest.raises(InputError, match="not shares"):
        build_block(toy, CELLTYPE_COMPOSITION, sample_key="sample", celltype_key="shares")
