"""Bounds from halves against predictors that know the truth, on the synthetic cohort at several depths."""

import numpy as np
import pytest
from scipy import sparse

import stfmkit as sk
from stfmkit import metrics
from stfmkit._kernels._thinning import thin
from stfmkit.evaluation.bounds import upper_bound
from stfmkit.evaluation.ceilings import relative_scores
from stfmkit.evaluation.scores import concat_scores
from stfmkit.evaluation.signatures import (
    SignatureTruth,
    patient_signatures,
    score_signatures,
    signature_ceilings,
)

pytestmark = pytest.mark.slow


def drawn(seed):
    return sk.datasets.synthetic_cohort(
        n_patients=2, n_genes=120, size=600, as_="anndata", rng=seed, show_progress=False
    )


@pytest.fixture(scope="module")
def cohort():
    return drawn(0)


def measured(cohort, times, seed=0):
    """Return rates and counts of a measurement `times` as deep, of observations with some counts."""
    layer = cohort.layers["noise_free"]
    rates = np.asarray(layer.toarray() if sparse.issparse(layer) else layer, dtype=np.float64) * times
    counts = np.random.default_rng(seed).poisson(rates)
    kept = counts.sum(axis=1) > 4
    return kept, rates[kept], counts[kept]


def on_scale(values, depth, median):
    return np.log1p(values / depth[:, None] * median)


def shares_of_signatures(seed, times):
    """Return the shares of a predictor that knows the truth, and of a second measurement, by metric."""
    cohort = drawn(seed)
    kept, rates, counts = measured(cohort, times)
    depth = counts.sum(axis=1).astype(float)
    median = np.median(depth)
    first, second = (half.toarray() for half in thin(sparse.csr_array(counts), rng=np.random.default_rng(1)))
    names = {key: cohort.obs[key].to_numpy(dtype=str)[kept] for key in ("niche", "sample", "patient")}
    truth = SignatureTruth(
        expression=on_scale(counts, depth, median),
        genes=cohort.var_names.to_numpy(dtype=str),
        niches=names["niche"],
        samples=names["sample"],
        patients=names["patient"],
        halves=(on_scale(first, depth / 2, median), on_scale(second, depth / 2, median)),
        sizes=(10, 20),
    )
    again = np.random.default_rng(2).poisson(rates)
    made = {
        "noise-free": on_scale(rates, rates.sum(axis=1), median),
        "another measurement": on_scale(again, np.maximum(again.sum(axis=1), 1), median),
    }
    tables = [score_signatures(truth, patient_signatures(truth, p)).assign(contender=name) for name, p in made.items()]
    found = relative_scores(concat_scores([*tables, signature_ceilings(truth)]))
    return found.groupby(["metric", "contender"])["value"].mean()


@pytest.mark.parametrize("times", [0.3, 1, 10])
def test_nothing_passes_the_bound_of_signatures_and_the_truth_comes_near(times):
    shares = sum(shares_of_signatures(seed, times) for seed in range(3)) / 3
    for metric in ("adjusted_jaccard", "rank_biased_overlap"):
        assert 0.55 < shares[metric, "noise-free"] < 1.0
        assert 0.7 < shares[metric, "another measurement"] < 1.0


def latent(counts, depth, median, rng, n_draws=10):
    """Return correlations free of counting noise: covariances between halves, scaled by those of a gene with itself."""
    total = np.zeros((counts.shape[1],) * 2)
    for _ in range(n_draws):
        part = rng.binomial(counts, 0.5)
        a, b = (on_scale(half, depth / 2, median) for half in (part, counts - part))
        cross = (a - a.mean(axis=0)).T @ (b - b.mean(axis=0))
        total += cross + cross.T
    own = np.diag(total)
    with np.errstate(invalid="ignore"):
        found = np.clip(total / np.sqrt(np.outer(own, own)), -1, 1)
    found[own <= 0] = found[:, own <= 0] = np.nan
    return found


@pytest.mark.parametrize(("times", "least"), [(1, 0.7), (10, 0.8)])
def test_the_noise_free_co_expression_stays_below_the_bound_of_latent_correlations(cohort, times, least):
    kept, rates, counts = measured(cohort, times)
    rng = np.random.default_rng(3)
    sample = cohort.obs["sample"].to_numpy(dtype=str)[kept]
    depth, clear = counts.sum(axis=1).astype(float), np.argsort(-np.log1p(rates).std(axis=0))[:40]
    median = np.median(depth)
    rows = sample == sample[0]
    own, size = counts[rows][:, clear], depth[rows]
    pure = np.corrcoef(on_scale(rates[rows][:, clear], rates[rows].sum(axis=1), median).T)
    half = rng.binomial(own, 0.5)
    found = [latent(own, size, median, rng), *(latent(part, size / 2, median, rng) for part in (half, own - half))]
    usable = ~np.any([np.isnan(np.diag(matrix)) for matrix in found], axis=0)
    truth, first, second, pure = (m[np.ix_(usable, usable)] for m in (*found, pure))
    order = metrics.coexpression_order(pure)

    def scores(a, b):
        return np.array([metrics.ssim_ordered(a, b, order=order, window=7), metrics.offdiagonal_correlation(a, b)])

    shares = scores(truth, pure) / upper_bound(scores(first, second))
    assert (shares < 1.03).all()
    assert (shares > least).all()
