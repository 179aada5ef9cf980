"""The contract check finds every fault that is planted."""

import random
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import stfmkit as sk
from stfmkit._core.errors import InputError, InputTypeError
from stfmkit.models.catalogue import registry
from stfmkit.testing import check_model, example_block


class Sound:
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
        self.genes_used = self.mean = None

    def fit(self, block):
        self.genes_used = block.genes
        self.mean = block.counts.sum(axis=1).mean()
        return self

    def prepare(self, block):
        if self.mean is None:
            raise InputError("not fitted", allowed="fitted", remedy="call fit")
        where = block.genes.get_indexer(self.genes_used)
        if (where < 0).any():
            raise InputError("missing genes", allowed="all genes", remedy="fit again")
        return block.counts[:, where].toarray() / self.mean

    def encode(self, batch):
        return batch @ np.arange(1, 1 + 2 * batch.shape[1]).reshape(-1, 2)


class EmbedsUnfitted(Sound):
    def __init__(self):
        super().__init__()
        self.mean, self.genes_used = 1.0, example_block().genes


class FailsUnfitted(Sound):
    def prepare(self, block):
        return block.counts.toarray() / self.mean


class FitReturnsNothing(Sound):
    def fit(self, block):
        super().fit(block)


class FitsInSecret(Sound):
    fits = False


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
        block.counts.data *= 1.5
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
        return block.counts.toarray() / self.mean


class FillsMissingGenes(Sound):
    def prepare(self, block):
        if self.mean is None:
            return super().prepare(block)
        frame = pd.DataFrame(block.counts.toarray(), columns=block.genes)
        return frame.reindex(columns=self.genes_used, fill_value=0.0).to_numpy() / self.mean


class StumblesOverMissingGenes(Sound):
    def prepare(self, block):
        if self.mean is None:
            return super().prepare(block)
        frame = pd.DataFrame(block.counts.toarray(), columns=block.genes)
        return frame[list(self.genes_used)].to_numpy() / self.mean


class ReadsWhatItDoesNotName(Sound):
    needs = ("coordinates",)

    def fit(self, block):
        raise InputError(f"counts: {block.counts}", allowed="counts", remedy="name what is read")


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


def test_a_sound_model_passes():
    assert check_model(Sound) is None
    assert check_model(Sound, block=example_block(n_obs=60, rng=5)) is None


@pytest.mark.parametrize(
    ("model", "found"),
    [
        (EmbedsUnfitted, "before fit(block), 'sound' returns an embedding"),
        (FailsUnfitted, "before fit(block), 'sound' raises TypeError"),
        (FitReturnsNothing, "fit(block) of 'sound' returns something else"),
        (FitsInSecret, "FitsInSecret.fit, and fits=False on the card"),
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
        (ReadsWhatItDoesNotName, "counts: None"),
        (WrongTarget, "target='elsewhere:Other'"),
        (BadCard, "family='neural'"),
        (NoEncode, "NoEncode without encode"),
    ],
)
def test_every_planted_fault_is_found(model, found):
    with pytest.raises(InputError, match=re.escape(found)) as caught:
        check_model(model)
    assert caught.value.allowed
    assert caught.value.remedy


def test_a_card_that_fits_without_fit():
    class Bare(Sound):
        pass

    Bare.fit = None
    with pytest.raises(InputTypeError):
        check_model(Bare)


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
    registry.add(other)
    try:
        with pytest.raises(InputError, match="another card"):
            check_model("library-size-of-a-test")
    finally:
        del registry._cards["library-size-of-a-test"]


def test_example_block():
    block = example_block(n_obs=40, n_genes=7, n_samples=2, n_types=3, rng=1)
    assert block.counts.shape == (40, 7)
    assert isinstance(block.counts, sparse.csr_array)
    assert (block.counts.sum(axis=1) > 0).all()
    assert np.allclose(block.composition.sum(axis=1), 1)
    assert set(block.samples) == {0, 1}
    same = example_block(n_obs=40, n_genes=7, n_samples=2, n_types=3, rng=1)
    assert np.array_equal(block.coords, same.coords)
