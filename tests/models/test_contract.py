"""Every baseline keeps the contract (networks do in `zoo/test_all.py`); genes are known by name."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import stfmkit as sk
from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit.models.contract import Block
from stfmkit.models._cards import HVG_PCA
from stfmkit.models._contract import align_genes, expression, fitted
from stfmkit.testing import example_block

NAMES = list(sk.models.list_models(family="baseline")["name"])


@pytest.mark.parametrize("name", NAMES)
def test_contract(name):
    sk.testing.check_model(name)


@pytest.mark.parametrize("name", NAMES)
def test_contract_on_larger_and_on_tiny_samples(name):
    sk.testing.check_model(name, block=example_block(n_obs=400, n_genes=80, n_samples=2, rng=3))
    sk.testing.check_model(name, block=example_block(n_obs=9, n_genes=12, n_samples=4, rng=4))


def test_genes_are_aligned_by_name(block):
    genes = block.genes[::-2]
    aligned = align_genes(block, genes, card=HVG_PCA)
    assert np.array_equal(aligned.toarray(), block.counts.toarray()[:, ::-2])
    assert align_genes(block, block.genes, card=HVG_PCA) is block.counts
    with pytest.raises(MissingKeyError, match=r"1 of the 31 genes[\s\S]*'LOST'"):
        align_genes(block, block.genes.append(pd.Index(["LOST"])), card=HVG_PCA)


def test_counts_without_names():
    bare = Block(obs_names=pd.Index(["a"]), samples=np.zeros(1, dtype=int), counts=sparse.csr_array(np.ones((1, 2))))
    with pytest.raises(MissingKeyError, match="no gene names"):
        expression(bare, card=HVG_PCA)


def test_fitted():
    assert fitted(HVG_PCA, 0) == 0
    with pytest.raises(InputError, match="'hvg_pca' has not been fitted"):
        fitted(HVG_PCA, None)
