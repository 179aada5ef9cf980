"""Marks and findings: models that know nothing, or the truth itself, are told; clean data are silent."""

import numpy as np
import pandas as pd
import pytest
from tests.bm.conftest import make_cohort, make_protocol

import stfmkit as sk
from stfmkit.bm.marks import CEILING, marks_of
from stfmkit.bm.score_findings import findings_of_scores
from stfmkit.bm.task_catalogue import catalogue
from stfmkit.evaluation.metric_keys import MetricKey, rows_of
from stfmkit.evaluation.scores import Score, to_table

KEY = MetricKey("ari", "", "sample")
ABOUT = {"positive": "control:truth", "negatives": ["control:shuffled", "control:mean"], "baselines": ["baseline:b"]}


def table_of(scores, **where):
    """One row for every contender and patient; a name may have one value, or one for every patient."""
    rows = []
    for name, value in scores.items():
        status, label = ("ceiling", "control:truth") if name == "ceiling" else ("scored", name)
        for p, v in enumerate(np.broadcast_to(value, 3).tolist()):
            place = {"task": "domains", "scope": "sample", "patient": f"P{p}", "sample": f"S{p}", **where}
            rows.append(Score(metric="ari", contender=label, value=v, status=status, **place))
    return to_table(rows)


def marks(scores, *, higher=True):
    found = marks_of(table_of(scores), "domains", KEY, about=ABOUT, higher_is_better=higher)
    return {(mark.contender, mark.text): mark for mark in found}


CLEAN = {"m": 0.5, "control:truth": 0.9, "control:shuffled": 0.1, "control:mean": 0.0, "ceiling": 0.6}


class TestMarks:
    def test_what_lies_between_its_controls_has_none(self):
        assert not marks({**CLEAN, "baseline:b": 0.3})

    def test_every_fault(self):
        assert set(marks({**CLEAN, "m": 0.05})) == {("m", "not above control:shuffled")}
        assert set(marks({**CLEAN, "m": 0.0})) == {
            ("m", "not above control:shuffled"),
            ("m", "not above control:mean"),
        }
        assert set(marks({**CLEAN, "m": 0.95})) == {("m", "above control:truth"), ("m", f"above {CEILING}")}
        assert set(marks({**CLEAN, "baseline:b": 0.5})) == {("m", "not above baseline:b")}
        assert set(marks({**CLEAN, "baseline:b": 0.05})) == {("baseline:b", "not above control:shuffled")}

    def test_lower_may_be_better(self):
        turned = {name: 1 - value for name, value in CLEAN.items()}
        assert not marks(turned, higher=False)
        found = marks({**turned, "m": 0.95}, higher=False)["m", "not above control:shuffled"]
        assert (found.mean, found.limit, found.n_above) == (pytest.approx(0.95), pytest.approx(0.9), 0)

    def test_patients_are_counted_over_those_that_both_have(self):
        scores = {**CLEAN, "m": [0.2, 0.0, np.nan], "control:shuffled": [0.1, 0.3, 9.0]}
        found = marks(scores)["m", "not above control:shuffled"]
        assert (found.n_above, found.n_patients) == (1, 2)
        assert found.mean == pytest.approx(0.1)

    def test_a_control_is_not_held_against_itself(self):
        scores = {"coordinates": 0.4, "control:coordinates": 0.4, "control:truth": 0.9}
        about = {"positive": "control:truth", "negatives": ["control:coordinates"]}
        assert not marks_of(table_of(scores), "domains", KEY, about=about, higher_is_better=True)

    def test_descriptions_have_none(self):
        assert not marks({**CLEAN, "m": 0.95}, higher=None)


@pytest.fixture(scope="module")
def judged():
    """A cohort with contenders that leak, that know nothing, and an honest one."""
    cohort = make_cohort(per_patient=90)
    rng = np.random.default_rng(0)
    wrong = rng.random(cohort.n_obs) < 0.2  # labels that expression does not explain
    labels = np.where(wrong, 1, 0) ^ cohort.obs["niche"].cat.codes.to_numpy()
    cohort.obs["niche"] = cohort.obs["niche"].cat.categories.to_numpy()[labels]
    cohort.obs["niche"] = cohort.obs["niche"].astype("category")
    cohort.obsm["leak"] = np.eye(2)[labels] + rng.normal(0, 0.01, (cohort.n_obs, 2))
    cohort.obsm["noise"] = rng.normal(size=(cohort.n_obs, 4))
    contenders = ["hvg_pca", "obsm:leak", "obsm:noise"]
    protocol = make_protocol(n_target_genes=20)
    return sk.bm.run(cohort, contenders, protocol=protocol, allow=["labels in the embedding"], show_progress=False)


def by_check(results):
    return {finding.check: finding for finding in results.findings}


