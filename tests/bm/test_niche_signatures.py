"""Niche signatures inside a comparison: those of sk.tl.niche_signatures, for every patient and for the cohort."""

import warnings

import numpy as np
import pandas as pd
import pytest
from tests.bm.conftest import make_cohort, make_protocol

import stfmkit as sk
from stfmkit._core.errors import InputError, StfmkitWarning
from stfmkit.bm._rows import to_table
from stfmkit.bm._study import load_study
from stfmkit.bm._tasks._cohort_signatures import Cohort, shared_targets
from stfmkit.bm._tasks._niche_signatures import (
    MARKERS,
    judge_signatures,
    marker_table,
    score_signatures,
    signature_ceilings,
)
from stfmkit.bm._tasks._truth import choose_targets, fold_truth
from stfmkit.bm._units import Output, UnitStore
from stfmkit.splits.folds import Fold

SET_METRICS = {
    "jaccard",
    "adjusted_jaccard",
    "dice",
    "overlap_coefficient",
    "rank_biased_overlap",
    "signed_jaccard",
    "specificity",
    "ranking_auroc",
}
GENES = [f"G{g}" for g in range(8, 52)]


@pytest.fixture(scope="module")
def study():
    return load_study(make_cohort(per_patient=90), make_protocol(target_genes=GENES))


@pytest.fixture(scope="module")
def targets(study):
    return {fold.number: choose_targets(study, fold) for fold in study.folds}


@pytest.fixture(scope="module")
def truths(study, targets):
    return [fold_truth(study, fold, targets[fold.number]) for fold in study.folds]


@pytest.fixture(scope="module")
def guesses(truths):
    """Noisy predictions, so that no score is at its best."""
    return [t.test + np.random.default_rng(t.fold.number).normal(0, 1.2, t.test.shape) for t in truths]


def verb(study, rows, truth, predicted, **options):
    """Return the scores of sk.tl.niche_signatures with names as in the long table."""
    part = study.adata[rows][:, GENES].copy()
    part.layers["truth"], part.layers["guess"] = truth, predicted
    keys = {"patient_key": "patient", "n": (10, 20), "layer": "truth", "scale": "log1p", "pred_layer": "guess"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StfmkitWarning)  # fewer than three patients
        scores = sk.tl.niche_signatures(part, "niche", copy=True, **keys, **options)["scores"]
    names = [m if not n else f"{m}_{n}" for m, n in zip(scores["metric"].astype(str), scores["n"], strict=True)]
    return scores.assign(metric=names, niche=scores["niche"].astype(str)).set_index(["metric", "niche"])["value"]


def test_scores_of_a_patient_are_those_of_the_verb(study, truths, guesses):
    for truth, guess in zip(truths, guesses, strict=True):
        table = to_table(score_signatures(truth, judge_signatures(study, truth, guess)))
        expected = verb(study, truth.fold.test, truth.test, guess)
        found = table.set_index(["metric", "niche"])["value"]
        assert {m.rpartition("_")[0] for m in table["metric"]} - {"fold_change"} == SET_METRICS
        np.testing.assert_allclose(found, expected.loc[found.index], rtol=1e-12)
        assert set(table["patient"]) == {str(study.patients[truth.fold.test[0]])}
        assert (table["fold"] == truth.fold.number).all()


