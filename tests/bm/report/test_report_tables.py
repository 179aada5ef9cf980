from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from stfmkit.bm._results import Results
from stfmkit.bm.report.appendix import calibration_grid, cards_grid, metrics_legend, seconds_grid
from stfmkit.bm.report.narrative import compare_references
from stfmkit.bm.report.task_tables import (
    gene_grid,
    limits_text,
    mean_rank_grid,
    metrics_grids,
    niche_grids,
    ranking_grid,
    reference_grid,
)
from stfmkit.bm.report.view_models import task_views
from stfmkit.bm.score_findings import written
from stfmkit.bm.tasks.niche_signatures import TASK as NICHE_SIGNATURES
from stfmkit.bm.tasks.niche_signatures import cohort_text
from stfmkit.evaluation.metric_keys import keys_of


def _only(results, task):
    (facts,) = [f for f in task_views(results, results.rank()) if f.name == task]
    return facts


@pytest.fixture(scope="module")
def plain(example_results):
    return example_results(tasks=("niche_probe", "expression"), observations=False)


def test_ranking_keeps_the_numbers(plain):
    facts = _only(plain, "niche_probe")
    grid = ranking_grid(plain.table, facts)
    ranks = plain.rank(task="niche_probe")
    assert [row[0].text for row in grid.rows][:7] == ranks["contender"].tolist()
    assert [row[1].value for row in grid.rows][:7] == pytest.approx(ranks["mean"].tolist())
    assert {row[0].kind for row in grid.rows[7:]} == {"control"}
    assert [row[-1].text for row in grid.rows][:2] == ["best", "worse than the leader"]
    assert [row[6].text for row in grid.rows][:3] == ["1", "2", "3"]
    assert [row[6].text for row in grid.rows][7:] == ["–"] * 5
    assert grid.notes[0] == "6 patients with a score of every contender."
    assert grid.notes[1].startswith("Corrected for having been chosen as the highest, the mean of the leader is 0.")
    assert not any("strong" in cell.kind for row in grid.rows for cell in row)  # bold is for the best of a table


def test_patients_that_are_left_out_are_counted(plain):
    table = plain.table.copy()
    lost = (table["contender"] == "random") & (table["patient"] == "P2")
    table.loc[lost, "value"] = np.nan
    results = Results(**{**vars(plain), "table": table})
    grid = ranking_grid(table, _only(results, "niche_probe"))
    assert grid.notes[0].startswith("5 patients with a score of every contender; 1 left out.")
    assert {row[6].text for row in grid.rows} == {"–"}  # below six patients no rank is excluded


def test_an_interval_that_disagrees_with_the_test_is_explained(plain):
    table = plain.table.copy()
    gap = table["patient"].map({"P1": 0.01, "P2": 0.02, "P3": 0.5, "P4": 0.01, "P5": 0.3, "P6": 0.02}).to_numpy()
    twin = table[table["contender"] == "hvg_pca"].assign(contender="twin")
    twin["value"] -= gap[(table["contender"] == "hvg_pca").to_numpy()]
    table = pd.concat([table[table["contender"].isin(["hvg_pca"])], twin])
    results = Results(**{**vars(plain), "table": table})
    ranks = results.rank("niche_probe").set_index("contender")
    assert ranks.loc["twin", "p_value"] == 2 / 64
    assert ranks.loc["twin", "difference_high"] > 0
    facts = _only(results, "niche_probe")
    assert "The verdict is that of the test." in ranking_grid(table, facts).notes[2]
    results.meta["references"] = {"coordinates": "hvg_pca"}
    assert "The verdict is that of the test." in reference_grid(compare_references(results, facts), facts).notes[0]
    del results.meta["references"]


def test_mean_ranks_over_tasks(example_results):
    results = example_results(n_patients=7, observations=False)
    ranks = results.rank_over_tasks()
    grid = mean_rank_grid(ranks)
    assert [row[0].text for row in grid.rows] == ranks["contender"].tolist()
    assert [row[1].value for row in grid.rows] == pytest.approx(ranks["mean_rank"].tolist())
    assert grid.rows[0][-1].text == "best"


