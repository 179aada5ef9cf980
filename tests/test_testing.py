"""The contract check finds every fault that is planted."""

import random
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import stfmkit as sk
from stfmkit._core.errors import InputError, InputTypeError, StfmkitError
from stfmkit.models.catalogue import MODELS
from stfmkit.models.contract import EmbeddingModel
from stfmkit.testing import check_model, example_block


class Sound(EmbeddingModel):
    """Keeps the contract: total counts in units of the training mean, by gene name."""

    fits, needs, uses_neighbors = True, ("counts",), False

    def __init__(self):
        self.card = sk.models.ModelCard(
            name="sound",
            target=f"tests.test_testing:{type(self).__name__}",
            family="rna",
            summary="A test.",
            needs=self.needs,
            fits=self.fits,
            uses_neighbors=self.uses_neighbors,
        )
        self.genes = self.mean = None

    def fit(self, block):
        self.genes = block.genes
        self.mean = block.read("counts").sum(axis=1).mean()
        return self

    def genes_read(self, block):
        return block.genes.isin(self.genes)

    def prepare(self, block):
        if self.mean is None:
            raise InputError("not fitted", allowed="fitted", remedy="call fit")
        where = block.genes.get_indexer(self.genes)
        if (where < 0).any():
            raise InputError("missing genes", allowed="all genes", remedy="fit again")
        return block.read("counts")[:, where].toarray() / self.mean

    def encode(self, batch):
        return batch @ np.arange(1, 1 + 2 * batch.shape[1]).reshape(-1, 2)


class EmbedsUnfitted(Sound):
    def __init__(self):
        super().__init__()
        self.mean, self.genes = 1.0, example_block().genes


class FailsUnfitted(Sound):
    def prepare(self, block):
        return block.read("counts").toarray() / self.mean


class FitReturnsNothing(Sound):
    def fit(self, block):
        super().fit(block)


class FitsInSecret(Sound):
    fits = False


class ForgetsAnOption(Sound):
    def __init__(self, depth=3):
        super().__init__()


class ForgetsItsSeed(Sound):
    def __init__(self, rng=0):
        super().__init__()


class CountsGenesItNeverReads(Sound):
    def genes_read(self, block):
        return np.flatnonzero(super().genes_read(block))


class VectorsOfGenesUnsaid(Sound):
    def encode_genes(self, block):
        return np.ones((len(block.genes), 2))


class HasAnIdentityOfItsOwn(Sound):
    def __init__(self, where=None):
        super().__init__()
        self.where = object()


class NotFinite(Sound):
    def encode(self, batch):
        return np.full((len(batch), 2), np.nan)


class Unseeded(Sound):
    def encode(self, batch):
        return super().encode(batch) + np.random.default_rng().random(2)


class GlobalNumpy(Sound):
    def encode(self, batch):
        np.random.rand()  # noqa: NPY002  the fault
        return super().encode(batch)


class GlobalPython(Sound):
    def encode(self, batch):
        random.random()
        return super().encode(batch)


class ChangesTheBlock(Sound):
    def prepare(self, block):
        prepared = super().prepare(block)
        block.read("counts").data *= 1.5
        return prepared


class KnowsTheRow(Sound):
    def encode(self, batch):
        return super().encode(batch) + np.arange(len(batch))[:, None]


class CentresOnTheBatch(Sound):
    def encode(self, batch):
        values = super().encode(batch)
        return values - values.mean(axis=0)


class CrossesSamples(CentresOnTheBatch):
    uses_neighbors = True


class GenesByPosition(Sound):
    def prepare(self, block):
        super().prepare(block)
        return block.read("counts").toarray() / self.mean


class FillsMissingGenes(Sound):
    def prepare(self, block):
        if self.mean is None:
            return super().prepare(block)
        frame = pd.DataFrame(block.read("counts").toarray(), columns=block.genes)
        return frame.reindex(columns=self.genes, fill_value=0.0).to_numpy() / self.mean


class StumblesOverMissingGenes(Sound):
    def prepare(self, block):
        if self.mean is None:
            return super().prepare(block)
        frame = pd.DataFrame(block.read("counts").toarray(), columns=block.genes)
        return frame[list(self.genes)].to_numpy() / self.mean


class ReadsWhatItDoesNotName(Sound):
    needs = ("coordinates",)

    def fit(self, block):
        block.read("counts")


class WrongTarget(Sound):
    def __init__(self):
        super().__init__()
        self.card = replace(self.card, target="elsewhere:Other")


class BadCard(Sound):
    def __init__(self):
        super().__init__()
        self.card = replace(self.card, family="neural")


class NoEncode:
    card = None
    prepare = None


class FollowsTheRows(KnowsTheRow):
    """Says that its vectors follow the order of the rows, as those of its original do."""

    uses_neighbors = True

    def requirements(self):
        return replace(super().requirements(), follows_order=("observations", "genes"))


