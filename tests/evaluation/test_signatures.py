"""The one definition of agreement: its ends, and ceilings of halves."""

import numpy as np
import pytest

from stfmkit import metrics
from stfmkit.evaluation.signatures import (
    AGREEMENT,
    CEILED,
    MARKERS,
    SignatureTruth,
    Thresholds,
    choose_signatures,
    halves_ceiling,
    marker_table,
    patient_signatures,
    score_agreement,
    score_chance,
    score_signatures,
    score_sizes,
    signature_ceilings,
    sizes_for,
)
from stfmkit.metrics._signature_patients import PatientStatistics

ANY = Thresholds(alpha=1.0)
NICHES = ("core", "rim")


def statistics(values, niche):
    patient = np.repeat(["P1", "P2", "P3"], len(niche) // 3)
    return PatientStatistics.of(values, niche, patient, niches=np.array(NICHES), min_obs=3)


@pytest.fixture
def planted(rng):
    """Values in which the first ten genes mark one niche, and the next ten the other."""
    niche = rng.choice(NICHES, size=180)
    up = np.where(np.arange(30)[None, :] // 10 == (niche == "rim")[:, None], 1.5, 0.2)
    return np.clip(up + rng.normal(0, 0.4, size=(180, 30)), 0, None), niche


def test_truth_against_itself_is_at_its_best(planted):
    own = statistics(*planted)
    found = choose_signatures(own, own, most=10, thresholds=ANY)
    table = score_agreement(found, [5, 10], scope="cohort")
    core = table[table["niche"] == "core"].set_index(["setting", "metric"])["value"]
    sized = {(f"n={n}", m) for n in (5, 10) for m in AGREEMENT}
    assert set(core.index) == {("", "signature_fold_change_correlation"), *sized}
    assert core.to_numpy() == pytest.approx(1)
    assert set(table["scope"]) == {"cohort"}
    assert score_agreement(choose_signatures(own, None, most=10, thresholds=ANY), [5], scope="cohort").empty


def test_genes_that_tie_are_taken_in_their_order(planted):
    """A prediction that says nothing names the first genes of the panel, whatever the niche."""
    values, niche = planted
    own, flat = statistics(values, niche), statistics(np.full_like(values, 0.7), niche)
    found = choose_signatures(own, flat, most=10, thresholds=ANY)
    scores = score_agreement(found, [10], scope="cohort").set_index(["metric", "niche"])["value"]
    for niche in NICHES:
        assert scores["signature_specificity", niche] == 0
        assert scores["signature_ranking_auroc", niche] == 0.5


def test_ceilings_are_the_mean_of_both_ways(planted, rng):
    values, niche = planted
    halves = [statistics(np.clip(values + rng.normal(0, 2, values.shape), 0, None), niche) for _ in range(2)]
    found = halves_ceiling(halves, (3, 10), thresholds=ANY)
    sets = [metrics.signature_sets(half.table(), n_genes=10, **ANY._asdict()) for half in halves]
    for k, name in enumerate(NICHES):
        for n in (3, 10):
            both = []
            for a in (0, 1):
                truth = sets[a][name][:n]
                guess = metrics.signature_top(halves[1 - a].scores()[k], len(truth))
                both.append(metrics.adjusted_jaccard(truth, guess, n_genes=30))
            agreed = max(np.mean(both), 0)
            assert found["adjusted_jaccard", name, n] == pytest.approx(2 * agreed / (1 + agreed))
            assert found["rank_biased_overlap", name, n] >= found["adjusted_jaccard", name, n] - 0.2
    same = [statistics(values, niche)] * 2
    equal = halves_ceiling(same, (5,), thresholds=ANY)
    assert {equal["adjusted_jaccard", name, 5] for name in NICHES} == {1.0}
    nothing = halves_ceiling(halves, (5,), thresholds=Thresholds(min_log2fc=50.0))
    assert np.isnan(list(nothing.values())).all()


def test_chance_and_sizes_are_those_of_the_true_signatures(planted):
    own = statistics(*planted)
    found = choose_signatures(own, own, most=10, thresholds=ANY)
    chance = score_chance(found, (5, 10), scope="cohort")
    assert set(chance["contender"]) == {"control:chance"}
    sizes = score_sizes(found, (5, 10), scope="cohort").set_index(["niche", "setting"])["value"]
    for niche in NICHES:
        for n in (5, 10):
            assert sizes[niche, f"n={n}"] == len(found.up[niche][:n])
            assert sizes[niche, f"n={n}, down"] == len(found.down[niche][:n])
    expected = metrics.expected_jaccard(10, 10, n_genes=30)
    assert chance.query("setting == 'n=10'")["value"].to_numpy() == pytest.approx(expected)
    nothing = choose_signatures(own, own, most=10, thresholds=Thresholds(min_log2fc=50.0))
    scores = score_agreement(nothing, (5,), scope="cohort").query("setting == 'n=5'")
    assert set(scores["status"]) == {"undefined"}
    assert set(scores["reason"]) == {"no gene marks this niche"}
    assert set(score_chance(nothing, (5,), scope="cohort")["status"]) == {"undefined"}


def test_larger_signatures_than_half_of_the_genes_are_left_out():
    assert sizes_for(100) == [10, 20, 50]
    assert sizes_for(99) == [10, 20]
    assert sizes_for(19) == []


@pytest.fixture
def truth(planted, rng):
    values, niche = planted
    halves = tuple(np.clip(values + rng.normal(0, 0.3, values.shape), 0, None) for _ in range(2))
    return SignatureTruth(
        expression=values,
        genes=np.array([f"G{g}" for g in range(30)]),
        niches=niche,
        samples=np.repeat(["P1a", "P1b", "P2a", "P3a"], [20, 40, 60, 60]),
        patients=np.repeat(["P1", "P2", "P3"], 60),
        halves=halves,
        fold=4,
    )


def test_scores_of_a_patient_are_those_of_its_observations_alone(truth, rng):
    predicted = truth.expression + rng.normal(0, 0.5, truth.expression.shape)
    found = patient_signatures(truth, predicted)
    table = score_signatures(truth, found)
    assert table[["patient", "sample"]].drop_duplicates().to_numpy().tolist() == [
        ["P1", "P1a+P1b"],
        ["P2", "P2a"],
        ["P3", "P3a"],
    ]
    assert (table["fold"] == 4).all()
    assert set(table["scope"]) == {"niche"}
    assert set(table["setting"]) == {"", "n=10"}  # 20 are more than half of 30 genes
    rows = truth.patients == "P2"
    one = np.zeros(60, dtype=int)
    own, guess = (
        PatientStatistics.of(part[rows], truth.niches[rows], one, niches=np.array(NICHES), min_obs=3)
        for part in (truth.expression, predicted)
    )
    expected = score_agreement(choose_signatures(own, guess, most=10, thresholds=Thresholds()), [10], scope="niche")
    np.testing.assert_array_equal(table.loc[table["patient"] == "P2", "value"], expected["value"])
    markers = marker_table(truth, found)
    assert list(markers) == list(MARKERS)
    assert len(markers) == 3 * 2 * 30
    inside = rows & (truth.niches == "rim")
    outside = rows & (truth.niches != "rim")
    row = markers.query("patient == 'P2' and niche == 'rim' and gene == 'G12'").iloc[0]
    pairs = predicted[inside, 12][:, None] - predicted[outside, 12][None, :]
    assert row["auroc"] == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())
    assert row["mean_in"] == pytest.approx(np.expm1(np.maximum(predicted[inside, 12], 0)).mean())


def test_ceilings_of_patients_stand_beside_the_sizes_of_signatures(truth):
    table = signature_ceilings(truth)
    assert set(table["status"]) == {"ceiling", "scored"}
    limits = table.query("status == 'ceiling'")
    assert set(limits["metric"]) == set(CEILED)
    assert limits["value"].between(0, 1).all()
    assert len(limits) == 6 * len(CEILED)
    from dataclasses import replace

    assert set(signature_ceilings(replace(truth, halves=None))["metric"]) == {"signature_size"}


# planted faults


def test_patients_without_two_niches_and_observations_without_labels_are_left_out(truth):
    from dataclasses import replace

    labels = truth.niches.astype(object)
    labels[truth.patients == "P1"] = ""
    labels[truth.patients == "P3"] = "rim"
    labels[np.flatnonzero(truth.patients == "P2")[:2]] = "pair"  # too few
    other = replace(truth, niches=labels)
    found = patient_signatures(other, truth.expression)
    assert [part.tested.patient for part in found] == ["P2"]
    assert found[0].tested.niches.tolist() == ["core", "rim"]
    empty = replace(truth, niches=np.full(180, ""))
    assert score_signatures(empty, patient_signatures(empty, truth.expression)).empty
    assert list(marker_table(empty, [])) == list(MARKERS)
    small = replace(truth, genes=truth.genes[:19], expression=truth.expression[:, :19])
    assert patient_signatures(small, truth.expression[:, :19]) == []
    assert signature_ceilings(small).empty
