"""Scores of correlation structures: the metrics by hand, their ends, and ceilings."""

from dataclasses import replace

import numpy as np
import pytest

from stfmkit import metrics
from stfmkit.evaluation.coexpression import (
    CoexpressionSizes,
    coexpression_ceilings,
    compare_structures,
    score_coexpression,
    score_pairs,
)
from stfmkit.evaluation.expression import ExpressionTruth

SIZES = CoexpressionSizes(n_orders=4, n_permutations=19, n_modules=3, n_eigenvectors=4)


@pytest.fixture
def truth(rng):
    programs = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 16))
    expression = programs + rng.normal(0, 0.5, (200, 16))
    halves = tuple(expression + rng.normal(0, 0.7, (200, 16)) for _ in range(2))
    return ExpressionTruth(
        expression=expression,
        genes=np.array([f"G{g}" for g in range(16)]),
        samples=np.repeat(["S1", "S2"], 100),
        patients=np.repeat(["P1", "P2"], 100),
        halves=halves,
        fold=1,
    )


@pytest.fixture
def order(truth):
    return metrics.coexpression_order(np.corrcoef(truth.expression.T))


def test_scores_are_the_metrics_of_the_correlations_within_a_sample(truth, order, rng):
    predicted = truth.expression + rng.normal(0, 1, truth.expression.shape)
    table = score_coexpression(truth, predicted, order=order, seed=0, sizes=SIZES)
    assert set(table["sample"]) == {"S1", "S2"}
    assert set(table["fold"]) == {1}
    here = table.query("sample == 'S2'").set_index(["metric", "setting"])["value"]
    a, b = (np.corrcoef(v[100:].T) for v in (truth.expression, predicted))
    assert here["ssim_ordered", "window=7, truth=raw"] == pytest.approx(metrics.ssim_ordered(a, b, order=order))
    assert here["rv_coefficient", "truth=raw"] == pytest.approx(metrics.rv_coefficient(a, b))
    upper = np.triu_indices(16, 1)
    assert here["offdiagonal_correlation", "truth=raw"] == pytest.approx(np.corrcoef(a[upper], b[upper])[0, 1])
    assert here["mean_absolute_difference", "truth=raw"] == pytest.approx(np.abs(a - b)[upper].mean())
    spectra = [np.sort(np.linalg.eigvalsh(m)) for m in (a, b)]
    assert here["eigen_spectrum_distance", "truth=raw"] == pytest.approx(np.abs(spectra[0] - spectra[1]).mean())
    assert here["mantel_p", "n_permutations=19, truth=raw"] == 0.05
    assert here["share_degenerate", "truth=raw"] == 0
    assert ("subspace_affinity", "n_eigenvectors=4, truth=raw") in here.index
    assert ("module_preservation", "n_modules=3, truth=raw") in here.index


def test_a_perfect_prediction_is_at_its_best_and_a_shuffled_one_at_chance(truth, order, rng):
    best = score_coexpression(truth, truth.expression, order=order, seed=0, sizes=SIZES).groupby("metric")["value"]
    for metric in ("ssim_ordered", "ssim_permuted", "ssim_global", "offdiagonal_correlation", "rv_coefficient"):
        assert best.min()[metric] == pytest.approx(1)
    assert best.max()["frobenius_error"] == pytest.approx(0, abs=1e-9)
    mixed = rng.permuted(truth.expression, axis=0)
    worst = score_coexpression(truth, mixed, order=order, seed=0, sizes=SIZES).groupby("metric")["value"].mean()
    assert abs(worst["offdiagonal_correlation"]) < 0.3


def test_a_constant_prediction_has_no_structure(truth, order):
    level = np.tile(truth.expression.mean(axis=0), (200, 1))
    table = score_coexpression(truth, level, order=order, seed=0, sizes=SIZES).query("sample == 'S1'")
    found = table.set_index("metric")["value"]
    assert found["ssim_ordered"] == found["rv_coefficient"] == found["sign_agreement"] == 0
    assert found["mantel_p"] == found["frobenius_error"] == found["share_degenerate"] == 1
    undefined = table[table["status"] == "undefined"]
    assert undefined["metric"].tolist() == ["eigen_spectrum_distance"]
    assert "fewer genes vary" in undefined["reason"].item()


def test_genes_that_do_not_vary_are_left_out(truth, order, rng):
    predicted = truth.expression + rng.normal(0, 0.5, truth.expression.shape)
    predicted[:, [2, 9]] = 1.0
    kept = np.setdiff1d(np.arange(16), [2, 9])
    found = score_coexpression(truth, predicted, order=order, seed=0, sizes=SIZES).query("sample == 'S1'")
    scores = found.set_index(["metric", "setting"])["value"]
    a, b = (np.corrcoef(v[:100, kept].T) for v in (truth.expression, predicted))
    assert scores["share_degenerate", "truth=raw"] == pytest.approx(2 / 16)
    assert scores["rv_coefficient", "truth=raw"] == pytest.approx(metrics.rv_coefficient(a, b))


def test_all_predictions_meet_the_same_orders(truth, order):
    a = np.corrcoef(truth.expression.T)
    kinds = [compare_structures(a, a**p, order=order, seed=s, sizes=SIZES, scope="cohort") for p, s in ((3, 0),) * 2]
    other = compare_structures(a, a**3, order=order, seed=1, sizes=SIZES, scope="cohort")
    assert kinds[0].equals(kinds[1])
    assert not kinds[0].equals(other)
    assert set(other["scope"]) == {"cohort"}


def test_raw_correlations_of_halves_bound_nothing(truth, order):
    """Noise lowers both halves alike; ceilings come from latent correlations (test_latent_truth.py)."""
    assert truth.halves is not None
    assert coexpression_ceilings(replace(truth, molecules=None), order=order, seed=0, sizes=SIZES).empty


def test_small_samples_are_not_scored(truth, order):
    assert score_coexpression(replace(truth, min_obs=101), truth.expression, order=order, seed=0).empty


def test_pairs_are_compared_where_both_sides_are_defined():
    truth = np.array([0.3, -0.2, 0.05, np.nan, 0.4])
    predicted = np.array([0.2, 0.1, 0.1, 0.3, 0.5])
    found = score_pairs(truth, predicted, scope="cohort").set_index(["metric", "setting"])["value"]
    a, b = truth[[0, 1, 2, 4]], predicted[[0, 1, 2, 4]]
    assert found["lagged_correlation", "pearson over pairs"] == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert found["lagged_correlation", "mean absolute difference over pairs"] == pytest.approx(np.abs(a - b).mean())
    assert found["lagged_correlation", "sign agreement over pairs"] == pytest.approx(2 / 3)  # above 0.1
    assert found["share_degenerate", "pairs"] == pytest.approx(1 / 5)
    nothing = score_pairs(np.array([np.nan]), np.array([0.1]), scope="cohort")
    assert set(nothing.query("metric == 'lagged_correlation'")["status"]) == {"undefined"}