def test_metrics_and_niches(plain):
    facts = _only(plain, "niche_probe")
    (grid,) = metrics_grids(plain.table, facts)
    assert [c.text for c in grid.columns][1] == "macro f1 linear\N{NO-BREAK SPACE}↑"
    assert not [c for c in grid.columns if "class" in c.text]
    (niches,) = niche_grids(plain.table, facts)
    assert [c.text for c in niches.columns][1:] == sorted(n for n in plain.table["niche"].unique() if n)
    part = plain.table[(plain.table["metric"] == "class_f1") & (plain.table["niche"] == "immune")]
    part = part[part["contender"] == "hvg_pca"].groupby(["patient", "sample"])["value"].mean().groupby("patient").mean()
    row = next(r for r in niches.rows if r[0].text == "hvg_pca")
    place = [c.text for c in niches.columns].index("immune")
    assert row[place].value == pytest.approx(part.mean())
    assert row[place].shade.startswith("#")


def test_genes_are_the_best_and_the_worst(plain):
    grid = gene_grid(plain.table, _only(plain, "expression"))
    values = [row[1].value for row in grid.rows]
    assert len(values) == 20
    assert values == sorted(values, reverse=True)
    assert grid.columns[-1].text == "Upper bound"
    assert "30 genes were scored" in grid.notes[0]
    assert "undefined" in grid.notes[1]


def test_uninformative_metrics_are_called_so(example_results):
    results = example_results(tasks=("expression",), skills={"control:shuffled": 0.9}, observations=False)
    facts = task_views(results, results.rank())
    grid = calibration_grid(results.calibration(), facts)
    assert {row[2].text for row in grid.rows} == {"no: thinned is not ahead of shuffled"}
    assert {row[5].text for row in grid.rows} == {"shuffled"}
    assert {row[1].text.split("\N{NO-BREAK SPACE}")[0] for row in grid.rows} == {
        facts["title"]
        for facts in results.meta["metrics"]
        if facts["higher_is_better"] is not None and facts["status"] == "scored" and facts["scope"] != "cohort"
    }
    first = metrics_grids(results.table, facts[0])[0]
    assert all("†" in column.text for column in first.columns[1:] if "of ceiling" not in column.text)
    assert any(note.startswith("† tells nothing") for note in first.notes)


def test_seconds_count_a_unit_once(example_results):
    results = example_results(tasks=("niche_probe",), n_patients=2, observations=False)
    table = results.table.assign(seconds=np.where(results.table["fold"] == 0, 10.0, 5.0))
    grid = seconds_grid(table, task_views(results, results.rank()))
    assert {row[1].text for row in grid.rows} == {"15 s"}


def test_limits_are_the_controls_and_the_noise(plain):
    said = limits_text(plain.table, _only(plain, "expression"))
    assert said.startswith("positive control thinned 0.8")
    assert "best negative control coordinates 0.3" in said
    assert "upper bound for the noise of counting 0.7" in said
    table = plain.table[~plain.table["contender"].str.startswith("control:")]
    assert limits_text(table, _only(plain, "niche_probe")) == "not known"


def test_signatures_have_one_table_for_every_size(results):
    """Sizes, and the whole cohort, apart; ceilings and sizes of true signatures as notes."""
    facts = _only(results, "niche_signatures")
    own, cohort = metrics_grids(results.table, facts)
    assert (own.caption, cohort.caption) == (
        "Signatures of 10 genes, mean over patients",
        "Signatures of 10 genes, all patients together",
    )
    for grid in (own, cohort):
        titles = [c.text.replace("\N{NO-BREAK SPACE}↑", "") for c in grid.columns][1:]
        assert titles[:2] == ["Adjusted Jaccard", "Adjusted Jaccard, of ceiling"]
        assert titles[-1] == "Spearman ρ of fold changes"
        assert not any("@" in t or "Ceiling" in t for t in titles)
        notes = " ".join(grid.notes)
        assert "Upper bound for the noise of counting, mean over the data: Adjusted Jaccard " in notes
        assert "sum of the scores of a sample by the sum of their ceilings" in notes
        assert "mean over the data: 10.0." in notes or "in the true signature" in notes.lower()
    expected = results.table.query("metric == 'jaccard' and scope == 'cohort' and contender == 'hvg_pca'")[
        "value"
    ].mean()
    place = [c.text for c in cohort.columns].index("Jaccard\N{NO-BREAK SPACE}↑")
    assert next(r for r in cohort.rows if r[0].text == "hvg_pca")[place].value == pytest.approx(expected)


