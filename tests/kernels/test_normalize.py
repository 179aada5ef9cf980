"""Normalisation and dispersion against scanpy."""

import numpy as np
import pytest
import scanpy as sc
from anndata import AnnData
from scipy import sparse

from stfmkit._kernels._normalize import median_total, normalized_dispersion, size_factor_log1p, totals


@pytest.fixture
def counts(rng):
    rate = np.exp(rng.normal(-0.5, 1, size=300)) * rng.lognormal(0, 0.5, size=(200, 1))
    return sparse.csr_array(rng.negative_binomial(2, 2 / (2 + rate)).astype(np.float64))


def test_size_factor_log1p_equals_scanpy(counts):
    adata = AnnData(sparse.csr_matrix(counts))
    sc.pp.normalize_total(adata)
    sc.pp.log1p(adata)
    depth = totals(counts)
    found = size_factor_log1p(counts, depth=depth, target=median_total(depth))
    np.testing.assert_allclose(found.toarray(), adata.X.toarray(), rtol=1e-6)


def test_equal_shares_are_equal_numbers():
    """A rounded factor target / depth breaks some of these ties."""
    pairs = [(k, d, m) for d in range(1, 60) for k in range(1, d + 1) for m in (3, 7, 11)]
    counts = np.array([[k, d - k, m * k, m * (d - k)] for k, d, m in pairs], dtype=np.float64)
    one, two = sparse.csr_array(counts[:, :2]), sparse.csr_array(counts[:, 2:])
    target = 41.7
    first = size_factor_log1p(one, depth=totals(one), target=target)
    second = size_factor_log1p(two, depth=totals(two), target=np.full(len(pairs), target))
    np.testing.assert_array_equal(first.toarray(), second.toarray())
    assert (counts[:, 0] * (target / totals(one)) != counts[:, 2] * (target / totals(two))).any()


def test_empty_rows_stay_empty():
    counts = sparse.csr_array(np.array([[0, 0], [1, 3]]))
    found = size_factor_log1p(counts, depth=totals(counts), target=4.0)
    np.testing.assert_allclose(found.toarray(), [[0, 0], [np.log(2), np.log(4)]])
    assert median_total(np.zeros(3)) == 1


def test_dispersion_equals_scanpy(counts):
    depth = totals(counts)
    logged = size_factor_log1p(counts, depth=depth, target=median_total(depth))
    adata = AnnData(sparse.csr_matrix(logged))
    adata.uns["log1p"] = {"base": None}
    sc.pp.highly_variable_genes(adata, flavor="seurat", n_top_genes=50)
    ours = normalized_dispersion(logged)
    theirs = adata.var["dispersions_norm"].to_numpy(dtype=float)
    known = np.isfinite(theirs)
    np.testing.assert_allclose(ours[known], theirs[known], rtol=1e-4, atol=1e-5)
    assert set(np.argsort(-ours)[:50]) == set(np.flatnonzero(adata.var["highly_variable"]))


def test_silent_genes_come_last(counts):
    counts = counts.tolil()
    counts[:, 7] = 0
    assert normalized_dispersion(sparse.csr_array(counts))[7] == -np.inf


def test_two_genes_of_a_bin_tie_with_those_of_other_bins():
    """They are ±1/√2 wherever they are, and rounding does not say which bin is ahead."""
    means, tie = np.repeat([1.0, 30.0, 900.0], 2), np.round(np.sqrt(0.5), 9)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        score = normalized_dispersion(sparse.csr_array(np.log1p(rng.gamma(4, means / 4, size=(500, 6)))))
        assert set(score) <= {-tie, tie, 1.0}  # 1 is a gene alone in its bin
