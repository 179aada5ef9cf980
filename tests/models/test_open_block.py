"""From a table to a block, and every refusal."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit.models.contract import Patch, Requirements
from stfmkit.models.open_block import open_block

NOTHING, COUNTS, PLACES = Requirements(), Requirements(needs=("counts",)), Requirements(needs=("coordinates",))
BOTH, TYPES = Requirements(needs=("counts", "coordinates")), Requirements(needs=("coordinates", "composition"))


def opened(table, requirements, **keys):
    return open_block(table, requirements, model="mine", **keys)


def test_reads_only_what_the_card_names(toy):
    block = opened(toy, NOTHING)
    assert (dict(block.inputs), block.genes) == ({}, None)
    assert block.obs_names.equals(toy.obs_names)
    block = opened(toy, COUNTS)
    assert not block.has("coordinates")
    assert (block.read("counts") != toy.X).nnz == 0
    block = opened(toy, BOTH, sample_key="sample")
    assert np.array_equal(block.read("coordinates"), toy.obsm["spatial"])
    assert np.array_equal(block.samples, toy.obs["sample"].cat.codes)


def test_other_slots(toy):
    toy.layers["raw"] = toy.X.copy()
    toy.X = toy.X * 0.5
    toy.obsm["place"] = toy.obsm["spatial"] + 1
    block = opened(toy, BOTH, layer="raw", sample_key="sample", spatial_key="place")
    assert (block.read("counts") != toy.layers["raw"]).nnz == 0
    assert np.array_equal(block.read("coordinates"), toy.obsm["spatial"] + 1)


def test_dense_matrices_are_read(toy):
    wanted = toy.X.toarray()
    toy.X = wanted
    assert np.array_equal(opened(toy, COUNTS).read("counts").toarray(), wanted)


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
        opened(toy, COUNTS)
    opened(toy, NOTHING)  # a model that reads no counts does not mind


def test_empty_observations_are_refused(toy):
    dense = toy.X.toarray()
    dense[[4, 7]] = 0
    toy.X = sparse.csr_matrix(dense)
    with pytest.raises(InputError, match="2 observations without any count: 'spot4', 'spot7'"):
        opened(toy, COUNTS)


@pytest.mark.parametrize("axis", ["obs", "var"])
def test_duplicated_names_are_refused(toy, axis):
    names = list(getattr(toy, f"{axis}_names"))
    names[1] = names[0]
    setattr(toy, f"{axis}_names", names)
    with pytest.raises(InputError, match="duplicated"):
        opened(toy, NOTHING)


def test_coordinates_are_checked(toy):
    good = toy.obsm["spatial"].copy()
    toy.obsm["spatial"][5, 0] = np.nan
    with pytest.raises(InputError, match="NaN or infinite coordinates: 'spot5'"):
        opened(toy, PLACES, sample_key="sample")
    toy.obsm["spatial"] = good.copy()
    toy.obsm["spatial"][1] = good[0]  # same sample
    with pytest.raises(InputError, match=r"share their coordinates: 'spot0', 'spot1'[\s\S]*obs\['sample'\]"):
        opened(toy, PLACES, sample_key="sample")
    toy.obsm["spatial"] = good.copy()
    toy.obsm["spatial"][239] = good[0]  # another sample
    opened(toy, PLACES, sample_key="sample")
    del toy.obsm["spatial"]
    with pytest.raises(MissingKeyError, match="no obsm"):
        opened(toy, PLACES, sample_key="sample")


def test_samples_on_one_frame_need_the_sample_key(toy):
    with pytest.raises(InputError, match=r"overlap in space[\s\S]*pass sample_key='sample'"):
        opened(toy, PLACES)
    opened(toy, COUNTS)  # reads no coordinates
    one = toy[toy.obs["sample"] == "S0"].copy()
    assert not opened(one, PLACES).samples.any()


def test_sample_ids_are_never_invented(toy):
    toy.obs["sample"] = toy.obs["sample"].astype(object)
    toy.obs.iloc[3, 0] = None
    with pytest.raises(InputError, match="1 of 240 observations without an id"):
        opened(toy, NOTHING, sample_key="sample")
    with pytest.raises(MissingKeyError, match="Did you mean 'sample'"):
        opened(toy, NOTHING, sample_key="samples")


def test_labels_become_shares(toy):
    block = opened(toy, TYPES, sample_key="sample", celltype_key="niche")
    wanted = pd.get_dummies(toy.obs["niche"].astype(str))[["stroma", "tumour"]].to_numpy(dtype=float)
    assert np.array_equal(block.read("composition"), wanted)


def test_shares_of_obsm(toy, rng):
    shares = rng.dirichlet(np.ones(3), size=toy.n_obs)
    for held in (shares, pd.DataFrame(shares, index=toy.obs_names, columns=list("abc")), sparse.csr_matrix(shares)):
        toy.obsm["shares"] = held
        block = opened(toy, TYPES, sample_key="sample", celltype_key="shares")
        assert np.allclose(block.read("composition"), shares)


def test_cell_types_are_never_invented(toy, rng):
    def read(key):
        return opened(toy, TYPES, sample_key="sample", celltype_key=key)

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
        opened(toy, TYPES, sample_key="sample", celltype_key="shares")


def test_an_image_has_no_reader_for_a_bare_table(toy):
    wanted = Requirements(needs=("image",), patch=Patch(size=8, microns_per_pixel=0.5))
    with pytest.raises(MissingKeyError, match="without images"):
        opened(toy, wanted)
    with pytest.raises(InputError, match="state no patch"):
        opened(toy, Requirements(needs=("image",)))
    with pytest.raises(InputError, match="reads text"):
        opened(toy, Requirements(needs=("text",)))


def test_a_matrix_on_disk_stays_there(toy, tmp_path):
    wanted = toy.X.toarray()
    wanted[3] = 0
    toy.X = sparse.csr_matrix(wanted)
    toy.write_h5ad(tmp_path / "toy.h5ad")
    backed = ad.read_h5ad(tmp_path / "toy.h5ad", backed="r")
    rows = np.array([9, 2, 7])
    for needs in (("counts",), ("expression",)):
        block = opened(backed, Requirements(needs=needs, takes_empty=True))
        assert not block.in_memory(needs[0])
        assert np.array_equal(block.take(rows).read(needs[0]).toarray(), wanted[rows])
        with pytest.raises(InputError, match="1 observations without any count: 'spot3'"):
            opened(backed, Requirements(needs=needs)).take(np.array([5, 3])).read(needs[0])
        with pytest.raises(InputError, match="'spot3'"):
            opened(backed, Requirements(needs=needs), stay_on_disk=False)
    backed.file.close()
