"""Averages by hand: genes, folds, samples, patients, each part with the same weight."""

import numpy as np
import pytest

from stfmkit import metrics
from stfmkit.evaluation.averages import aggregation, per_patient, per_sample, summary
from stfmkit.evaluation.scores import Score, to_table


def rows(metric, values, **where):
    where = {"contender": "a", "patient": "P1", "sample": "P1a", "fold": 0, "scope": "gene", **where}
    return [Score(metric=metric, value=v, gene=f"G{i}", **where) for i, v in enumerate(values)]


@pytest.fixture
def table():
    return to_table(
        [
            *rows("pearson", [0.2, 0.4, np.nan]),
            *rows("pearson", [0.9], fold=1),
            *rows("pearson", [0.1, 0.3], sample="P1b"),
            *rows("pearson", [0.8], patient="P2", sample="P2a"),
            *rows("pearson", [np.nan], patient="P3", sample="P3a"),
            *rows("r2", [-50.0, 0.4, 0.5]),
            *rows("pearson", [0.7], status="ceiling"),
        ]
    )


def test_every_part_weighs_alike(table):
    samples = per_sample(table).query("metric == 'pearson' and status == 'scored'").set_index("sample")["value"]
    assert samples["P1a"] == pytest.approx((0.3 + 0.9) / 2)  # folds
    assert samples["P1b"] == pytest.approx(0.2)
    assert np.isnan(samples["P3a"])
    patients = per_patient(table).query("metric == 'pearson' and status == 'scored'").set_index("patient")["value"]
    assert patients["P1"] == pytest.approx((0.6 + 0.2) / 2)
    found = summary(table).query("metric == 'pearson' and status == 'scored'").iloc[0]
    assert found["mean"] == pytest.approx((0.4 + 0.8) / 2)
    assert found["sd"] == pytest.approx(np.std([0.4, 0.8], ddof=1))
    assert (found["min"], found["max"], found["n_patients"]) == pytest.approx((0.4, 0.8, 2))


def test_scores_without_a_bound_are_summarised_by_their_median(table):
    assert per_sample(table).query("metric == 'r2'")["value"].item() == 0.4
    assert aggregation("r2", "gene") == metrics.spec("r2").over_genes == "median"
    assert aggregation("r2", "niche") == "mean"
    assert aggregation("no such metric", "gene") == "mean"


def test_ceilings_and_settings_are_kept_apart(table):
    assert per_sample(table).query("status == 'ceiling'")["value"].tolist() == [0.7]
    two = to_table([*rows("pearson", [0.1], setting="x"), *rows("pearson", [0.3], setting="y")])
    assert per_patient(two)["value"].tolist() == [0.1, 0.3]


def test_scores_of_all_patients_together_count_no_patient():
    cohort = to_table(rows("jaccard", [0.2, 0.4], patient="", sample="", scope="cohort"))
    found = summary(cohort).iloc[0]
    assert found["mean"] == pytest.approx(0.3)
    assert found["n_patients"] == 0


def test_an_empty_table_has_empty_averages():
    for average in (per_sample, per_patient, summary):
        assert average(to_table([])).empty