def test_scores_of_the_cohort_are_those_of_the_verb(study, targets, truths, guesses):
    cohort = Cohort.of(study, targets)
    pairs = zip(truths, guesses, strict=True)
    markers = pd.concat([marker_table(t, judge_signatures(study, t, g)) for t, g in pairs])
    assert (
        markers.dtypes.astype(str).to_dict()
        == pd.DataFrame(columns=list(MARKERS)).astype(MARKERS).dtypes.astype(str).to_dict()
    )
    table = to_table(cohort.score(markers.sample(frac=1, random_state=0)))
    rows = np.concatenate([t.fold.test for t in truths])
    counts = study.counts[rows][:, truths[0].targets].toarray()
    scaled = np.log1p(counts / study.depth[rows][:, None] * np.median(study.depth))
    expected = verb(study, rows, scaled, np.concatenate(guesses))
    found = table.assign(metric=table["metric"].str.removeprefix("cohort_")).set_index(["metric", "niche"])["value"]
    assert len(found) == 2 * (2 * len(SET_METRICS) + 1)
    np.testing.assert_allclose(found, expected.loc[found.index], rtol=1e-9)
    assert (table[["patient", "sample"]] == "").all(axis=None)
    assert (table["fold"] == -1).all()
    facts = cohort.facts(study.genes)
    assert (facts["n_patients"], facts["n_niches"], facts["n_niches_tested"]) == (4, 2, 2)
    assert facts["genes"] == sorted(GENES, key=lambda g: int(g[1:]))


def test_the_cohort_is_scored_on_the_genes_of_every_fold(study, targets):
    others = {k: np.concatenate([t[: 30 + k], [0]]) for k, t in targets.items()}
    shared = shared_targets(study, others)
    assert shared.tolist() == [0, *targets[0][:30]]
    assert Cohort.of(study, others).genes.tolist() == shared.tolist()
    few = {k: t[10 * k : 10 * k + 12] for k, t in targets.items()}
    assert Cohort.of(study, few) is None


def test_a_patient_of_several_folds_counts_with_their_mean(study, targets, truths, guesses):
    cohort = Cohort.of(study, targets)
    markers = pd.concat([marker_table(t, judge_signatures(study, t, g)) for t, g in zip(truths, guesses, strict=True)])
    twice = pd.concat([markers.assign(auroc=markers["auroc"] + d, fold=9) for d in (0.02, -0.02)])
    pd.testing.assert_frame_equal(to_table(cohort.score(twice)), to_table(cohort.score(markers)))


def test_fewer_patients_are_not_tested_and_one_is_no_cohort():
    for n_patients in (1, 2):
        cohort = make_cohort(n_patients=n_patients, per_patient=90)
        split = sk.pp.SpatialBlockKFold(block=300, buffer=0, n_splits=2)
        study = load_study(cohort, make_protocol(target_genes=GENES, split=split))
        targets = {fold.number: choose_targets(study, fold) for fold in study.folds}
        found = Cohort.of(study, targets)
        if n_patients == 1:
            assert found is None
        else:
            assert found.facts(study.genes)["n_niches_tested"] == 0
            assert all(row.value > 0 for row in found.ceilings() if row.metric.startswith("cohort_n_true"))


# planted faults


def test_empty_and_tiny_niches_and_patients_without_labels():
    """An empty category, a niche of one and one of two observations, and a patient of one niche."""
    cohort = make_cohort(per_patient=90)
    labels = cohort.obs["niche"].astype(str).to_numpy(dtype=object)
    patient = cohort.obs["patient"].astype(str).to_numpy()
    labels[np.flatnonzero(patient == "P0")[0]] = "single"
    labels[np.flatnonzero(patient == "P0")[1:3]] = "pair"
    labels[patient == "P1"] = None
    labels[patient == "P2"] = "stroma"
    cohort.obs["niche"] = pd.Categorical(labels, categories=["empty", "pair", "single", "stroma", "tumour"])
    study = load_study(cohort, make_protocol(target_genes=GENES))
    targets = {fold.number: choose_targets(study, fold) for fold in study.folds}
    scored = {}
    for fold in study.folds:
        truth = fold_truth(study, fold, targets[fold.number])
        judged = judge_signatures(study, truth, truth.test)
        table = to_table([*score_signatures(truth, judged), *signature_ceilings(study, truth)])
        who = str(study.patients[fold.test[0]])
        scored[who] = set(table["niche"])
        assert len(marker_table(truth, judged)) == len(scored[who]) * len(GENES)
    assert scored == {"P0": {"stroma", "tumour"}, "P1": set(), "P2": set(), "P3": {"stroma", "tumour"}}
    found = Cohort.of(study, targets)
    assert found.statistics.niches.tolist() == ["stroma", "tumour"]
    assert found.patients == ["P0", "P2", "P3"]
    assert found.statistics.usable.sum(axis=1).tolist() == [2, 2]  # nothing to compare with in the third
    empty = to_table(found.score(pd.DataFrame(columns=list(MARKERS)).astype(MARKERS)))
    assert (empty.loc[empty["metric"].str.startswith("cohort_jaccard"), "value"] == 0).all()  # never predicted


