import re
from html import unescape

import numpy as np
import pandas as pd

from stfmkit.bm._results import Results
from stfmkit.bm.report.narrative import compare_references, over_tasks_verdict, reference_answer, task_verdict
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
    assert said.startswith("hvg_pca is the best (macro f1 linear: mean 0.5")
    assert "all others were shown to be worse." in said
    assert "Shown to be worse than the leader: coordinates (−0." in said
    assert re.search(
        r"Corrected for having been chosen as the highest, the mean of the leader is 0\.5\d\d, the same, and may "
        r"still be too high \(the correction is right on average over many comparisons, not in each\)\.$",
        said,
    )


def _with_twin(results, change) -> Results:
    """The results with a contender that is hvg_pca, changed, in the place of random."""
    table = results.table.copy()
    twin = table[table["contender"] == "hvg_pca"].assign(contender="twin")
    twin["value"] += change(twin)
    table = pd.concat([table[table["contender"] != "random"], twin])
    return Results(**{**vars(results), "table": table})


def test_models_that_are_level_are_the_best_set(example_results):
    results = example_results(tasks=("niche_probe",), contenders=("hvg_pca", "random"), observations=False)
    twins = _with_twin(results, lambda twin: np.where(twin["patient"].isin(["P1", "P2", "P3"]), 0.01, -0.012))
    said = _words(task_verdict(_only(twins, "niche_probe")))
    assert said.startswith("hvg_pca has the highest mean (")
    assert "but was not shown to be better than all." in said
    assert "The best set, any of which may be the best: hvg_pca (rank 1 to 2) and twin" in said
    assert re.search(r"twin \(−0\.001; rank 1 to 2; detectable from 0\.02\d\)", said)
    assert re.search(
        r"the mean of the leader is 0\.5\d\d \(right on average over many comparisons, not in each\)",
        said,
    )
    assert "Shown to be worse" not in said


def test_a_low_leader_is_corrected_upwards(example_results):
    results = example_results(tasks=("domains",), contenders=("hvg_pca", "random"), observations=False)
    results.meta["tasks"]["domains"]["primary"] = {"metric": "chaos", "setting": "", "scope": "sample"}
    twins = _with_twin(results, lambda twin: np.where(twin["patient"].isin(["P1", "P2", "P3"]), 0.01, -0.012))
    facts = _only(twins, "domains")
    said = _words(task_verdict(facts))
    assert "has the lowest mean" in said
    assert "Corrected for having been chosen as the lowest, the mean of the leader is 0." in said
    assert facts.ranks["mean_corrected"].iloc[0] > facts.ranks["mean"].iloc[0]


def test_six_patients_decide_between_seven(example_results):
    results = example_results(tasks=("niche_probe",), observations=False)
    said = _words(task_verdict(_only(results, "niche_probe")))
    assert said.startswith("neighbor_pca is the best (")
    assert re.search(r"hvg_pca \(−0\.\d+; rank 2\), ", said)
    assert "ahead" not in said


def test_patients_that_are_left_out_are_said(example_results):
    results = example_results(n_patients=8, tasks=("niche_probe",), observations=False)
    table = results.table.copy()
    table.loc[(table["contender"] == "random") & table["patient"].isin(["P1", "P2"]), "value"] = np.nan
    facts = _only(Results(**{**vars(results), "table": table}), "niche_probe")
    assert "2 patients lack a score of some contender and are left out." in _words(task_verdict(facts))


def test_mean_ranks_over_tasks_in_words(example_results):
    results = example_results(observations=False)
    said = _words(over_tasks_verdict(results.rank_over_tasks(), task_views(results, results.rank())))
    assert said.startswith("Ranks by the primary metrics of 5 tasks (Niche probe, Domains, Expression prediction, ")
    assert "Left out" not in said
    assert "averaged within each of 6 patients. Contenders differ (p < 0.001 in the permutation test" in said
    assert "neighbor_pca has the best mean rank (1.0" in said


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
    assert re.match(r"Not shown: hvg_pca \+0\.\d+ in 2 of 6 patients, p = 0\.\d+ \(detectable from 0\.", _words([said]))
    assert [c.verdict for c in found] == ["not shown"]


def test_who_lacks_a_task_is_named(example_results):
    results = example_results(tasks=("niche_probe", "domains", "coexpression"), observations=False)
    table = results.table
    lacks = (table["contender"] == "random") & table["task"].isin(["niche_probe", "domains"])
    own = table[(table["contender"] == "hvg_pca") & (table["task"] == "coexpression")]
    table = pd.concat([table[~lacks], own.assign(contender="baseline:train_coexpression")])
    results = Results(**{**vars(results), "table": table})
    said = _words(over_tasks_verdict(results.rank_over_tasks(), task_views(results, results.rank())))
    assert said.endswith(
        "Left out: random, which takes no part in Niche probe and Domains; "
        "baseline:train_coexpression, made for one task."
    )
