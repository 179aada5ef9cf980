"""Which rows are meant by a metric, and one value for every contender and patient."""

import numpy as np
import pandas as pd
import pytest

from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit.evaluation.metric_keys import MetricKey, facts_of, find_key, keys_of, patient_values, rows_of
from stfmkit.evaluation.scores import SCHEMA

PRIMARY = MetricKey("f1", "probe=linear", "sample")


def table(*rows):
    names = ["metric", "setting", "scope", "status", "contender", "patient", "sample", "gene", "fold", "value"]
    frame = pd.DataFrame(rows, columns=names).assign(task="t", niche="", reason="")
    return frame[list(SCHEMA)]


SCORES = table(
    ("f1", "probe=linear", "sample", "scored", "a", "P1", "S1", "", 0, 0.2),
    ("f1", "probe=knn", "sample", "scored", "a", "P1", "S1", "", 0, 0.3),
    ("f1", "", "sample", "scored", "given", "P1", "S1", "", 0, 0.9),
    ("r", "", "gene", "scored", "a", "P1", "S1", "G1", 0, 0.0),
    ("r", "", "gene", "scored", "a", "P1", "S1", "G2", 0, 1.0),
    ("r", "", "gene", "undefined", "a", "P1", "S1", "G3", 0, np.nan),
    ("r", "", "gene", "scored", "a", "P1", "S1", "G1", 1, 0.9),
    ("r", "", "gene", "scored", "a", "P1", "S2", "G1", 0, 0.1),
    ("r", "", "gene", "scored", "a", "P2", "S3", "G1", 0, 0.4),
    ("r", "", "gene", "ceiling", "control:thinned", "P1", "S1", "G1", 0, 0.8),
    ("jaccard", "n=10", "niche", "scored", "a", "P1", "S1", "", 0, 0.5),
    ("jaccard", "n=20", "niche", "scored", "a", "P1", "S1", "", 0, 0.6),
    ("jaccard", "n=10", "cohort", "scored", "a", "", "", "", -1, 0.7),
)


def test_keys_are_listed_once_and_what_was_given_joins_the_probes():
    assert keys_of(SCORES) == [
        MetricKey("f1", "probe=linear", "sample"),
        MetricKey("f1", "probe=knn", "sample"),
        MetricKey("r", "", "gene"),
        MetricKey("r", "", "gene", "ceiling"),
        MetricKey("jaccard", "n=10", "niche"),
        MetricKey("jaccard", "n=20", "niche"),
        MetricKey("jaccard", "n=10", "cohort"),
    ]
    assert keys_of(SCORES[SCORES["contender"] == "given"]) == [MetricKey("f1", "", "sample")]


def test_rows_of_one_metric():
    rows = rows_of(SCORES, "t", PRIMARY)
    assert rows["contender"].tolist() == ["a", "given"]
    assert set(rows["setting"]) == {"probe=linear"}
    assert len(rows_of(SCORES, "t", MetricKey("r", "", "gene"))) == 6  # the undefined one among them
    assert len(rows_of(SCORES, "t", MetricKey("r", "", "gene", "ceiling"))) == 1
    assert rows_of(SCORES, "other", PRIMARY).empty


def test_patients_weigh_samples_not_genes_or_folds():
    values = patient_values(SCORES, "t", MetricKey("r", "", "gene"))
    # S1 = mean(mean(0, 1), 0.9) = 0.7; S2 = 0.1
    assert values.loc["a", "P1"] == pytest.approx(0.4)
    assert values.loc["a", "P2"] == pytest.approx(0.4)
    both = patient_values(SCORES, "t", PRIMARY)
    assert both["P1"].to_dict() == {"a": 0.2, "given": 0.9}


def test_what_is_left_out_is_that_of_the_primary_metric():
    assert find_key(SCORES, "t", MetricKey("f1"), PRIMARY) == PRIMARY
    assert find_key(SCORES, "t", MetricKey("f1", "probe=knn"), PRIMARY).setting == "probe=knn"
    assert find_key(SCORES, "t", MetricKey("jaccard", "n=10"), PRIMARY).scope == "niche"  # the cohort is asked for
    assert find_key(SCORES, "t", MetricKey("jaccard", "n=10", "cohort"), PRIMARY).scope == "cohort"
    with pytest.raises(InputError, match=r"'jaccard' of task 't' without a setting(?s:.)*'n=10', 'n=20'"):
        find_key(SCORES, "t", MetricKey("jaccard"), PRIMARY)
    with pytest.raises(MissingKeyError, match="Did you mean 'jaccard'"):
        find_key(SCORES, "t", MetricKey("jacard"), PRIMARY)
    with pytest.raises(MissingKeyError, match="setting of 'f1'"):
        find_key(SCORES, "t", MetricKey("f1", "probe=tree"), PRIMARY)


def test_facts_are_those_of_the_whole_key():
    facts = [{**PRIMARY._asdict(), "title": "F1"}]
    assert facts_of(facts, PRIMARY)["title"] == "F1"
    assert not facts_of(facts, PRIMARY._replace(scope="cohort"))
