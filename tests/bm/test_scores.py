"""Scores of predictions that are known: perfect, constant, mixed up."""

import numpy as np
import pytest
from tests.bm.conftest import make_cohort, make_protocol

from stfmkit.bm._rows import to_table
from stfmkit.bm._study import load_study
from stfmkit.bm._tasks._coexpression import score_coexpression
from stfmkit.bm._tasks._expression import ceilings, score_expression, spot_scores
from stfmkit.bm._tasks._metric_facts import metric_facts
from stfmkit.bm._tasks._niche_signatures import judge_signatures, score_signatures
from stfmkit.bm._tasks._truth import choose_targets, fold_truth, shuffled


@pytest.fixture(scope="module")
def study():
    return load_study(make_cohort(per_patient=80), make_protocol())


@pytest.fixture(scope="module")
def truth(study):
    return fold_truth(study, study.folds[0], choose_targets(study, study.folds[0]))


def means(rows):
    return to_table(rows).groupby("metric")["value"].mean()


def signature_rows(study, truth, predicted):
    return list(score_signatures(truth, judge_signatures(study, truth, predicted)))


def test_truth_is_scaled_by_training_alone(study, truth):
    fold = truth.fold
    counts = study.counts[fold.test][:, truth.targets].toarray()
    median = np.median(study.depth[fold.train])
    np.testing.assert_allclose(truth.test, np.log1p(counts / study.depth[fold.test][:, None] * median))
    assert truth.genes == list(study.genes[truth.targets])


def test_halves_are_independent_and_whole(study, truth):
    median = np.median(study.depth[truth.fold.train])
    counts = study.counts[truth.fold.test][:, truth.targets].toarray()
    back = [np.expm1(h) / median * study.depth[truth.fold.test][:, None] / 2 for h in truth.halves]
    np.testing.assert_allclose(back[0] + back[1], counts, atol=1e-9)


def test_perfect_prediction(study, truth):
    scores = means(score_expression(study, truth, truth.test))
    for metric in ("pearson", "spearman", "ccc", "q2", "partial_pearson", "variance_ratio", "moran_ratio"):
        assert scores[metric] == pytest.approx(1)
    assert scores["deviance_explained"] == pytest.approx(1, abs=1e-3)
    signatures = means(signature_rows(study, truth, truth.test))
    assert signatures["jaccard_10"] == pytest.approx(1)
    assert signatures["adjusted_jaccard_10"] == pytest.approx(1)
    assert signatures["rank_biased_overlap_10"] == pytest.approx(1)
    assert signatures["specificity_10"] > 0.5
    network = means(score_coexpression(study, truth, truth.test))
    for metric in ("ssim_ordered", "ssim_permuted", "ssim_global", "offdiagonal_pearson", "rv", "sign_agreement"):
        assert network[metric] == pytest.approx(1)
    assert network["eigen_distance"] == pytest.approx(0, abs=1e-9)
    assert network["mantel_p"] == pytest.approx(1 / 200)


def test_training_mean_scores_nothing(study, truth):
    mean = np.tile(truth.train.mean(axis=0), (len(truth.test), 1))
    scores = means(score_expression(study, truth, mean))
    for metric in ("pearson", "spearman", "ccc", "partial_pearson", "deviance_explained"):
        assert scores[metric] == pytest.approx(0, abs=1e-9)
    assert scores["q2"] == pytest.approx(0, abs=1e-9)
    network = means(score_coexpression(study, truth, mean))
    assert network["ssim_ordered"] == 0
    assert network["share_undefined"] == 1
    assert (spot_scores(truth, mean) == 0).all()


def test_mixed_up_genes_have_no_structure(study, truth):
    mixed = shuffled(truth.test, study.sample_codes[truth.fold.test], np.random.default_rng(0))
    np.testing.assert_allclose(np.sort(mixed, axis=0), np.sort(truth.test, axis=0))
    network = means(score_coexpression(study, truth, mixed))
    assert abs(network["offdiagonal_pearson"]) < 0.2
    assert abs(means(signature_rows(study, truth, mixed))["adjusted_jaccard_10"]) < 0.45


def test_rates_of_niches_reach_the_ceiling():
    """Predicting the rates that counts were drawn from correlates with the counts as the ceiling says.

    The ceiling of a single weak gene is noisy itself, so weak genes are compared on average.
    """
    cohort = make_cohort(per_patient=400, seed=1)
    protocol = make_protocol(target_genes=[f"G{i}" for i in range(12)])
    study = load_study(cohort, protocol)
    truth = fold_truth(study, study.folds[0], choose_targets(study, study.folds[0]))
    niche = study.labels.codes[truth.fold.test]
    best = np.stack([truth.test[niche == k].mean(axis=0) for k in (0, 1)])[niche]  # what a rate by niche can say
    reached = to_table(score_expression(study, truth, best)).query("metric == 'pearson'")["value"].to_numpy()
    ceiling = to_table(ceilings(study, truth))["value"].to_numpy()
    strong = ceiling > 0.55
    assert strong.sum() >= 4
    np.testing.assert_allclose(reached[strong], ceiling[strong], atol=0.08)
    assert reached.mean() == pytest.approx(ceiling.mean(), abs=0.1)


def test_small_samples_are_not_scored(truth):
    study = load_study(make_cohort(per_patient=80), make_protocol(min_spots=81))
    assert list(score_expression(study, truth, truth.test)) == []
    assert list(ceilings(study, truth)) == []
    assert list(score_coexpression(study, truth, truth.test)) == []


def test_every_metric_in_the_table_can_be_read(results):
    names = results.table["metric"].unique().tolist()
    facts = metric_facts(names)
    assert all(facts[n]["title"] and facts[n]["summary"] and facts[n]["source"] for n in names)
    assert facts["macro_f1_knn"]["title"] == "Macro F1, kNN probe"
    assert facts["adjusted_jaccard_10"]["chance"] == 0
    assert facts["chaos"]["higher_is_better"] is False