def test_descriptions_are_apart_from_what_is_good_or_bad(results):
    first, second = metrics_grids(results.table, _only(results, "expression"))
    assert [c.text for c in second.columns][1:] == ["Bivariate Moran's I", "Moran ratio", "SD ratio"]
    assert [c.text for c in first.columns][1:3] == [
        "Pearson r\N{NO-BREAK SPACE}↑",
        "Pearson r, of ceiling\N{NO-BREAK SPACE}↑",
    ]


def test_genes_without_signal_are_counted(results):
    table = results.table.copy()
    here = (table["task"] == "expression") & (table["status"] == "ceiling") & (table["metric"] == "pearson")
    first = table["gene"] == table[here]["gene"].min()
    table.loc[here, "reason"] = ""
    table.loc[here & first, ["value", "reason"]] = [np.nan, "no signal in training: a reliability below 0.1"]
    grid = metrics_grids(table, _only(results, "expression"))[0]
    said = next(note for note in grid.notes if "signal" in note)
    n_genes = table[here].groupby("fold")["gene"].nunique()
    lost = table[here & first].groupby("fold")["gene"].nunique().reindex(n_genes.index).fillna(0)
    assert f"{int((n_genes - lost).min())}" in said
    assert "have no signal in training" in said


def test_other_sizes_are_shown_where_they_fail(example_results):
    sound = example_results(tasks=("niche_signatures",), observations=False)
    grid = calibration_grid(sound.calibration(), task_views(sound, sound.rank()))
    assert not [row for row in grid.rows if "50" in row[1].text]
    assert "signatures of other sizes, all informative, are left out" in grid.notes[-1]
    table = sound.table.copy()
    at = (table["setting"] == "n=50") & (table["contender"] == "control:shuffled")
    table.loc[at, "value"] = 0.99
    at = (table["metric"] == "rbo") & (table["contender"] == "control:thinned")
    table.loc[at, "value"] = np.nan
    failed = replace(sound, table=table)
    rows = {
        row[1].text.split("\N{NO-BREAK SPACE}")[0]: row[2].text
        for row in calibration_grid(failed.calibration(), task_views(failed, failed.rank())).rows
    }
    assert rows["jaccard 50"] == "no: thinned is not ahead of shuffled"
    assert rows["rbo"] == "no: a control has no score"


def test_the_page_says_what_the_cohort_rests_on(results):
    facts = results.meta["tasks"]["niche_signatures"]["pooled"]
    (said,) = NICHE_SIGNATURES.section(results).text
    n_genes = len(facts["genes"])
    assert f"They read the {n_genes} genes that are targets in every fold" in said
    assert "In all of 2 niches a gene also has to pass a paired test over patients" in said
    assert "No niche is in enough patients for a test" in cohort_text(facts | {"n_niches_tested": 0})
    assert "1 niche" in cohort_text(facts | {"n_niches_tested": 1, "n_niches": 1})


def test_metrics_of_one_family_share_a_line(results):
    grid = metrics_legend(task_views(results, results.rank()))
    names = [row[2].text for row in grid.rows]
    assert len(names) == len(set(names))
    for task in results.meta["tasks"]:
        for key in keys_of(results.table[results.table["task"] == task]):
            assert written(key) in " ".join(names)


def test_cards_say_where_commercial_use_is_not_known():
    cards = {"one": {"licence": "MIT", "commercial": True, "dimension": 2}, "two": {"licence": "MIT (code)"}}
    grid = cards_grid(cards)
    assert [column.text for column in grid.columns] == ["Contender", "Dimension", "Licence", "Commercial use"]
    assert [cell.text for cell in grid.rows[0][1:]] == ["2", "MIT", "yes"]
    assert [cell.text for cell in grid.rows[1][1:]] == ["depends", "MIT (code)", "not known"]