def test_a_sound_model_passes():
    assert check_model(Sound) is None
    assert check_model(Sound, block=example_block(n_obs=60, rng=5)) is None


@pytest.mark.parametrize(
    ("model", "found"),
    [
        (EmbedsUnfitted, "before fit(block), 'sound' returns an embedding"),
        (FailsUnfitted, "before fit(block), 'sound' raises TypeError"),
        (FitReturnsNothing, "fit(block) of 'sound' returns something else"),
        (FitsInSecret, "FitsInSecret has fit, and fits=False on the card"),
        (NotFinite, "not finite"),
        (Unseeded, "two runs of 'sound' differ"),
        (GlobalNumpy, "draws from a global random state"),
        (GlobalPython, "draws from a global random state"),
        (ChangesTheBlock, "changes the block"),
        (KnowsTheRow, "when the observations are shuffled"),
        (CentresOnTheBatch, "when other observations are left out"),
        (CrossesSamples, "in one call"),
        (GenesByPosition, "when the genes are in another order"),
        (FillsMissingGenes, "without the gene 'GENE0' that it was fitted on, 'sound' returns an embedding"),
        (StumblesOverMissingGenes, "without the gene 'GENE0' that it was fitted on, 'sound' raises KeyError"),
        (ForgetsAnOption, "takes 'depth' and does not store it"),
        (ForgetsItsSeed, "takes rng, and its rng is None"),
        (CountsGenesItNeverReads, "genes_read(block) of 'sound' has shape"),
        (VectorsOfGenesUnsaid, "with gives_genes=False"),
        (HasAnIdentityOfItsOwn, "different identities"),
        (ReadsWhatItDoesNotName, "a block without counts"),
        (WrongTarget, "target='elsewhere:Other'"),
        (BadCard, "family='neural'"),
        (NoEncode, "NoEncode, which is no EmbeddingModel"),
    ],
)
def test_every_planted_fault_is_found(model, found):
    with pytest.raises(StfmkitError, match=re.escape(found)) as caught:
        check_model(model)
    assert caught.value.allowed
    assert caught.value.remedy


def test_a_card_that_fits_without_fit():
    class Bare(EmbeddingModel):
        card = replace(Sound().card, target="tests.test_testing:Bare")

        def prepare(self, block):
            return block

        def encode(self, batch):
            return np.zeros((batch.n_obs, 2))

    with pytest.raises(InputError, match=r"Bare has no fit\(block\), and fits=True"):
        check_model(Bare)


def test_what_follows_an_order_is_not_asked_about_it():
    with pytest.raises(InputError, match="in one call"):  # and about everything else
        check_model(FollowsTheRows)


def test_arguments():
    with pytest.raises(InputTypeError, match="a model of type int"):
        check_model(3)
    with pytest.raises(InputError, match="options k with a function"):
        check_model(Sound, k=3)
    with pytest.raises(InputError, match="one sample"):
        check_model("hvg_pca", block=example_block(n_samples=1))
    with pytest.raises(InputError, match="not an option"):
        check_model("hvg_pca", k=3)


def test_a_registered_card_must_be_that_of_the_class():
    other = replace(sk.models.model_card("library_size"), name="library-size-of-a-test")
    MODELS.add(other)
    try:
        with pytest.raises(InputError, match="another card"):
            check_model("library-size-of-a-test")
    finally:
        MODELS.remove("library-size-of-a-test")


def test_a_card_must_say_what_the_model_needs_by_default(monkeypatch):
    card = replace(sk.models.model_card("library_size"), needs=("counts", "coordinates"))
    monkeypatch.setattr("stfmkit.models.baselines.library_size.LibrarySize.card", card)
    MODELS.add(card, overwrite=True)
    try:
        monkeypatch.setattr(
            "stfmkit.models.baselines.library_size.LibrarySize.requirements",
            lambda self: replace(EmbeddingModel.requirements(self), needs=("counts",)),
        )
        with pytest.raises(InputError, match="its card says"):
            check_model("library_size")
    finally:
        MODELS.add(replace(card, needs=("counts",)), overwrite=True)


def test_example_block():
    block = example_block(n_obs=40, n_genes=7, n_samples=2, n_types=3, rng=1)
    assert block.read("counts").shape == (40, 7)
    assert isinstance(block.read("counts"), sparse.csr_array)
    assert (block.read("counts").sum(axis=1) > 0).all()
    assert np.allclose(block.read("composition").sum(axis=1), 1)
    assert set(block.samples) == {0, 1}
    same = example_block(n_obs=40, n_genes=7, n_samples=2, n_types=3, rng=1)
    assert np.array_equal(block.read("coordinates"), same.read("coordinates"))
