import re
from html import unescape

import numpy as np
import pandas as pd

from stfmkit.bm._results import Results
from stfmkit.bm.report.narrative import compare_references, reference_answer, task_verdict
from stfmkit.bm.report.view_models import metric_view, task_views
from stfmkit.evaluation.metric_keys import MetricKey


def _only(results, task):
    (facts,) = [f for f in task_views(results, results.rank()) if f.name == task]
    return facts


def _words(sentences):
    return unescape(re.sub(r"<[^>]+>", "", " ".join(map(str, sentences))))


def test_four_patients_have_intervals_but_no_test(example_results):
    results = example_results(n_patients=4, tasks=("niche_probe",), observations=False)
    said = _words(task_verdict(_only(results, "niche_probe")))
    assert "With 4 patients: cannot test. An exact test needs 6 patients" in said
    assert "95 % interval" in said


def test_six_patients_and_two_models_are_tested(example_results):
    results = example_results(tasks=("niche_probe",), contenders=("hvg_pca", "coordinates"), observations=False)
    said = _words(task_verdict(_only(results, "niche_probe")))
    assert said.startswith("hvg_pca is best (macro f1 linear: mean 0.5")
    assert "indistinguishable" not in said
    assert "Worse than best (Holm-adjusted p < 0.05): coordinates (−0." in said


def test_equal_models_are_indistinguishable(example_results):
    results = example_results(tasks=("niche_probe",), contenders=("hvg_pca", "random"), observations=False)
    table = results.table.copy()
    twin = table[table["contender"] == "hvg_pca"].assign(contender="twin")
    twin["value"] += np.where(twin["patient"].isin(["P1", "P2", "P3"]), 0.01, -0.012)
    table = pd.concat([table[table["contender"] != "random"], twin])
    facts = _only(Results(**{**vars(results), "table": table}), "niche_probe")
    said = _words(task_verdict(facts))
    assert said.startswith("hvg_pca has the best mean (")
    assert said.endswith("twin (−0.001) is indistinguishable from it.")


def test_many_comparisons_on_six_patients_are_called_powerless(example_results):
    results = example_results(tasks=("niche_probe",), observations=False)
    said = _words(task_verdict(_only(results, "niche_probe")))
    assert "neighbor_pca has the best mean" in said
    assert "No test: with 6 patients and 6 comparisons no p can fall below 0.188 after Holm." in said
    assert "paired difference it is ahead of hvg_pca (−0." in said


def test_question_about_position_and_depth(example_results):
    results = example_results(tasks=("niche_probe",), observations=False)
    facts = _only(results, "niche_probe")
    found = compare_references(results, facts)
    word, said = reference_answer(found, facts, results.meta, reference="coordinates")
    assert word == "yes"
    assert re.match(r"Yes: neighbor_pca \+0\.1\d\d in 6 of 6 patients, p = 0\.031 and hvg_pca \+0\.1", _words([said]))
    assert "celltype_composition" not in said  # reads no expression


def test_baselines_that_lose_are_said_to_lose(example_results):
    results = example_results(tasks=("niche_probe",), skills={"coordinates": 0.4, "hvg_pca": 0.0}, observations=False)
    facts = _only(results, "niche_probe")
    found = compare_references(results, facts)
    word, said = reference_answer(found, facts, results.meta, reference="coordinates")
    assert (word, _words([said])[:4]) == ("no", "No: ")
    losers = {c.contender for c in found if c.reference == "coordinates" and c.verdict == "worse"}
    assert {"hvg_pca", "neighbor_pca"} <= losers
    word, _ = reference_answer(found, facts, results.meta, reference="library_size")
    assert word == "some"


def test_lower_is_better_is_turned(example_results):
    results = example_results(tasks=("domains",), observations=False)
    results.meta["tasks"]["domains"]["primary"] = {"metric": "chaos", "setting": "", "scope": "sample"}
    facts = _only(results, "domains")
    assert facts.contenders[0] == "neighbor_pca"
    mine = next(
        c for c in compare_references(results, facts) if (c.contender, c.reference) == ("hvg_pca", "coordinates")
    )
    assert mine.difference > 0
    assert 0 < mine.low <= mine.difference <= mine.high
    assert (mine.wins, mine.verdict) == (6, "beats")


def test_descriptive_metrics_have_no_direction():
    key = MetricKey("p")
    facts = metric_view({"metrics": [{**key._asdict(), "higher_is_better": None, "chance": "1 / classes"}]}, key)
    assert (facts.arrow, facts.direction, facts.chance) == ("", "descriptive", "1 / classes")
    assert metric_view({}, MetricKey("some_score")).title == "some score"


def test_ahead_without_evidence_is_not_shown(example_results):
    results = example_results(tasks=("niche_probe",), contenders=("hvg_pca", "coordinates"), observations=False)
    table = results.table
    ahead = (table["contender"] == "hvg_pca") & table["patient"].isin(["P1", "P2"])
    behind = (table["contender"] == "hvg_pca") & table["patient"].isin(["P3", "P4", "P5", "P6"])
    table.loc[ahead, "value"] += 0.5
    table.loc[behind, "value"] -= 0.2
    facts = _only(results, "niche_probe")
    found = compare_references(results, facts)
    word, said = reference_answer(found, facts, results.meta, reference="coordinates")
    assert word == "open"
    assert _words([said]).startswith("Not shown: hvg_pca +0.")
    assert [c.verdict for c in found] == ["not told apart"]
