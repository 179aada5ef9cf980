"""Scores against correlations without the noise of counting: which genes are judged, and what stands in the table."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from stfmkit import metrics
from stfmkit._core.random import stream
from stfmkit.evaluation.coexpression import (
    CEILED,
    CoexpressionSizes,
    as_ceilings,
    coexpression_ceilings,
    compare_structures,
    latent_halves,
    latent_truths,
    score_coexpression,
)
from stfmkit.evaluation.controls import covariance_draws
from stfmkit.evaluation.expression import ExpressionTruth
from stfmkit.evaluation.molecules import Molecules, PredictedStructure

SIZES = CoexpressionSizes(n_orders=4, n_permutations=19, n_modules=3, n_eigenvectors=4)
ORDER = np.arange(12)


@pytest.fixture
def truth(rng):
    """Two samples; gene 3 is noise alone."""
    programs = rng.normal(size=(300, 3)) @ np.tile(np.eye(3), 4)  # every gene follows one of three
    counts = rng.poisson(np.exp(0.6 * programs + 1.5))
    counts[:, 3] = rng.poisson(2, 300)
    molecules = Molecules(counts=sparse.csr_array(counts), library_size=np.full(300, 100.0), target_sum=100.0)
    return ExpressionTruth(
        expression=molecules.scaled().toarray(),
        genes=np.array([f"G{g}" for g in range(12)]),
        samples=np.repeat(["S1", "S2"], 150),
        patients=np.repeat(["P1", "P2"], 150),
        halves=tuple(half.scaled().toarray() for half in molecules.halves(stream(0, "thinning"))),
        molecules=molecules,
        fold=2,
    )


def scores(truth, predicted, sample="S1"):
    table = score_coexpression(truth, predicted, order=ORDER, seed=0, sizes=SIZES).query("sample == @sample")
    return table.set_index(["metric", "setting"])["value"]


def test_both_truths_stand_in_the_table(truth):
    found = scores(truth, truth.expression)
    kinds = {setting.rpartition("truth=")[2] for _, setting in found.index}
    assert kinds == {"latent", "raw"}
    assert found["offdiagonal_correlation", "truth=raw"] == pytest.approx(1)
    latent = latent_truths(truth, seed=0)["S1"]
    raw = metrics.correlation(truth.expression[:150])
    expected = metrics.offdiagonal_correlation(latent, raw)
    assert found["offdiagonal_correlation", "truth=latent"] == pytest.approx(expected)
    assert found["offdiagonal_correlation", "truth=latent"] < 1


def test_genes_without_a_latent_correlation_are_left_out_for_all(truth):
    latent = latent_truths(truth, seed=0)
    assert np.isnan(np.diagonal(latent["S1"])).tolist() == [g == 3 for g in range(12)]
    constant = truth.expression.copy()
    constant[:, [5, 6]] = 1.0
    for predicted in (truth.expression, constant, PredictedStructure(by_sample=latent)):
        assert scores(truth, predicted)["share_degenerate", "truth=latent"] == pytest.approx(1 / 12)
    assert scores(truth, constant)["share_degenerate", "truth=raw"] == pytest.approx(2 / 12)


def test_a_constant_gene_counts_as_uncorrelated(truth):
    constant = truth.expression.copy()
    constant[:, 5] = 1.0
    zero = metrics.correlation(truth.expression[:150])
    zero[5], zero[:, 5], zero[5, 5] = 0.0, 0.0, 1.0
    expected = metrics.offdiagonal_correlation(latent_truths(truth, seed=0)["S1"], zero)
    assert scores(truth, constant)["offdiagonal_correlation", "truth=latent"] == pytest.approx(expected)


def test_correlations_are_a_prediction(truth):
    latent = latent_truths(truth, seed=0)
    found = scores(truth, PredictedStructure(by_sample=latent))
    for metric in ("offdiagonal_correlation", "rv_coefficient", "ssim_global"):
        assert found[metric, "truth=latent"] == pytest.approx(1)
    halved = scores(truth, PredictedStructure(by_sample={name: 0.5 * m for name, m in latent.items()}))
    assert halved["offdiagonal_correlation", "truth=latent"] == pytest.approx(1)
    assert halved["frobenius_error", "truth=latent"] == pytest.approx(0.5)


def test_a_truth_of_few_genes_is_no_truth(truth):
    few = np.full((12, 12), np.nan)
    few[:3, :3] = np.eye(3)
    table = compare_structures(few, np.eye(12), kind="latent", order=ORDER, seed=0, sizes=SIZES, scope="sample")
    judged = table.query("metric != 'share_degenerate'")
    assert judged["value"].isna().all()
    assert set(judged["reason"]) == {"fewer genes have a latent correlation than the window has"}
    flat = np.full((12, 12), np.nan)
    nothing = compare_structures(np.eye(12), flat, kind="latent", order=ORDER, seed=0, sizes=SIZES, scope="sample")
    assert nothing.set_index("metric").loc["ssim_ordered", "value"] == 0


def test_without_counts_there_are_raw_scores_only(truth):
    table = score_coexpression(replace(truth, molecules=None), truth.expression, order=ORDER, seed=0, sizes=SIZES)
    assert table["setting"].str.contains("truth=raw").all()


def test_ceilings_compare_the_latent_correlations_of_independent_halves(truth):
    found = coexpression_ceilings(truth, order=ORDER, seed=0, sizes=SIZES).query("sample == 'S2'")
    halves = latent_halves(truth.molecules.of(np.arange(150, 300)), seed=0, names=(2, "S2"))
    table = compare_structures(
        *halves, kind="latent", order=ORDER, seed=0, sizes=SIZES, fold=2, sample="S2", patient="P2", scope="sample"
    )
    expected = table.set_index(["metric", "setting"])["value"]
    assert set(found["metric"]) == set(CEILED)
    assert found["setting"].str.contains("truth=latent").all()
    for row in found.itertuples():
        agreement = expected[row.metric, row.setting]
        bound = np.sqrt(2 * agreement / (1 + agreement)) if agreement > 0 else np.nan
        assert row.value == pytest.approx(bound, nan_ok=True)
    assert set(found["status"]) == {"ceiling"}


def test_halves_without_structure_bound_nothing():
    """A bound of 0 would call every score too high."""
    halves = pd.DataFrame(
        {"metric": ["ssim_ordered", "rv_coefficient"], "setting": "truth=latent", "value": [0.0, 0.5]}
    )
    found = as_ceilings(halves.assign(status="scored", reason=""))
    assert np.isnan(found["value"].iloc[0])
    assert found["reason"].iloc[0] == "two halves of the counts do not agree"
    assert found["value"].iloc[1] == pytest.approx(np.sqrt(2 / 3))
    assert set(found["status"]) == {"ceiling"}


def test_halves_sum_to_the_counts_and_have_half_the_library(truth):
    first, second = truth.molecules.halves(stream(0, "x"))
    np.testing.assert_array_equal((first.counts + second.counts).toarray(), truth.molecules.counts.toarray())
    np.testing.assert_array_equal(first.library_size, np.full(300, 50.0))
    rows = np.array([7, 2])
    np.testing.assert_array_equal(first.of(rows).counts.toarray(), first.counts.toarray()[rows])


def test_draws_have_the_covariance_of_training_and_know_no_observation(rng):
    train = rng.normal(size=(500, 3)) @ rng.normal(size=(3, 5)) + 2
    drawn = covariance_draws(train, 40_000, rng=rng)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(train.T), atol=0.15)
    np.testing.assert_allclose(drawn.mean(axis=0), train.mean(axis=0), atol=0.1)
