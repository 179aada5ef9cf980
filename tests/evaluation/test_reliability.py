"""Ceilings against the best possible predictor of simulated counts, and what decides which genes count."""

import numpy as np
import pytest
from scipy import sparse, stats

from stfmkit._kernels._thinning import thin
from stfmkit.evaluation.ceilings import relative_scores
from stfmkit.evaluation.expression import ExpressionTruth, expression_ceilings, score_pearson
from stfmkit.evaluation.reliability import MIN_RELIABILITY, Reliability, half_agreement, training_reliability
from stfmkit.evaluation.scores import concat_scores


def drawn(rng, n_obs, mean, spread, n_genes, dispersion=0.0):
    """Return log-normal rates (n_obs, n_genes), library sizes, and counts."""
    rate = mean * np.exp(rng.normal(0, 1, (n_obs, n_genes)) * spread - spread**2 / 2)
    depth = rng.lognormal(0, 0.4, n_obs)
    noisy = rate * depth[:, None]
    if dispersion:
        noisy = noisy * rng.gamma(1 / dispersion, dispersion, noisy.shape)
    return rate, depth, rng.poisson(noisy)


def best_prediction(rate, depth, median):
    """Return the conditional mean of log1p(count / depth * median), which no predictor can beat."""
    expected = rate * depth[:, None]
    most = int(expected.max() + 10 * np.sqrt(expected.max()) + 20)
    return sum(stats.poisson.pmf(k, expected) * np.log1p(k / depth * median)[:, None] for k in range(most + 1))


def on_scale(counts, depth, median):
    return np.log1p(counts / depth[:, None] * median)


def share_of_best(seed, n_obs, mean, spread=0.8, *, n_genes=40, silent=0, n_train=3, predict=best_prediction, **noise):
    """Return the share of its ceiling that a predictor reaches in one sample, and how many genes count."""
    rng = np.random.default_rng(seed)
    spreads = np.where(np.arange(n_genes) < silent, 0.0, spread)
    training = [drawn(rng, n_obs, mean, spreads, n_genes, **noise) for _ in range(n_train)]
    rate, depth, counts = drawn(rng, n_obs, mean, spreads, n_genes, **noise)
    median = np.median(np.concatenate([part[1] for part in training]))

    def agreement(counts, depth, name):
        def scaled(half):
            return sparse.csr_array(on_scale(half.toarray(), depth / 2, median))

        rows = {name: np.arange(len(depth))}
        return half_agreement(sparse.csr_array(counts), rows, scaled=scaled, seed=seed, names=(name,))

    train = {}
    for i, (_, own, part) in enumerate(training):
        train |= agreement(part, own, f"T{i}")
    names = np.full(n_obs, "S")
    truth = ExpressionTruth(
        expression=on_scale(counts, depth, median),
        genes=np.array([f"G{g}" for g in range(n_genes)]),
        samples=names,
        patients=names,
        reliability=Reliability(
            agreement=agreement(counts, depth, "S"), train=training_reliability(train, dict.fromkeys(train, n_obs))
        ),
    )
    scores = score_pearson(truth, predict(rate, depth, median)).assign(contender="best")
    found = relative_scores(concat_scores([scores, expression_ceilings(truth)]))
    return found["value"].item(), int(truth.reliability.has_signal(n_genes).sum())


@pytest.mark.parametrize(
    ("n_obs", "mean", "low", "high", "n_seeds"),
    [
        (60, 0.5, 0.85, 1.05, 6),
        (60, 2, 0.92, 1.03, 4),
        (60, 10, 0.96, 1.03, 3),
        (300, 0.1, 0.75, 1.1, 6),
        (300, 0.5, 0.92, 1.0, 3),
        (300, 2, 0.94, 1.0, 3),
        (300, 10, 0.97, 1.02, 2),
        (4000, 0.1, 0.9, 1.08, 1),
        (4000, 0.5, 0.93, 1.0, 1),
        (4000, 2, 0.95, 1.0, 1),
        (4000, 10, 0.98, 1.02, 1),
    ],
)
def test_the_best_predictor_reaches_its_ceiling_and_does_not_pass_it(n_obs, mean, low, high, n_seeds):
    few = {"n_genes": 12, "n_train": 1} if n_obs > 1000 else {}
    shares = [share_of_best(seed, n_obs, mean, **few)[0] for seed in range(n_seeds)]
    assert low < np.nanmean(shares) < high


