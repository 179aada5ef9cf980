"""A contender that the run itself marks is never crowned: the sign and a sentence stand wherever its rank does."""

import re
from dataclasses import replace
from html import unescape

import pandas as pd
import pytest

from stfmkit.bm.finding import Finding
from stfmkit.bm.marks import SIGN
from stfmkit.bm.report.appendix import calibration_grid, frame_grid, overview_grid
from stfmkit.bm.report.narrative import over_tasks_verdict, task_verdict
from stfmkit.bm.report.render import render_report
from stfmkit.bm.report.task_tables import mean_rank_grid, metrics_grids, ranking_grid
from stfmkit.bm.report.view_models import task_views

THIEF = "neighbor_pca"


def _words(parts):
    return unescape(re.sub(r"<[^>]+>", "", " ".join(map(str, parts))))


def _views(results):
    return task_views(results, results.rank())


@pytest.fixture(scope="module")
def leaky(example_results):
    """Results whose best contender is above what knows the truth, on two tasks of three."""
    results = example_results(tasks=("expression", "niche_probe", "domains"), observations=False)
    table = results.table.copy()
    stolen = (table["contender"] == THIEF) & table["task"].isin(["expression", "niche_probe"])
    up = table["metric"].isin(["pearson", "macro_f1"])
    table.loc[stolen & up, "value"] += 0.9
    return replace(results, table=table)


def test_a_leak_is_not_called_the_best(leaky):
    expression, probe, domains = _views(leaky)
    said = _words(task_verdict(expression))
    assert said.startswith(f"{THIEF} {SIGN} has the highest mean (")
    assert "is the best" not in said
    first = task_verdict(expression)[1]
    assert _words([first]) == (
        f"{SIGN} {THIEF} is above control:thinned, which knows the truth (it holds half of the molecules that it is "
        "judged by; no prediction can reach it): read the findings before its rank."
    )
    assert f"{SIGN} {THIEF} is above its ceiling (upper bound for the noise of counting)" in said
    assert f"{SIGN} {THIEF} is above control:truth" in _words(task_verdict(probe))
    assert _words(task_verdict(domains)).startswith(f"{THIEF} is the best (")


def test_its_verdict_is_not_green(leaky):
    for facts in _views(leaky)[:2]:
        grid = ranking_grid(leaky.table, facts)
        assert grid.rows[0][0].text == f"{THIEF} {SIGN}"
        assert (grid.rows[0][-1].text, grid.rows[0][-1].kind) == ("best", "verdict open")
        assert any("read the findings before its rank" in note for note in grid.notes)
    (clean,) = _views(leaky)[2:]
    assert ranking_grid(leaky.table, clean).rows[0][-1].kind == "verdict good"


def test_over_all_tasks_and_at_a_glance(leaky):
    views, ranks = _views(leaky), leaky.rank_over_tasks()
    sentence = (
        f"{SIGN} {THIEF} is above control:thinned on Expression prediction: read the findings before its rank. "
        f"{SIGN} {THIEF} is above its ceiling on Expression prediction"
    )
    said = _words(over_tasks_verdict(ranks, views))
    assert sentence in said
    assert f"{THIEF} {SIGN} has the best mean rank" in said
    row = mean_rank_grid(ranks, {THIEF}).rows[0]
    assert (row[0].text, row[-1].kind) == (f"{THIEF} {SIGN}", "verdict open")
    grid = overview_grid(leaky.table, views)
    assert sentence in _words(grid.notes)
    (mine,) = (row for row in grid.rows if row[0].text == THIEF)
    assert [cell.text.endswith(SIGN) for cell in mine[1:]] == [True, True, False]
    page = _words([render_report(leaky)])
    assert page.count(sentence.partition(".")[0]) == 2
    assert [column.text.split()[0] for column in grid.columns] == ["Contender", "Expression", "Niche", "Domains"]
    assert "Primary metrics: Expression prediction, pearson;" in _words(grid.notes)


def test_those_who_are_not_above_a_control_are_said_where_they_lead(example_results):
    results = example_results(tasks=("niche_probe",), skills={"control:coordinates": 0.4}, observations=False)
    (facts,) = _views(results)
    said = _words(task_verdict(facts))
    assert said.startswith(f"{THIEF} {SIGN} has the highest mean (")
    assert f"{SIGN} The mean of {THIEF} is not above that of control:coordinates." in said
    (note,) = (note for note in (_words([n]) for n in ranking_grid(results.table, facts).notes) if "means of" in note)
    assert note.startswith(f"{SIGN} The means of {THIEF}, hvg_pca, ")
    assert not facts.suspect


def test_allowed_errors_stand_in_the_box(example_results):
    results = example_results(tasks=("niche_probe", "domains"), observations=False)
    error = Finding(severity="error", check="labels in an embedding", evidence="labels.", remedy="")
    results = replace(
        results,
        findings=[replace(error, allowed=True, contenders=(THIEF,))],
        meta=results.meta | {"allowed": [error.check]},
    )
    views = _views(results)
    for said in (task_verdict(views[0]), over_tasks_verdict(results.rank_over_tasks(), views)):
        words = _words(said)
        assert f"{SIGN} In spite of errors of the audit, which were allowed: labels in an embedding." in words
        assert (
            f"{SIGN} An error of the audit about {THIEF} was allowed (labels in an embedding): read the findings "
            "before its rank."
        ) in words
        assert f"{THIEF} {SIGN} has the " in words
    assert ranking_grid(results.table, views[0]).rows[0][-1].kind == "verdict open"


def test_counts_of_patients_are_whole_numbers(example_results):
    results = example_results(tasks=("niche_probe",), observations=False)
    grid = calibration_grid(results.calibration(), _views(results))
    place = [column.text for column in grid.columns].index("Patients needed")
    assert all(re.fullmatch(r"[\d,]+|> 1,000|–", row[place].text) for row in grid.rows)
    assert any(row[place].text == "6" for row in grid.rows)


def test_rows_that_are_only_numbered_have_no_numbers():
    grid = frame_grid(pd.DataFrame({"Sample": ["a", "b"], "Genes": [2, 3]}), caption="x")
    assert [column.text for column in grid.columns] == ["Sample", "Genes"]
    assert [[cell.text for cell in row] for row in grid.rows] == [["a", "2"], ["b", "3"]]


def test_genes_without_a_latent_correlation_are_sorted(results):
    from stfmkit.bm.tasks.coexpression import TASK

    folds = {"0": {"without_latent_correlation": {"P2_S1": ["B", "C"], "P3": []}}}
    folds["1"] = {"without_latent_correlation": {"P1_S1": ["A"]}}
    (frame,) = TASK.section(replace(results, meta=results.meta | {"folds": folds})).tables.values()
    assert frame.reset_index().to_dict("list") == {
        "Sample": ["P1_S1", "P2_S1"],
        "Genes left out": [1, 2],
        "Their names": ["A", "B, C"],
    }


def test_sizes_of_signatures_have_a_word(results):
    (facts,) = (facts for facts in _views(results) if facts.name == "niche_signatures")
    assert any(
        note.startswith("@10 is the most that a signature may hold.")
        for note in metrics_grids(results.table, facts)[0].notes
    )
