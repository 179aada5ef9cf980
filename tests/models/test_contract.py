"""The block that a model sees, its readers, and what a model states; every baseline keeps the contract."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import stfmkit as sk
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError
from stfmkit.models.baselines.hvg_pca import HvgPca
from stfmkit.models.contract import Block, EmbeddingModel, Patch, Requirements
from stfmkit.models.genes.alignment import counts_of
from stfmkit.models.runtime.run import ModelRun
from stfmkit.testing import example_block

NAMES = list(sk.models.list_models(family="baseline")["name"])


@pytest.mark.parametrize("name", NAMES)
def test_baselines_keep_the_contract(name):
    sk.testing.check_model(name)


@pytest.mark.parametrize("name", NAMES)
def test_they_do_on_larger_and_on_tiny_samples(name):
    sk.testing.check_model(name, block=example_block(n_obs=400, n_genes=80, n_samples=2, rng=3))
    sk.testing.check_model(name, block=example_block(n_obs=9, n_genes=12, n_samples=4, rng=4))


@dataclass
class Counted:
    """A reader that remembers what it was asked for."""

    array: np.ndarray

    def __post_init__(self):
        self.asked = []

    @property
    def shape(self):
        return self.array.shape

    def read(self, rows):
        self.asked.append(list(rows))
        return self.array[rows]


@pytest.fixture
def lazy():
    """A block whose image is read by rows, and its reader."""
    reader = Counted(np.arange(6 * 4 * 4 * 3).reshape(6, 4, 4, 3))
    names = pd.Index([f"o{i}" for i in range(6)])
    return Block(obs_names=names, samples=np.arange(6) // 3, inputs={"image": reader}), reader


def test_a_reader_is_asked_for_the_rows_that_are_wanted(lazy):
    block, reader = lazy
    part = block.take(np.array([5, 1, 3])).take(np.array([2, 0]))
    assert reader.asked == []
    assert np.array_equal(part.read("image"), reader.array[[3, 5]])
    assert np.array_equal(part.read("image", np.array([1])), reader.array[[5]])
    assert reader.asked == [[3, 5]]  # what was read as a whole stays
    assert block.read("image", np.array([0])).shape == (1, 4, 4, 3)
    assert not block.in_memory("image")
    assert block.read("image") is block.read("image")
    assert block.take(np.array([4])).in_memory("image")
    assert reader.asked == [[3, 5], [0], [0, 1, 2, 3, 4, 5]]


def test_columns_of_a_reader_are_left_out(lazy):
    matrix = Counted(np.arange(30).reshape(6, 5))
    block = Block(
        obs_names=lazy[0].obs_names,
        samples=lazy[0].samples,
        inputs={"expression": matrix},
        genes=pd.Index(list("abcde")),
        var={"id": np.array(list("ABCDE"))},
    )
    fewer = block.without_genes(np.array([1, 4]))
    assert matrix.asked == []
    assert list(fewer.genes) == list("acd")
    assert list(fewer.var["id"]) == list("ACD")
    assert np.array_equal(fewer.take(np.array([2])).read("expression"), [[10, 12, 13]])
    assert block.without_genes(np.array([], dtype=int)) is block
    assert fewer.inputs["expression"].shape == (6, 3)


def test_what_is_not_there_is_refused(block):
    with pytest.raises(MissingKeyError, match=r"a block without image[\s\S]*counts"):
        block.read("image")
    assert not block.has("image")
    assert block.has("expression")
    assert block.read("expression") is block.read("counts")  # counts are expression
    with pytest.raises(MissingKeyError, match="without counts"):
        block.only(Requirements(needs=("coordinates",))).read("counts")
    bare = Block(obs_names=block.obs_names, samples=block.samples, inputs={"expression": block.read("counts")})
    with pytest.raises(MissingKeyError, match="without counts"):
        bare.read("counts")  # expression is no count


def test_a_model_sees_what_it_needs_and_nothing_else(block):
    seen = block.only(Requirements(needs=("coordinates",)))
    assert set(seen.inputs) == {"coordinates"}
    assert seen.genes is None
    seen = block.only(Requirements(needs=("expression",)))
    assert set(seen.inputs) == {"counts"}
    assert seen.genes.equals(block.genes)


def test_the_identity_of_a_block_follows_its_content(block):
    assert block.identity() == example_block().identity()
    rows = np.arange(block.n_obs)
    others = [block.take(rows[::-1]), block.without_genes(np.array([3])), block.only(Requirements(needs=("counts",)))]
    texts = [block.identity(), *(other.identity() for other in others)]
    assert len(set(texts)) == 4


def test_one_block_for_several_models():
    both = Requirements.of_all(
        [
            Requirements(needs=("expression",), obs_keys=("a",), takes_empty=True),
            Requirements(needs=("counts", "coordinates"), obs_keys=("a", "b"), var_keys=("v",)),
            Requirements(needs=("image",), patch=Patch(size=4, microns_per_pixel=1.0)),
        ]
    )
    assert set(both.needs) == {"counts", "coordinates", "image"}
    assert (both.obs_keys, both.var_keys, both.takes_empty) == (("a", "b"), ("v",), False)
    with pytest.raises(InputError, match="different patches"):
        Requirements.of_all([Requirements(patch=Patch(size=n, microns_per_pixel=1.0)) for n in (4, 8)])


class Bare(EmbeddingModel):
    """A model with nothing but the two verbs, which forgets an option."""

    card = sk.models.model_card("library_size")

    def __init__(self, *, depth: int = 3) -> None:
        pass

    def prepare(self, block):
        return block

    def encode(self, batch):
        return np.zeros((batch.n_obs, 2))


def test_what_a_model_does_not_state_is_refused(block):
    model = Bare()
    with pytest.raises(InputError, match="learns nothing from data"):
        model.fit(block)
    with pytest.raises(InputError, match="no vector of a gene"):
        model.encode_genes(block)
    with pytest.raises(InputTypeError, match=r"Bare, whose constructor takes 'depth'[\s\S]*self.depth = depth"):
        model.options()
    with pytest.raises(TypeError, match="abstract"):
        EmbeddingModel()


def test_the_identity_of_a_model_follows_options_and_seed():
    same = HvgPca(n_genes=10).identity()
    assert same == HvgPca(n_genes=10).identity()
    assert same != HvgPca(n_genes=11).identity()
    a, b = (sk.models.load_model("random", rng=seed).identity() for seed in (0, 1))
    assert a != b


def test_genes_are_aligned_by_name(block):
    genes = block.genes[::-2]
    counts = block.read("counts")
    aligned = counts_of(counts, block.genes, genes, what="mine")
    assert np.array_equal(aligned.toarray(), counts.toarray()[:, ::-2])
    assert counts_of(counts, block.genes, block.genes, what="mine") is counts
    with pytest.raises(MissingKeyError, match=r"1 of the 31 genes[\s\S]*'LOST'"):
        counts_of(counts, block.genes, block.genes.append(pd.Index(["LOST"])), what="mine")


def test_counts_without_names():
    counts = sparse.csr_array(np.ones((1, 2)))
    bare = Block(obs_names=pd.Index(["a"]), samples=np.zeros(1, dtype=int), inputs={"counts": counts})
    with pytest.raises(MissingKeyError, match="no gene names"):
        ModelRun(sk.models.load_model("library_size")).embed(bare)


def test_a_model_that_was_not_fitted(block):
    with pytest.raises(InputError, match="'hvg_pca' has not been fitted"):
        ModelRun(HvgPca()).embed(block)
