"""The one definition of agreement: its ends, and ceilings of halves."""

import numpy as np
import pytest
from stfmkit.tl._signature_agreement import (
    AGREEMENT,
    Thresholds,
    agreement_rows,
    choose_signatures,
    halves_ceiling,
)
from stfmkit.tl._signature_scores import score_table

from stfmkit import metrics
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
    rows = {(n, metric): value for n, metric, value in agreement_rows(found, 0, [5, 10])}
    assert set(rows) == {(0, "fold_change_correlation"), *((n, m) for n in (5, 10) for m in AGREEMENT)}
    assert all(value == pytest.approx(1) for value in rows.values())
    assert list(agreement_rows(choose_signatures(own, None, most=10, thresholds=ANY), 0, [5])) == []


def test_genes_that_tie_are_taken_in_their_order(planted):
    """A prediction that says nothing names the first genes of the panel, whatever the niche."""
    values, niche = planted
    own, flat = statistics(values, niche), statistics(np.full_like(values, 0.7), niche)
    found = choose_signatures(own, flat, most=10, thresholds=ANY)
    core, rim = ({m: v for n, m, v in agreement_rows(found, k, [10]) if n} for k in (0, 1))
    assert core["specificity"] == rim["specificity"] == 0
    assert (core["ranking_auroc"], rim["ranking_auroc"]) == (0.5, 0.5)


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
            assert found[name, n] == pytest.approx(np.mean(both))
    same = [statistics(values, niche)] * 2
    assert set(halves_ceiling(same, (5,), thresholds=ANY).values()) == {1.0}
    nothing = halves_ceiling(halves, (5,), thresholds=Thresholds(min_log2fc=50.0))
    assert np.isnan(list(nothing.values())).all()


def test_halves_that_share_less_than_chance_have_the_lowest_ceiling(planted):
    """Signatures of halves can be larger than the whole one, so that the ceiling would be below 0."""
    own = statistics(*planted)
    found = choose_signatures(own, own, most=5, thresholds=ANY)
    table = score_table(found, (5,), {"thinned": {(niche, 5): -0.9 for niche in NICHES}})
    scores = table.set_index("metric")["value"]
    assert (scores["ceiling_thinned"] == 0).all()
    assert scores["normalized_jaccard_thinned"].isna().all()
