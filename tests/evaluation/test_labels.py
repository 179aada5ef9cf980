"""Predicted labels against scikit-learn, sample by sample."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from stfmkit.evaluation.labels import score_labels


@pytest.fixture
def labels(rng):
    truth = rng.choice(["rim", "core", "gap"], size=90)
    predicted = np.where(rng.random(90) < 0.6, truth, rng.permutation(truth))
    return truth, predicted, np.repeat(["A1", "A2", "B1"], 30), np.repeat(["A", "B"], [60, 30])


def test_scores_are_those_of_sklearn_within_samples(labels):
    truth, predicted, samples, patients = labels
    table = score_labels(truth, predicted, samples=samples, patients=patients, setting="probe=knn")
    assert (table["setting"] == "probe=knn").all()
    for sample in ("A1", "B1"):
        rows = samples == sample
        here = table[table["sample"] == sample].set_index(["metric", "niche"])
        present = np.unique(truth[rows])
        f1 = f1_score(truth[rows], predicted[rows], labels=present, average=None, zero_division=0)
        assert here.loc[("macro_f1", ""), "value"] == pytest.approx(f1.mean())
        assert [here.loc[("class_f1", name), "value"] for name in present] == pytest.approx(f1)
        assert here.loc[("balanced_accuracy", ""), "value"] == pytest.approx(
            balanced_accuracy_score(truth[rows], predicted[rows])
        )
        assert here.loc[("class_f1", "rim"), "scope"] == "niche"
        assert here.loc[("macro_f1", ""), ["scope", "patient"]].tolist() == ["sample", sample[0]]


def test_a_row_names_its_fold_where_it_is_one(labels):
    truth, predicted, samples, patients = labels
    folds = np.where(samples == "A1", np.arange(90) % 2, 3)
    table = score_labels(truth, predicted, samples=samples, patients=patients, folds=folds)
    assert table.groupby("sample")["fold"].unique().map(list).to_dict() == {"A1": [-1], "A2": [3], "B1": [3]}


def test_a_label_that_is_never_predicted_scores_nothing():
    one = np.array(["S"] * 4)
    table = score_labels(np.array(["a", "a", "b", "b"]), np.array(["a"] * 4), samples=one, patients=one)
    assert table.query("metric == 'class_f1'").set_index("niche")["value"].to_dict() == {"a": 2 / 3, "b": 0.0}
