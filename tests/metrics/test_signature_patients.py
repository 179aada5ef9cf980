"""Statistics by patient: what they must be once averaged, and what one patient cannot change."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from stfmkit.metrics import niche_scores, signature_statistics
from stfmkit.metrics._signature_patients import PatientStatistics


@pytest.fixture
def cohort(rng):
    patient = np.repeat(["P1", "P2", "P3", "P4"], 40)
    niche = np.tile(np.repeat(["a", "b"], 20), 4).astype(object)
    niche[:2] = "rare"
    rate = np.where(niche[:, None] == "a", [3.0, 1, 1], [1.0, 1, 2])
    return np.log1p(rng.poisson(rate)).astype(float), niche.astype(str), patient


def test_the_mean_over_patients_is_that_of_the_public_functions(cohort):
    X, niche, patient = cohort
    own = PatientStatistics.of(sparse.csr_array(X), niche, patient, min_obs=2)
    np.testing.assert_allclose(own.scores(), niche_scores(X, niche, patient, min_obs=2), rtol=1e-12)
    table = signature_statistics(X, niche, patient, min_obs=2)
    pd.testing.assert_frame_equal(own.table(), table)


def test_some_niches_alone_score_as_they_do_among_all(cohort):
    X, niche, patient = cohort
    every = PatientStatistics.of(X, niche, patient)
    some = PatientStatistics.of(X, niche, patient, niches=np.array(["a", "b"]))
    at = np.flatnonzero(np.isin(every.niches, ["a", "b"]))
    np.testing.assert_array_equal(some.auroc, every.auroc[at])  # the rest still holds the rare niche
    np.testing.assert_array_equal(some.means.mean_out, every.means.mean_out[at])


def test_only_patients_with_the_niche_count(cohort):
    X, niche, patient = cohort
    own = PatientStatistics.of(X, niche, patient, min_obs=2)
    rare = own.niches.tolist().index("rare")
    assert own.usable[rare].tolist() == [True, False, False, False]
    assert np.isnan(own.auroc[rare, 1:]).all()
    np.testing.assert_array_equal(own.mean_auroc(rare), own.auroc[rare, 0])


def test_a_niche_that_nobody_has_is_left_out(cohort):
    X, niche, patient = cohort
    own = PatientStatistics.of(X, niche, patient, niches=np.array(["a", "nowhere"]))
    assert own.usable[1].sum() == 0
    assert np.isnan(own.scores()[1]).all()
    assert own.table()["niche"].unique().tolist() == ["a"]


@pytest.mark.parametrize("as_", [np.asarray, sparse.csr_array])
def test_predictions_below_zero_count_as_zero_in_fold_changes_and_not_in_ranks(cohort, as_):
    X, niche, patient = cohort
    shifted = X - 0.5
    own = PatientStatistics.of(as_(shifted), niche, patient)
    np.testing.assert_allclose(own.scores(), niche_scores(X, niche, patient))
    clipped = PatientStatistics.of(np.maximum(shifted, 0), niche, patient)
    np.testing.assert_allclose(own.means.mean_in, clipped.means.mean_in)


def test_halves_of_the_patients_average_to_all(cohort):
    X, niche, patient = cohort
    own = PatientStatistics.of(X, niche, patient)
    half = np.array([True, True, False, False])
    whole = (own.mean_auroc(0, half) + own.mean_auroc(0, ~half)) / 2
    np.testing.assert_allclose(whole, own.mean_auroc(0))
    assert own.of_niche(0, half)["n_patients"].unique().tolist() == [2]
    assert own.of_niche(0, half)["p_value"].isna().all()
