"""Tests of autocorrelation: squidpy, statsmodels and plain permutation as oracles, uniform p-values under the null."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse, stats

from stfmkit._core.errors import InputError
from stfmkit._kernels._neighbors import knn_within, mean_operator
from stfmkit.metrics import gearys_c, gearys_c_test, morans_i, morans_i_test

TESTS = {"moran": morans_i_test, "geary": gearys_c_test}
VALUES = {"moran": morans_i, "geary": gearys_c}


@pytest.fixture
def graph(rng) -> sparse.csr_array:
    """Row-normalised neighbours of points in the plane."""
    near = knn_within(rng.uniform(size=(60, 2)), np.zeros(60, dtype=int), k=5)
    return mean_operator(near, include_self=False)


@pytest.fixture
def values(rng, graph) -> np.ndarray:
    """Sparse skewed genes; the first is smooth."""
    found = np.where(rng.uniform(size=(60, 9)) < 0.5, rng.gamma(1, size=(60, 9)), 0.0)
    smooth = graph @ graph @ rng.normal(size=60)
    found[:, 0] = smooth - smooth.min()
    return found


@pytest.mark.parametrize("kind", TESTS)
@pytest.mark.parametrize("as_", [np.asarray, sparse.csr_array, sparse.csc_matrix, lambda x: sparse.csr_array(x * 1.0)])
def test_analytic_values_are_squidpys(kind, as_, values, graph):
    import squidpy as sq

    adata = AnnData(values, var=pd.DataFrame(index=[f"g{i}" for i in range(9)]))
    adata.obsp["spatial_connectivities"] = sparse.csr_matrix(graph)
    options = {"mode": kind, "copy": True, "show_progress_bar": False}
    two = sq.gr.spatial_autocorr(adata, two_tailed=True, corr_method="fdr_bh", **options).loc[adata.var_names]
    one = sq.gr.spatial_autocorr(adata, two_tailed=False, corr_method="fdr_by", **options).loc[adata.var_names]
    got = TESTS[kind](as_(values), graph, alternative="two-sided")
    np.testing.assert_allclose(got["statistic"], two["I" if kind == "moran" else "C"])
    np.testing.assert_allclose(got["variance_norm"], two["var_norm"])
    np.testing.assert_allclose(got["p_norm"], two["pval_norm"], atol=1e-14)
    np.testing.assert_allclose(got["p_norm_adjusted"], two["pval_norm_fdr_bh"], atol=1e-14)
    sides = [TESTS[kind](as_(values), graph, alternative=side)["p_norm"] for side in ("positive", "negative")]
    np.testing.assert_allclose(np.minimum(*sides), one["pval_norm"], atol=1e-14)
    np.testing.assert_allclose(sides[0] + sides[1], 1)


@pytest.mark.parametrize("kind", TESTS)
@pytest.mark.parametrize("side", ["positive", "negative", "two-sided"])
def test_permutations_against_a_plain_loop(kind, side, values, graph):
    got = TESTS[kind](sparse.csr_array(values), graph, n_permutations=99, alternative=side, rng=4)
    twin, value = np.random.default_rng(4), VALUES[kind]
    sims = np.array([value(values[twin.permutation(60)], graph) for _ in range(99)])
    observed = value(values, graph)
    above, below = ((np.sum(s, axis=0) + 1) / 100 for s in (sims >= observed, sims <= observed))
    alike, apart = (above, below) if kind == "moran" else (below, above)
    want = {"positive": alike, "negative": apart, "two-sided": np.minimum(1, 2 * np.minimum(alike, apart))}
    np.testing.assert_allclose(got["p_sim"], want[side])
    np.testing.assert_allclose(got["variance_sim"], sims.var(axis=0))
    np.testing.assert_allclose(got["z_sim"], (observed - sims.mean(axis=0)) / sims.std(axis=0))
    pd.testing.assert_frame_equal(got, TESTS[kind](values, graph, n_permutations=99, alternative=side, rng=4))
    other = TESTS[kind](values, graph, n_permutations=99, alternative=side, rng=5)
    assert not np.allclose(got["variance_sim"], other["variance_sim"])


@pytest.mark.parametrize("kind", TESTS)
def test_randomisation_is_what_permutations_approach(kind, values, graph):
    got = TESTS[kind](values, graph, n_permutations=4000)
    np.testing.assert_allclose(got["variance_sim"], got["variance_rand"], rtol=0.12)
    np.testing.assert_allclose(got["mean_sim"], got["expectation"], atol=0.02)
    np.testing.assert_allclose(got["p_sim"], got["p_rand"], atol=0.09)  # the null is a little skewed, z is not
    assert got.loc[0, ["p_norm", "p_rand", "p_sim"]].max() < 0.01
    assert got.loc[1:, "p_rand_adjusted"].min() > 0.01


def test_adjustment_is_statsmodels_without_the_constant_gene(values, graph):
    from statsmodels.stats.multitest import multipletests

    values[:, 4] = 2.0
    for method in ("bh", "by"):
        got = morans_i_test(values, graph, n_permutations=20, adjust=method)
        assert got.loc[4].isna().all()
        rest = got.drop(index=4)
        for name in ("p_norm", "p_rand", "p_sim", "p_z_sim"):
            want = multipletests(rest[name], method=f"fdr_{method}")[1]
            np.testing.assert_allclose(rest[f"{name}_adjusted"], want)
    assert TESTS["geary"](np.ones((60, 2)), graph).isna().all(axis=None)


@pytest.mark.parametrize("kind", TESTS)
def test_p_values_are_uniform_without_structure(kind, rng, graph):
    noise = sparse.csr_array(rng.poisson(0.8, (60, 1500)).astype(np.float32))
    got = TESTS[kind](noise, graph, n_permutations=199, alternative="two-sided")
    for name in ("p_rand", "p_sim"):
        assert np.mean(got[name] < 0.05) == pytest.approx(0.05, abs=0.02)
    assert stats.kstest(got["p_rand"], "uniform").pvalue > 1e-3


def test_nothing_is_written_to_the_input(values, graph):
    X = sparse.csc_array(values)
    before = [a.copy() for a in (X.data, X.indices, graph.data, graph.indices)]
    morans_i_test(X, graph, n_permutations=3)
    for now, then in zip((X.data, X.indices, graph.data, graph.indices), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_stored_doubles_are_read_as_their_sum(values, graph):
    plain = sparse.csr_array(values)
    half = plain.copy()
    half.data = half.data / 2
    twice = sparse.csr_array((np.repeat(half.data, 2), np.repeat(half.indices, 2), half.indptr * 2), shape=half.shape)
    np.testing.assert_allclose(morans_i(twice, graph), morans_i(values, graph))
    assert twice.nnz == 2 * plain.nnz


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"alternative": "greater"}, "alternative='greater'"),
        ({"adjust": "holm"}, "adjust='holm'"),
        ({"n_permutations": 0}, "n_permutations=0"),
    ],
)
def test_wrong_options_are_refused(options, words, values, graph):
    with pytest.raises(InputError, match=words):
        morans_i_test(values, graph, **options)


def test_loops_and_too_few_observations_are_refused(values, graph):
    loops = sparse.csr_array(graph + sparse.eye_array(60))
    with pytest.raises(InputError, match="60 loops") as caught:
        gearys_c_test(values, loops)
    assert "setdiag" in caught.value.remedy
    with pytest.raises(InputError, match="3 observations"):
        morans_i_test(np.arange(3.0)[:, None], sparse.csr_array(np.ones((3, 3)) - np.eye(3)))