def test_panels_too_small_for_a_signature_are_not_scored(study):
    fold = study.folds[0]
    truth = fold_truth(study, fold, choose_targets(study, fold)[:19])
    assert judge_signatures(study, truth, truth.test) == []
    assert list(signature_ceilings(study, truth)) == []
    assert marker_table(truth, []).columns.tolist() == list(MARKERS)


def test_a_niche_without_markers_has_rows_without_values(study, truths):
    flat = fold_truth(
        study, Fold(0, truths[0].fold.train, truths[0].fold.test, truths[0].fold.train_groups), truths[0].targets
    )
    level = np.tile(flat.test.mean(axis=0), (len(flat.test), 1))
    from dataclasses import replace

    silent = replace(flat, test=level, halves=(level, level))
    table = to_table(score_signatures(silent, judge_signatures(study, silent, flat.test)))
    assert len(table)
    assert table["value"].isna().all()
    limits = to_table(signature_ceilings(study, silent)).groupby("metric")["value"].mean()
    assert limits["n_true_10"] == 0
    assert np.isnan(limits["adjusted_jaccard_10_ceiling"])


def test_markers_of_a_unit_are_found_again(tmp_path, study, truths):
    markers = marker_table(truths[0], judge_signatures(study, truths[0], truths[0].test))
    frame = pd.DataFrame({"a": [1]})
    store = UnitStore(tmp_path)
    store.save("with", Output(rows=frame, observations=frame, seconds=1.0, markers=markers))
    store.save("without", Output(rows=frame, observations=frame, seconds=1.0))
    pd.testing.assert_frame_equal(store.load("with").markers, markers)
    assert store.load("without").markers.empty
    next(tmp_path.glob("*.markers")).write_bytes(b"")
    assert None in (store.load("with"), store.load("without"))


class TestComparison:
    """What the finished comparison says."""

    def test_every_set_metric_of_every_size(self, results):
        names = set(results.table.query("task == 'niche_signatures'")["metric"])
        assert {f"{m}_10" for m in SET_METRICS} <= names
        assert {f"cohort_{m}_10" for m in SET_METRICS} <= names
        assert {"adjusted_jaccard_10_ceiling", "adjusted_jaccard_10_of_ceiling", "n_true_10"} <= names

    def test_scores_of_the_cohort_are_not_ranked(self, results):
        with pytest.raises(InputError, match="one score of all patients together"):
            results.rank("niche_signatures", "cohort_jaccard_10")
        with pytest.raises(InputError, match="one score of all patients together"):
            results.compare("hvg_pca", "coordinates", metric="cohort_jaccard_10")

    def test_ceilings_describe_and_are_not_ranked(self, results):
        facts = results.meta["metrics"]
        assert facts["adjusted_jaccard_10_ceiling"]["higher_is_better"] is None
        assert facts["adjusted_jaccard_10_of_ceiling"]["higher_is_better"] is True
        assert facts["cohort_adjusted_jaccard_10_of_ceiling"]["title"] == "Adjusted Jaccard @10, of ceiling, cohort"
        with pytest.raises(InputError, match="neither better high nor low"):
            results.rank("niche_signatures", "adjusted_jaccard_10_ceiling")
