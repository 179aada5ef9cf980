"""Against scanpy, and what the fit may see."""

from dataclasses import replace

import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit.models import load_model
from stfmkit.models.runtime.run import ModelRun
from stfmkit.testing import example_block


@pytest.fixture
def large():
    """Enough genes for a choice to matter."""
    return example_block(n_obs=300, n_genes=400, rng=1)


def test_equals_scanpy(large):
    import scanpy as sc

    model = load_model("hvg_pca", n_genes=100, n_components=20).fit(large)
    out = ModelRun(model).embed(large)
    adata = AnnData(sparse.csr_matrix(large.read("counts").astype(np.float64)))
    adata.var_names = large.genes
    sc.pp.normalize_total(adata)
    sc.pp.log1p(adata)
    sc.pp.highly_variable_genes(adata, n_top_genes=100, flavor="seurat")
    sc.pp.pca(adata, n_comps=20, svd_solver="arpack", dtype="float64", mask_var="highly_variable")
    assert set(large.genes[model.genes_read(large)]) == set(adata.var_names[adata.var["highly_variable"]])
    theirs = adata.obsm["X_pca"]
    signs = np.sign((out * theirs).sum(axis=0))
    np.testing.assert_allclose(out * signs, theirs, atol=1e-4)


def test_test_observations_do_not_move_the_fit(large):
    train, test = large.take(np.arange(200)), large.take(np.arange(200, 300))
    model = load_model("hvg_pca").fit(train)
    before = ModelRun(model).embed(train)
    ModelRun(model).embed(test)
    assert np.array_equal(ModelRun(model).embed(train), before)
    deeper = replace(test, inputs={"counts": test.read("counts") * 7})
    assert np.allclose(
        ModelRun(model).embed(deeper), ModelRun(model).embed(test), atol=1e-4
    )  # library size is divided out


def test_training_median_is_the_target(large):
    model = load_model("hvg_pca", n_components=3).fit(large)
    assert model._state.target == np.median(large.read("counts").sum(axis=1))


def test_fewer_genes_than_asked_for_are_all_taken(block):
    dense = block.read("counts").toarray()
    dense[:, 4] = 0
    model = load_model("hvg_pca").fit(replace(block, inputs={"counts": sparse.csr_array(dense)}))
    assert list(block.genes[model.genes_read(block)]) == [gene for gene in block.genes if gene != "GENE4"]


def test_width_falls_with_the_rank(block):
    few = block.take(np.arange(8))
    assert ModelRun(load_model("hvg_pca", n_components=50).fit(few)).embed(few).shape == (8, 7)
    assert ModelRun(load_model("hvg_pca", n_components=3).fit(few)).embed(few).shape == (8, 3)


def test_more_genes_are_ignored_and_missing_ones_refused(large):
    narrow = large.without_genes(np.arange(50))
    model = load_model("hvg_pca").fit(narrow)
    assert np.array_equal(ModelRun(model).embed(large), ModelRun(model).embed(narrow))
    with pytest.raises(MissingKeyError, match="50 of the 400 genes"):
        ModelRun(load_model("hvg_pca").fit(large)).embed(narrow)


def test_an_observation_whose_genes_are_all_hidden_stays_finite(block):
    dense = block.read("counts").toarray()
    dense[3, 1:] = 0
    hidden = replace(block, inputs={"counts": sparse.csr_array(dense)}).without_genes(np.array([0]))
    assert np.isfinite(ModelRun(load_model("hvg_pca").fit(hidden)).embed(hidden)).all()


def test_observations_that_do_not_differ(block):
    same = block.take(np.zeros(5, dtype=int))
    with pytest.raises(InputError, match="do not differ"):
        load_model("hvg_pca").fit(same)
