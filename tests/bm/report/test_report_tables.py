import numpy as np
import pytest

from stfmkit.bm._reporting._appendix import controls_grid, seconds_grid
from stfmkit.bm._reporting._facts import task_facts
from stfmkit.bm._reporting._tables import gene_grid, limits_text, metrics_grid, niche_grids, ranking_grid


def _only(results, task):
    (facts,) = [f for f in task_facts(results, results.rank()) if f.name == task]
    return facts


@pytest.fixture(scope="module")
def plain(example_results):
    return example_results(tasks=("niche_probe", "expression"), observations=False)


def test_ranking_keeps_the_numbers(plain):
    facts = _only(plain, "niche_probe")
    grid = ranking_grid(plain.table, facts)
    ranks = plain.rank(task="niche_probe")
    assert [row[0].text for row in grid.rows][:7] == ranks["model"].tolist()
    assert [row[1].value for row in grid.rows][:7] == pytest.approx(ranks["mean"].tolist())
    assert {row[0].kind for row in grid.rows[7:]} == {"control"}
    assert [row[-1].text for row in grid.rows][:2] == ["best", "cannot test: 6 patients, 6 tests"]


def test_metrics_and_niches(plain):
    facts = _only(plain, "niche_probe")
    grid = metrics_grid(plain.table, facts)
    assert [c.text for c in grid.columns][1] == "macro f1 linear\N{NO-BREAK SPACE}↑"
    assert not [c for c in grid.columns if "class" in c.text]
    (niches,) = niche_grids(plain.table, facts)
    assert [c.text for c in niches.columns][1:] == sorted(n for n in plain.table["niche"].unique() if n)
    part = plain.table[(plain.table["metric"] == "class_f1_linear") & (plain.table["niche"] == "immune")]
    part = part[part["model"] == "hvg_pca"].groupby(["patient", "sample"])["value"].mean().groupby("patient").mean()
    row = next(r for r in niches.rows if r[0].text == "hvg_pca")
    place = [c.text for c in niches.columns].index("immune")
    assert row[place].value == pytest.approx(part.mean())
    assert row[place].shade.startswith("#")


def test_genes_are_the_best_and_the_worst(plain):
    grid = gene_grid(plain.table, _only(plain, "expression"))
    values = [row[1].value for row in grid.rows]
    assert len(values) == 20
    assert values == sorted(values, reverse=True)
    assert grid.columns[-1].text == "Ceiling"
    assert "30 genes were scored" in grid.notes[0]
    assert "undefined" in grid.notes[1]


def test_uninformative_metrics_are_called_so(example_results):
    results = example_results(tasks=("expression",), skills={"control:shuffled": 0.9}, observations=False)
    facts = task_facts(results, results.rank())
    grid = controls_grid(results.table, facts)
    assert {row[-1].text for row in grid.rows} == {"no: uninformative here"}
    assert {row[-2].text for row in grid.rows} == {"shuffled"}
    assert {row[1].text.split("\N{NO-BREAK SPACE}")[0] for row in grid.rows} == {
        facts["title"] for facts in results.meta["metrics"].values() if facts["higher_is_better"] is not None
    }


def test_seconds_count_a_unit_once(example_results):
    results = example_results(tasks=("niche_probe",), n_patients=2, observations=False)
    table = results.table.assign(seconds=np.where(results.table["fold"] == 0, 10.0, 5.0))
    grid = seconds_grid(table, task_facts(results, results.rank()))
    assert {row[1].text for row in grid.rows} == {"15 s"}


def test_limits_are_the_controls_and_the_noise(plain):
    said = limits_text(plain.table, _only(plain, "expression"))
    assert said.startswith("positive control thinned 0.8")
    assert "best negative control coordinates 0.3" in said
    assert "mean noise ceiling of Pearson 0.7" in said
    table = plain.table[~plain.table["model"].str.startswith("control:")]
    assert limits_text(table, _only(plain, "niche_probe")) == "not known"
