"""Expression metrics, gene by gene, against scipy, scikit-learn and formulas written out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse, stats
from sklearn.linear_model import LinearRegression
from sklearn.metrics import d2_tweedie_score, mean_squared_error, r2_score

from stfmkit._core.errors import InputError, InputTypeError
from stfmkit.metrics import (
    ccc,
    deviance_explained,
    moran_ratio,
    morans_i,
    nrmse,
    partial_pearson,
    pearson,
    q2,
    r2,
    rmse,
    spearman,
    variance_ratio,
)

CORRELATIONS = [pearson, spearman, ccc]


@pytest.fixture
def pair(rng):
    truth = rng.gamma(2, size=(40, 6))
    return truth, 0.6 * truth + rng.normal(0.3, 0.8, size=truth.shape)


def test_pearson_and_spearman_equal_scipy(pair):
    truth, predicted = pair
    for metric, oracle in ((pearson, stats.pearsonr), (spearman, stats.spearmanr)):
        expected = [oracle(truth[:, g], predicted[:, g]).statistic for g in range(6)]
        np.testing.assert_allclose(metric(truth, predicted), expected, rtol=1e-12)


def test_spearman_gives_ties_their_mean_rank(rng):
    truth, predicted = rng.poisson(1, size=(50, 4)), rng.poisson(1, size=(50, 4))
    expected = [stats.spearmanr(truth[:, g], predicted[:, g]).statistic for g in range(4)]
    np.testing.assert_allclose(spearman(truth, predicted), expected)


def test_ccc_equals_lins_formula(pair):
    truth, predicted = pair
    for g, value in enumerate(ccc(truth, predicted)):
        x, y = truth[:, g], predicted[:, g]
        covariance = np.cov(x, y, bias=True)[0, 1]
        assert value == pytest.approx(2 * covariance / (x.var() + y.var() + (x.mean() - y.mean()) ** 2))


def test_ccc_sees_what_pearson_does_not(pair):
    truth, _ = pair
    np.testing.assert_allclose(pearson(truth, 3 * truth + 1), 1)
    assert (ccc(truth, 3 * truth + 1) < 0.9).all()
    np.testing.assert_allclose(ccc(truth, truth), 1)


@pytest.mark.parametrize("metric", CORRELATIONS)
def test_constant_prediction_scores_zero_and_constant_truth_has_no_score(metric, rng):
    truth = rng.normal(size=(10, 4))
    predicted = truth.copy()
    predicted[:, 1] = 0.1
    truth[:, 2] = 0.1
    truth[:, 3] = predicted[:, 3] = 7.0
    scores = metric(truth, predicted)
    assert scores[0] == pytest.approx(1)
    assert scores[1] == 0
    assert np.isnan(scores[2:]).all()


def test_rounding_noise_is_not_a_prediction(rng):
    truth = rng.normal(size=(10, 1))
    for dtype in (np.float64, np.float32):
        noisy = np.full((10, 1), 0.3, dtype=dtype)
        noisy[::2] = np.nextafter(noisy[::2], dtype(1))
        assert np.ptp(noisy) > 0
        assert pearson(truth, noisy)[0] == 0
        assert np.isnan(pearson(noisy, truth)[0])


@settings(deadline=None)
@given(arrays(np.float64, (6, 2), elements=st.floats(-1e6, 1e6)), arrays(np.float64, (6, 2), elements=st.floats(-9, 9)))
def test_correlations_are_bounded_or_undefined(truth, predicted):
    for metric in CORRELATIONS:
        scores = metric(truth, predicted)
        defined = ~np.isnan(scores)
        assert (np.abs(scores[defined]) <= 1).all()
        assert (defined | (np.ptp(truth, axis=0) <= 1e-14 * np.abs(truth).max(axis=0))).all()


def test_tiny_values_do_not_underflow(pair):
    truth, predicted = pair
    np.testing.assert_allclose(pearson(truth * 1e-250, predicted * 1e-250), pearson(truth, predicted))


def test_q2_equals_r2_when_the_training_mean_is_the_test_mean(pair):
    truth, predicted = pair
    expected = r2_score(truth, predicted, multioutput="raw_values")
    np.testing.assert_allclose(q2(truth, predicted, train_mean=truth.mean(axis=0)), expected)


def test_q2_of_the_training_mean_is_zero_and_worse_is_negative(pair):
    truth, predicted = pair
    mean = truth.mean(axis=0) + 0.5
    np.testing.assert_allclose(q2(truth, np.broadcast_to(mean, truth.shape), train_mean=mean), 0)
    slow = [1 - ((t - p) ** 2).sum() / ((t - m) ** 2).sum() for t, p, m in zip(truth.T, predicted.T, mean, strict=True)]
    np.testing.assert_allclose(q2(truth, predicted, train_mean=mean), slow)
    assert (q2(truth, predicted + 100, train_mean=mean) < -10).all()


def test_deviance_explained_equals_sklearn(rng):
    rate = rng.gamma(2, size=(60, 3))
    counts, expected = rng.poisson(rate), rate + 0.1
    value = deviance_explained(counts, expected, null=counts.mean(axis=0))
    oracle = [d2_tweedie_score(counts[:, g], expected[:, g], power=1) for g in range(3)]
    np.testing.assert_allclose(value, oracle)


def test_deviance_takes_a_null_for_every_observation(rng):
    depth = rng.lognormal(size=(60, 1))
    counts = rng.poisson(5 * depth * np.ones((1, 2)))
    null = depth * counts.sum(axis=0) / depth.sum()
    np.testing.assert_allclose(deviance_explained(counts, null, null=null), 0)
    flat = deviance_explained(counts, null, null=counts.mean(axis=0))
    assert (flat > 0.3).all()


def test_a_count_where_none_was_expected_stays_finite():
    counts = np.array([[0.0], [1.0], [2.0]])
    expected = np.array([[0.0], [0.0], [2.0]])
    value = deviance_explained(counts, expected, null=[1.0])
    assert np.isfinite(value).all()
    assert value[0] < deviance_explained(counts, expected, null=[1.0], floor=1e-2)[0]


def test_partial_pearson_equals_the_textbook_formula(pair, rng):
    truth, predicted = pair
    depth = rng.normal(size=40)
    for g, value in enumerate(partial_pearson(truth, predicted, covariate=depth)):
        xy = np.corrcoef(truth[:, g], predicted[:, g])[0, 1]
        xz = np.corrcoef(truth[:, g], depth)[0, 1]
        yz = np.corrcoef(predicted[:, g], depth)[0, 1]
        assert value == pytest.approx((xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2)))


def test_partial_pearson_takes_several_covariates(pair, rng):
    truth, predicted = pair
    known = np.column_stack([rng.normal(size=(40, 2)), np.ones(40)])  # a constant one is harmless
    left = [m - LinearRegression().fit(known, m).predict(known) for m in pair]
    np.testing.assert_allclose(partial_pearson(truth, predicted, covariate=known), pearson(*left), atol=1e-12)


def test_depth_alone_is_worth_nothing_once_depth_is_known(rng):
    depth = rng.normal(size=50)
    truth = np.column_stack([depth + rng.normal(size=50), 2 * depth + 1])
    by_depth = np.column_stack([3 * depth - 2, rng.normal(size=50)])
    assert pearson(truth, by_depth)[0] > 0.4
    scores = partial_pearson(truth, by_depth, covariate=depth)
    assert scores[0] == 0  # the covariate explains the whole prediction
    assert np.isnan(scores[1])  # the covariate explains the whole truth


def test_variance_ratio_and_rmse(pair):
    truth, predicted = pair
    np.testing.assert_allclose(variance_ratio(truth, predicted), predicted.std(axis=0) / truth.std(axis=0))
    np.testing.assert_allclose(
        rmse(truth, predicted) ** 2, mean_squared_error(truth, predicted, multioutput="raw_values")
    )
    constant = np.ones((40, 6))
    np.testing.assert_allclose(variance_ratio(truth, constant), 0)
    assert np.isnan(variance_ratio(constant, truth)).all()
    assert np.isfinite(rmse(constant, truth)).all()


def test_rmse_of_z_scores_repeats_pearson(pair):
    scores = [stats.zscore(m, axis=0) for m in pair]
    np.testing.assert_allclose(rmse(*scores), np.sqrt(2 * (1 - pearson(*scores))))


def test_moran_ratio_tells_smooth_from_rough(rng):
    n = 60
    ring = sparse.csr_array(np.roll(np.eye(n), 1, axis=1) + np.roll(np.eye(n), -1, axis=1))
    smooth = np.sin(np.arange(n) / n * 2 * np.pi)[:, None]
    rough = smooth + rng.normal(size=(n, 1)) * 0.5
    assert moran_ratio(rough, smooth, graph=ring)[0] > 1.1
    expected = morans_i(smooth, ring) / morans_i(rough, ring)
    np.testing.assert_allclose(moran_ratio(rough, smooth, graph=ring), expected)


def test_moran_ratio_needs_a_structured_truth():
    ring = sparse.csr_array(np.roll(np.eye(6), 1, axis=1) + np.roll(np.eye(6), -1, axis=1))
    chess = np.array([[1.0], [0], [1], [0], [1], [0]])
    halves = np.array([[1.0], [1], [1], [0], [0], [0]])
    flat = np.ones((6, 1))
    for truth, predicted in ((chess, halves), (halves, flat), (flat, halves)):
        assert np.isnan(moran_ratio(truth, predicted, graph=ring)[0])


ALL = [
    nrmse,
    pearson,
    spearman,
    ccc,
    rmse,
    variance_ratio,
    lambda t, p: q2(t, p, train_mean=[0.0, 0.0]),
    lambda t, p: deviance_explained(t, p, null=[1.0, 1.0]),
    lambda t, p: partial_pearson(t, p, covariate=[0.0, 1.0, 2.0]),
    lambda t, p: moran_ratio(t, p, graph=sparse.csr_array(np.ones((3, 3)))),
]


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (lambda t: t[:, :1], InputError, "one shape"),
        (lambda t: t[0], InputError, "shape"),
        (lambda t: np.where(t == t.max(), np.nan, t), InputError, "1 NaN or infinite"),
        (lambda t: np.where(t == t.max(), np.inf, t), InputError, "1 NaN or infinite"),
        (sparse.csr_array, InputTypeError, "toarray"),
        (lambda t: t.astype(str), InputTypeError, "real numbers"),
        (lambda t: t[:, :0], InputError, "shape"),
    ],
)
def test_unusable_predictions_are_refused(metric, spoil, error, words):
    truth = np.arange(6.0).reshape(3, 2)
    with pytest.raises(error, match=words):
        metric(truth, spoil(truth))


def test_one_row_is_refused():
    with pytest.raises(InputError, match="one observation"):
        pearson([[1.0]], [[1.0]])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda t: q2(t, t, train_mean=[1.0]), "train_mean of shape"),
        (lambda t: deviance_explained(t, t, null=[1.0]), "null of shape"),
        (lambda t: deviance_explained(t, t, null=np.ones((3, 1))), "null of shape"),
        (lambda t: deviance_explained(t, t, null=np.ones((2, 2))), "null of shape"),
        (lambda t: deviance_explained(t, t - 1, null=[1.0, 1.0]), "predicted as low as -1"),
        (lambda t: deviance_explained(t, t, null=[-1.0, 1.0]), "null as low as -1"),
        (lambda t: deviance_explained(t, t, null=[1.0, 1.0], floor=0.0), "floor"),
        (lambda t: partial_pearson(t, t, covariate=[1.0]), "covariate of shape"),
        (lambda t: partial_pearson(t, t, covariate=np.ones((2, 2))), "covariate of shape"),
        (lambda t: partial_pearson(t, t, covariate=[0.0, 1.0, np.nan]), "NaN or infinite values in covariate"),
    ],
)
def test_unusable_companions_are_refused(call, words):
    with pytest.raises(InputError, match=words):
        call(np.arange(6.0).reshape(3, 2))


def test_r2_and_nrmse_equal_sklearn(pair):
    truth, predicted = pair
    np.testing.assert_allclose(r2(truth, predicted), r2_score(truth, predicted, multioutput="raw_values"))
    expected = np.sqrt(mean_squared_error(truth, predicted, multioutput="raw_values")) / truth.std(axis=0)
    np.testing.assert_allclose(nrmse(truth, predicted), expected)
    np.testing.assert_allclose(nrmse(truth, predicted) ** 2, 1 - r2(truth, predicted))
    truth[:, 0] = 3.0
    assert np.isnan(r2(truth, predicted)[0])
    assert np.isnan(nrmse(truth, predicted)[0])


def test_q2_takes_a_training_mean_for_every_observation(pair, rng):
    truth, predicted = pair
    means = rng.normal(1, 0.2, size=(2, 6))
    rows = means[np.arange(40) % 2]
    slow = [1 - ((t - p) ** 2).sum() / ((t - m) ** 2).sum() for t, p, m in zip(truth.T, predicted.T, rows.T)]  # noqa: B905
    np.testing.assert_allclose(q2(truth, predicted, train_mean=rows), slow)
    np.testing.assert_allclose(
        q2(truth, predicted, train_mean=np.tile(means[0], (40, 1))), q2(truth, predicted, train_mean=means[0])
    )
    with pytest.raises(InputError, match="train_mean"):
        q2(truth, predicted, train_mean=means)


def test_negative_binomial_deviance_equals_the_likelihood_ratio(rng):
    alpha = np.array([0.5, 2.0, 0.0])
    mu, null = rng.gamma(2, size=(60, 3)) + 0.2, np.array([1.0, 2.0, 3.0])
    counts = rng.poisson(mu)
    found = deviance_explained(counts, mu, null=null, dispersion=alpha)
    for g in range(2):
        size = 1 / alpha[g]

        def likelihood(mean, at=g, size=size):
            return stats.nbinom.logpmf(counts[:, at], size, size / (size + mean)).sum()

        saturated = sum(
            stats.nbinom.logpmf(y, size, size / (size + y)) if y else 0.0 for y in counts[:, g].astype(float)
        )
        expected = 1 - (saturated - likelihood(mu[:, g])) / (saturated - likelihood(null[g]))
        assert found[g] == pytest.approx(expected)
    assert found[2] == pytest.approx(deviance_explained(counts, mu, null=null)[2])
    nearly = deviance_explained(counts, mu, null=null, dispersion=1e-7)
    np.testing.assert_allclose(nearly, deviance_explained(counts, mu, null=null), rtol=1e-4)
    for bad in (-1.0, [1.0, 2.0]):
        with pytest.raises(InputError, match="dispersion"):
            deviance_explained(counts, mu, null=null, dispersion=bad)
