"""Signatures of all patients together, from what is kept of every fold."""

import numpy as np
import pandas as pd
import pytest

from stfmkit.evaluation.cohort_signatures import CohortTruth
from stfmkit.evaluation.signatures import (
    MARKERS,
    SignatureTruth,
    choose_signatures,
    marker_table,
    patient_signatures,
    score_agreement,
)
from stfmkit.metrics._signature_patients import PatientStatistics

GENES = np.array([f"G{g}" for g in range(30)])


@pytest.fixture
def cohort(rng):
    """Values, niches, patients and a noisy prediction of four patients."""
    niche, patient = rng.choice(["core", "rim"], size=160), np.repeat(["P1", "P2", "P3", "P4"], 40)
    up = np.where(np.arange(30)[None, :] // 10 == (niche == "rim")[:, None], 1.5, 0.2)
    values = np.clip(up + rng.normal(0, 0.4, size=(160, 30)), 0, None)
    return values, niche, patient, values + rng.normal(0, 0.8, values.shape)


def markers_of(values, niche, patient, predicted):
    parts = []
    for fold, who in enumerate(np.unique(patient)):
        rows = patient == who
        truth = SignatureTruth(
            expression=values[rows],
            genes=GENES,
            niches=niche[rows],
            samples=patient[rows],
            patients=patient[rows],
            fold=fold,
        )
        parts.append(marker_table(truth, patient_signatures(truth, predicted[rows])))
    return pd.concat(parts)


def truth_of(values, niche, patient, **options):
    return CohortTruth.of(values, genes=GENES, niches=niche, patients=patient, **options)


def test_scores_are_those_of_all_patients_at_once(cohort):
    values, niche, patient, predicted = cohort
    truth = truth_of(values, niche, patient)
    table = truth.score(markers_of(*cohort).sample(frac=1, random_state=0))
    own, guess = (
        PatientStatistics.of(part, niche, patient, niches=np.array(["core", "rim"]), min_obs=3)
        for part in (values, predicted)
    )
    found = choose_signatures(own, guess, most=10, thresholds=truth.thresholds)
    expected = score_agreement(found, [10], scope="cohort")
    np.testing.assert_allclose(table["value"], expected["value"], rtol=1e-12)
    assert (table[["patient", "sample"]] == "").all(axis=None)
    assert set(table["fold"]) == {-1}
    assert set(table["scope"]) == {"cohort"}
    assert truth.facts() == {"n_patients": 4, "n_niches": 2, "n_niches_tested": 2, "genes": GENES.tolist()}


def test_a_patient_of_several_folds_counts_with_their_mean(cohort):
    truth, markers = truth_of(*cohort[:3]), markers_of(*cohort)
    twice = pd.concat([markers.assign(auroc=markers["auroc"] + d, fold=9) for d in (0.02, -0.02)])
    pd.testing.assert_frame_equal(truth.score(twice), truth.score(markers))


def test_ceilings_come_from_halves(cohort, rng):
    values, niche, patient, _ = cohort
    halves = [np.clip(values + rng.normal(0, s, values.shape), 0, None) for s in (0.5, 0.5)]
    noisy = [np.clip(values + rng.normal(0, 1.2, values.shape), 0, None) for _ in range(2)]
    good, bad = (truth_of(values, niche, patient, halves=part).ceilings() for part in (halves, noisy))
    means = [table.query("status == 'ceiling'")["value"].mean() for table in (good, bad)]
    assert 1 >= means[0] > means[1]
    assert set(truth_of(values, niche, patient).ceilings()["metric"]) == {"signature_size"}


# planted faults


def test_what_is_no_cohort_has_no_truth(cohort):
    values, niche, patient, _ = cohort
    one = patient == "P1"
    assert truth_of(values[one], niche[one], patient[one]) is None
    assert truth_of(values, np.full(160, "core"), patient) is None
    assert truth_of(values, np.full(160, ""), patient) is None
    assert CohortTruth.of(values[:, :19], genes=GENES[:19], niches=niche, patients=patient) is None


def test_a_niche_that_was_never_predicted_scores_nothing(cohort):
    truth = truth_of(*cohort[:3])
    empty = truth.score(pd.DataFrame(columns=list(MARKERS)).astype(MARKERS))
    jaccard = empty.query("metric == 'jaccard'")
    assert (jaccard["value"] == 0).all()
    assert set(empty.query("metric == 'signature_ranking_auroc'")["status"]) == {"undefined"}