def test_an_embedding_that_holds_the_labels_is_a_leak_alarm(judged):
    finding = by_check(judged)["above the positive control on niche_probe"]
    assert finding.severity == "error"
    assert "leak (" in finding.evidence
    assert "hvg_pca" not in finding.evidence
    ranks = judged.rank("niche_probe").set_index("contender")["mark"]
    assert ranks["obsm:leak"] == "above control:truth"
    assert ranks["hvg_pca"] == ""


def test_a_model_that_knows_nothing_is_told(judged):
    found, told = by_check(judged), 0
    for task in ("niche_probe", "expression", "coexpression", "domains", "niche_signatures"):
        marked = judged.rank(task).set_index("contender")["mark"]
        if "not above control" in marked["obsm:noise"]:
            told += 1
            finding = found[f"below controls on {task}"]
            assert finding.severity == "warning"
            assert "noise (" in finding.evidence
            assert "obsm:noise" in finding.contenders
            assert {row[-1] for row in finding.rows} == {4}
    assert told >= 2
    assert judged.rank("expression").set_index("contender").loc["hvg_pca", "mark"] == ""


def test_below_the_majority_class(judged):
    """A label probe that is worse than the most frequent label is told, whatever it is better than."""
    table = judged.table.copy()
    task = catalogue.find("niche_probe")
    rows = rows_of(table, task.name, task.primary)
    level = rows.loc[rows["contender"] == "control:mean", "value"].mean()
    table.loc[rows.index[rows["contender"] == "hvg_pca"], "value"] = level - 0.01
    found = {f.check: f for f in findings_of_scores(table, [task], judged.meta["metrics"], [], holds_out="block")}
    assert "hvg_pca" in found["below controls on niche_probe"].evidence
    assert "not above control:mean" in found["below controls on niche_probe"].evidence


def test_every_task_has_the_mean_or_the_majority_among_its_negatives():
    assert all("mean" in task.negatives for task in catalogue.entries().values())


def test_a_spot_free_generator_is_held_against_the_same(judged):
    """Draws with the covariance of training are a negative control, and training co-expression is ranked."""
    assert judged.meta["contenders"]["baseline:train_coexpression"]["role"] == "baseline"
    ranks = judged.rank("coexpression").set_index("contender")["mean"]
    controls = rows_of(judged.table, "coexpression", catalogue.find("coexpression").primary)
    means = controls.groupby("contender")["value"].mean()
    assert means["control:train_covariance"] <= ranks["baseline:train_coexpression"] + 0.05
    assert means["control:rehalved"] > ranks.max()
    assert "baseline:train_coexpression" in judged.contenders


def test_coordinates_are_no_alarm_where_nothing_is_trained(judged):
    table = judged.table.copy()
    for name, severity in {"domains": "info", "niche_probe": "error"}.items():
        task = catalogue.find(name)
        rows = rows_of(table, name, task.primary)
        table.loc[rows.index[rows["contender"] == "control:coordinates"], "value"] = 2.0
        contender = [c for c in _readers() if c.label == "hvg_pca"]
        told = findings_of_scores(table, [task], judged.meta["metrics"], contender, holds_out="block")
        found = {f.check: f for f in told}
        assert found[f"coordinates alarm on {name}"].severity == severity


def _readers():
    from stfmkit.bm.contenders import GivenContender

    facts = {"kind": "embedding", "role": "model", "origin": "array", "exposure": ""}
    return [GivenContender(label="hvg_pca", values=np.zeros((1, 1)), **facts)]


def made_scores(own, ceiling, *, status="scored"):
    rows = [("a", f"P{i}", value, status) for i, value in enumerate(own)]
    rows += [("control:thinned", f"P{i}", value, "ceiling") for i, value in enumerate(ceiling)]
    table = pd.DataFrame(rows, columns=["contender", "patient", "value", "status"])
    text = {"task": "t", "metric": "m", "setting": "", "scope": "sample", "gene": "", "niche": "", "fold": 0}
    return table.assign(sample=table["patient"], **text)


@pytest.mark.parametrize(("above", "marked"), [([0.3, -0.2, 0.1, 0.02], False), ([0.1, 0.12, 0.09, 0.11], True)])
def test_a_ceiling_is_passed_by_more_than_chance(above, marked):
    ceiling = np.array([0.5, 0.6, 0.7, 0.8])
    key = MetricKey("m", "", "sample")
    found = marks_of(made_scores(ceiling + above, ceiling), "t", key, about={}, higher_is_better=True)
    assert [mark.text for mark in found] == (["above its ceiling"] if marked else [])


def test_a_share_above_one_is_above_the_ceiling():
    key = MetricKey("m", "", "sample", "of ceiling")
    for share, marks in ((1.5, ["above its ceiling"]), (0.9, [])):
        own = share + np.array([0.0, 0.01, 0.02, -0.01])
        table = made_scores(own, [], status="of ceiling")
        assert [m.text for m in marks_of(table, "t", key, about={}, higher_is_better=True)] == marks


def test_the_report_shows_marks_with_a_sign(judged, tmp_path):
    judged.report(tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert "obsm:leak ⚠" in page
    assert "above control:truth" in page
    assert "no prediction can reach it" in page