def test_the_noise_free_truth_does_not_pass_the_ceiling():
    shares = [
        share_of_best(seed, 300, 2.0, predict=lambda rate, _, median: np.log1p(rate * median))[0] for seed in range(3)
    ]
    assert 0.9 < np.mean(shares) < 1.0


def test_genes_without_signal_neither_count_nor_spoil_the_share():
    found = [share_of_best(seed, 300, 2.0, silent=20) for seed in range(3)]
    assert 0.9 < np.mean([share for share, _ in found]) < 1.02
    assert all(20 <= count <= 24 for _, count in found)


def test_noise_beyond_counting_lowers_what_can_be_reached():
    """Thinning takes it for signal, so that the ceiling is an upper bound that nothing comes near."""
    shares = [share_of_best(seed, 300, 2.0, dispersion=0.5)[0] for seed in range(3)]
    assert 0.6 < np.mean(shares) < 0.8


def test_agreement_is_the_mean_over_draws_of_the_correlation_of_halves():
    counts = np.random.default_rng(0).poisson(np.random.default_rng(1).gamma(2, 2, (80, 3)))
    counts[:, 2] = 0
    rows = {"a": np.arange(30), "b": np.arange(30, 80)}
    coins = []

    def scaled(half):
        coins.append(half.toarray())
        return sparse.csr_array(np.log1p(half.astype(float)))

    found = half_agreement(sparse.csr_array(counts), rows, scaled=scaled, seed=3, names=("x",), n_draws=4)
    assert len(coins) == 8
    np.testing.assert_array_equal(coins[0] + coins[1], counts)
    for name, at in rows.items():
        pairs = zip(coins[::2], coins[1::2], strict=True)
        r = [[stats.pearsonr(*np.log1p([a[at, g], b[at, g]]))[0] for g in range(2)] for a, b in pairs]
        np.testing.assert_allclose(found[name][:2], np.mean(r, axis=0))
        assert np.isnan(found[name][2])
    again = half_agreement(sparse.csr_array(counts), rows, scaled=scaled, seed=3, names=("x",), n_draws=4)
    np.testing.assert_array_equal(again["b"], found["b"])


def test_samples_of_training_weigh_by_their_observations():
    agreement = {"a": np.array([0.2, np.nan, np.nan, -0.5]), "b": np.array([0.5, 0.5, np.nan, 0.1])}
    found = training_reliability(agreement, {"a": 100, "b": 50})
    r = (0.2 * 2 + 0.5) / 3
    np.testing.assert_allclose(found, [2 * r / (1 + r), 2 / 3, np.nan, 0])
    assert training_reliability({}, {}) is None


def test_which_genes_count():
    train = np.array([MIN_RELIABILITY, MIN_RELIABILITY - 1e-9, np.nan])
    assert Reliability(agreement={}, train=train).has_signal(3).tolist() == [True, False, False]
    assert Reliability(agreement={}).has_signal(2).tolist() == [True, True]


def test_thinning_alone_would_choose_by_the_noise_of_what_is_tested():
    """Genes that are kept by their own ceiling: the mistake that training reliability avoids."""
    rng = np.random.default_rng(0)
    rate, depth, counts = drawn(rng, 60, 0.5, np.full(200, 0.3), 200)
    halves = [np.log1p(h.toarray()) for h in thin(sparse.csr_array(counts), rng=rng)]
    r = np.array([stats.pearsonr(a, b)[0] for a, b in zip(halves[0].T, halves[1].T, strict=True)])
    own = np.sqrt(2 * np.maximum(r, 0) / (1 + np.maximum(r, 0)))
    kept = own > np.sqrt(MIN_RELIABILITY)
    best = best_prediction(rate, depth, np.median(depth))
    measured = on_scale(counts, depth, np.median(depth))
    reached = np.array([stats.pearsonr(a, b)[0] for a, b in zip(measured.T, best.T, strict=True)])
    assert (reached[kept] / own[kept]).mean() < 0.6
