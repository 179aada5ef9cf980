"""SPARK-X through the public door: combination, adjustment, power, refusals."""

import numpy as np
import pytest
from scipy import sparse, stats

from stfmkit._core.errors import InputError, InputTypeError
from stfmkit._kernels._neighbors import knn_within, mean_operator
from stfmkit.metrics import morans_i_test, sparkx_test


@pytest.fixture
def coords(rng) -> np.ndarray:
    return rng.uniform(size=(300, 2))


@pytest.mark.parametrize("as_", [np.asarray, sparse.csr_array, sparse.csc_matrix])
def test_combination_and_adjustment(as_, rng, coords):
    from statsmodels.stats.multitest import multipletests

    counts = rng.poisson(1 + coords[:, :1], (300, 20))
    counts[:, 5] = 0
    got = sparkx_test(as_(counts), coords)
    assert got.loc[5].isna().all()
    rest = got.drop(index=5)
    by_kernel = rest.filter(regex="^p_(projection|gaussian|cosine)").to_numpy()
    assert by_kernel.shape == (19, 11)
    want = stats.cauchy.sf(np.tan((0.5 - np.minimum(by_kernel, 0.999)) * np.pi).mean(axis=1))
    np.testing.assert_allclose(rest["p"], want, rtol=1e-6)
    np.testing.assert_allclose(rest["log10_p"], np.log10(rest["p"]))
    np.testing.assert_allclose(rest["p_adjusted"], multipletests(rest["p"], method="fdr_by")[1])
    bh = sparkx_test(as_(counts), coords, adjust="bh").drop(index=5)
    np.testing.assert_allclose(bh["p_adjusted"], multipletests(rest["p"], method="fdr_bh")[1])


def test_power_on_gradients_and_hot_spots_beside_moran(rng, coords):
    """Half of the genes have a weak pattern: both tests rank them first, and few of the others are called."""
    n = 150
    slope = np.exp(0.9 * (coords[:, :1] - 0.5))
    spot = 1 + 1.5 * (np.linalg.norm(coords - 0.5, axis=1) < 0.2)[:, None]
    rate = np.concatenate([np.repeat(slope, n, 1), np.repeat(spot, n, 1), np.ones((300, 2 * n))], axis=1)
    counts = sparse.csr_array(rng.poisson(rate))
    truth = np.arange(4 * n) < 2 * n
    graph = mean_operator(knn_within(coords, np.zeros(300, dtype=int), k=6), include_self=False)
    moran = morans_i_test(counts, graph)["p_rand"]
    spark = sparkx_test(counts, coords)["p"]
    for p in (spark, moran):
        assert np.mean(p[~truth] < 0.05) < 0.09
        assert stats.mannwhitneyu(p[truth], p[~truth], alternative="less").pvalue < 1e-20
    assert np.mean(spark[:n] < 0.05) > np.mean(moran[:n] < 0.05)  # a gradient is its strength
    assert np.mean(spark[truth] < 0.05) > 0.6


def test_empty_observations_are_left_out(rng, coords):
    counts = rng.poisson(2, (300, 6))
    counts[::7] = 0
    seen = counts.sum(axis=1) > 0
    whole, part = sparkx_test(counts, coords), sparkx_test(counts[seen], coords[seen])
    np.testing.assert_allclose(whole, part)


@pytest.mark.parametrize(
    ("X", "places", "error", "words"),
    [
        (np.full((20, 2), -1.0), np.zeros((20, 2)), InputError, "20 observations|values down to -1"),
        (np.ones((20, 2)) - 2 * np.eye(20, 2), np.ones((20, 2)), InputError, "values down to -1"),
        (np.ones((20, 2)), np.zeros((20, 3)), InputError, r"shape \(20, 3\)"),
        (np.ones((20, 2)), np.zeros((19, 2)), InputError, "a matrix of 20 rows|shape"),
        (np.ones((20, 2)), np.full((20, 2), np.nan), InputError, "NaN"),
        (np.ones((9, 2)), np.zeros((9, 2)), InputError, "9 observations with counts"),
        (np.ones((20, 2)), np.full((20, 2), "a"), InputTypeError, "coords"),
    ],
)
def test_unusable_input_is_refused(X, places, error, words):
    with pytest.raises(error, match=words):
        sparkx_test(X, places)


def test_unknown_adjustment_is_refused(coords):
    with pytest.raises(InputError, match="adjust='fdr'"):
        sparkx_test(np.ones((300, 2)), coords, adjust="fdr")
