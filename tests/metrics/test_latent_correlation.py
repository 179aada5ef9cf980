"""Correlation without the noise of counting: numpy as an oracle, known truth, and what must be refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from stfmkit._core.errors import InputError, InputTypeError
from stfmkit._kernels._thinning import thin
from stfmkit.metrics import correlation, latent_correlation


def simulated(rng, *, n=3000, n_genes=6, mean=0.5, depth=0.0):
    """Counts of genes whose logarithms are normal, and the correlations of these logarithms."""
    loadings = rng.normal(size=(n_genes, 2))
    spread = loadings @ loadings.T + np.diag(rng.uniform(0.2, 1, n_genes))
    true = spread / np.sqrt(np.outer(np.diag(spread), np.diag(spread)))
    signal = 0.4 * rng.multivariate_normal(np.zeros(n_genes), true, size=n) + mean
    size = np.exp(depth * rng.normal(size=(n, 1)))
    return rng.poisson(np.exp(signal) * size), true


def by_numpy(counts, depth, target, *, design, min_z, draws, seed):
    """The definition, written with dense arrays."""
    rng, n = np.random.default_rng(seed), len(counts)
    residual = np.eye(n) - design @ np.linalg.pinv(design)
    shared, spread = 0.0, 0.0
    for _ in range(draws):
        halves = [half.toarray() for half in thin(sparse.csr_array(counts), rng=rng)]
        a, b = (residual @ np.log1p(half / (depth / 2)[:, None] * target) for half in halves)
        shared = shared + (a.T @ b + b.T @ a) / 2
        spread = spread + ((a**2).sum(axis=0) + (b**2).sum(axis=0)) / 2
    own = np.diag(shared)
    clear = own > spread * min_z / np.sqrt(n - np.linalg.matrix_rank(design))
    with np.errstate(invalid="ignore"):
        found = np.clip(shared / np.sqrt(np.outer(own, own)), -1, 1)
    found[~clear] = found[:, ~clear] = np.nan
    return found


@pytest.mark.parametrize("as_", [np.asarray, sparse.csr_matrix, sparse.csc_array])
def test_numpy_gives_the_same(rng, as_):
    counts, _ = simulated(rng, n=300, mean=2.0)
    counts[:, 2] = rng.poisson(0.3, 300)  # no variation of its own
    counts[:, 4] = 0
    groups, known = np.repeat(["a", "b", "c"], 100), rng.normal(size=300)
    depth = rng.uniform(40, 60, 300)  # of all genes, most of which are not here
    design = np.column_stack([(groups[:, None] == np.unique(groups)).astype(float), known])
    expected = by_numpy(counts, depth, 20.0, design=design, min_z=2.5, draws=3, seed=7)
    found = latent_correlation(
        as_(counts),
        library_size=depth,
        target_sum=20.0,
        groups=groups,
        covariate=known,
        n_draws=3,
        min_z=2.5,
        rng=7,
    )
    np.testing.assert_allclose(found, expected, atol=1e-10)
    assert np.isnan(np.diag(found)).tolist() == [False, False, True, False, True, False]
    np.testing.assert_array_equal(found, found.T)


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1), mean=st.floats(0.5, 2.0))
def test_it_converges_to_the_true_correlation_and_the_raw_one_does_not(seed, mean):
    counts, true = simulated(np.random.default_rng(seed), n=20_000, mean=mean)
    off = ~np.eye(len(true), dtype=bool)
    raw = correlation(np.log1p(counts.astype(float)))
    latent = latent_correlation(counts, scale="log1p", n_draws=3)
    assert np.abs(latent - true)[off].max() < 0.2  # the logarithm of few counts is no straight line
    clear = off & (np.abs(true) > 0.3)
    assert (np.abs(raw)[clear] < np.abs(latent)[clear]).all()
    assert np.abs(latent - true)[off].mean() < 0.5 * np.abs(raw - true)[off].mean()


def test_library_sizes_are_no_coexpression(rng):
    counts = rng.poisson(np.exp(0.5 * rng.normal(size=(4000, 1))) * np.full(40, 3.0))
    depth = counts.sum(axis=1)
    assert np.isnan(np.diag(latent_correlation(counts[:, :8], library_size=depth))).all()
    assert latent_correlation(counts[:, :8], scale="log1p")[0, 1] > 0.9


def test_estimates_beyond_the_ends_are_set_to_them_and_seeds_repeat(rng):
    counts = rng.poisson(np.exp(rng.normal(size=(200, 1)) * [0.5, 0.5, -0.5] + 2))
    found = latent_correlation(counts, scale="log1p", rng=3)
    assert np.abs(found).max() == 1
    np.testing.assert_array_equal(found, latent_correlation(counts, scale="log1p", rng=3))
    assert not np.array_equal(found, latent_correlation(counts, scale="log1p", rng=4, n_draws=1))


def test_what_cannot_be_halved_is_refused(rng):
    counts = rng.poisson(3, size=(10, 4))
    for wrong in (counts - 5, counts + 0.5):
        with pytest.raises(InputError, match="negative or not whole"):
            latent_correlation(wrong)
    with pytest.raises(InputError, match="without any count"):
        latent_correlation(np.vstack([counts, np.zeros((1, 4))]))
    with pytest.raises(InputError, match="one observation"):
        latent_correlation(counts[:1])
    for options in ({"scale": "counts"}, {"n_draws": 0}, {"target_sum": 0.0}, {"library_size": np.ones(3)}):
        with pytest.raises((InputError, InputTypeError)):
            latent_correlation(counts, **options)


def test_a_silent_gene_is_no_trouble_whatever_counts_as_clear():
    counts = np.random.default_rng(0).poisson(3.0, size=(50, 4))
    counts[:, 2] = 0
    for least in (0.0, 3.0):
        found = latent_correlation(counts, min_z=least)
        assert np.isnan(found[2]).all()
