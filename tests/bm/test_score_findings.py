"""Metrics that do not order the controls are called uninformative, and those without controls unchecked."""

import numpy as np
import pandas as pd
import pytest
from tests.bm.conftest import make_cohort, make_protocol

import stfmkit as sk
from stfmkit.bm.contenders import GivenContender
from stfmkit.bm.score_findings import findings_of_scores, written
from stfmkit.bm.score_table import TABLE
from stfmkit.bm.task_catalogue import catalogue
from stfmkit.evaluation.metric_keys import MetricKey, facts_of, keys_of, rows_of

TASKS = ["coexpression", "domains", "expression", "niche_probe", "niche_signatures"]


def findings(results, table, task):
    found = findings_of_scores(table, [catalogue.find(task)], results.meta["metrics"], [], holds_out="patient")
    return {f.check.split()[0]: f for f in found if "metrics of" in f.check}


def directed(results, task):
    """Metrics with a direction and a score of the positive control; shares of ceilings are checked by their scores."""
    keys = [key for key in keys_of(results.table[results.table["task"] == task]) if key.status == "scored"]
    positive = f"control:{catalogue.find(task).positive}"
    of = {key: rows_of(results.table, task, key) for key in keys}
    keys = [key for key in keys if of[key].loc[of[key]["contender"] == positive, "value"].notna().any()]
    return [key for key in keys if facts_of(results.meta["metrics"], key)["higher_is_better"] is not None]


def with_value(table, task, key, contenders, value):
    changed = table.copy()
    rows = rows_of(table, task, key)
    changed.loc[rows.index[rows["contender"].isin([f"control:{name}" for name in contenders])], "value"] = value
    return changed


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("control", ["negative", "positive"])
def test_every_metric_is_found_out(results, name, control):
    """Plant a failure in each metric: a negative control at its best, or the positive one at its worst."""
    task = catalogue.find(name)
    for key in directed(results, name):
        best = 1 if facts_of(results.meta["metrics"], key)["higher_is_better"] else -1
        planted = ([task.negatives[-1]], 99 * best) if control == "negative" else ([task.positive], -99 * best)
        found = findings(results, with_value(results.table, name, key, *planted), name)["uninformative"]
        assert f"{written(key)} (" in found.evidence
        assert found.severity == "warning" if key == task.primary else found.severity in {"info", "warning"}


@pytest.mark.parametrize("name", TASKS)
def test_a_metric_without_a_score_of_its_controls_is_unchecked(results, name):
    task = catalogue.find(name)
    for key in directed(results, name):
        for controls in ([task.positive], task.negatives):
            found = findings(results, with_value(results.table, name, key, controls, np.nan), name)["unchecked"]
            assert written(key) in found.evidence
            assert found.severity == ("warning" if key == task.primary else "info")


def test_metrics_are_ordered_on_sound_data(results):
    """Where there is something to find, the controls show it."""
    for task, keys in {
        "expression": [MetricKey("map_ssim", "", "gene"), MetricKey("pearson", "", "gene")],
        "niche_signatures": [MetricKey("adjusted_jaccard", "n=10", "niche"), MetricKey("dice", "n=10", "niche")],
        "coexpression": [MetricKey("ssim_ordered", "window=7", "sample")],
    }.items():
        assert not findings(results, results.table, task).get("unchecked")
        said = " ".join(f.evidence for f in findings(results, results.table, task).values())
        assert not [key for key in keys if f"{written(key)} (" in said or f"{written(key)}," in said]


def test_niches_that_are_none_are_told():
    """Labels permuted within samples mark nothing: no gene passes the test over patients, so nothing is checked."""
    cohort = make_cohort(n_patients=4, per_patient=120)
    rng = np.random.default_rng(0)
    for patient in cohort.obs["patient"].cat.categories:
        rows = np.flatnonzero(cohort.obs["patient"] == patient)
        cohort.obs.iloc[rows, cohort.obs.columns.get_loc("niche")] = rng.permutation(cohort.obs["niche"].iloc[rows])
    protocol = make_protocol(target_genes=[f"G{g}" for g in range(30)])
    results = sk.bm.run(cohort, ["library_size"], protocol=protocol, tasks=["niche_signatures"], show_progress=False)
    sizes = results.table.query("metric == 'signature_size' and setting == 'n=10' and scope == 'cohort'")["value"]
    assert (sizes == 0).all()
    unchecked = [f for f in results.findings if f.check == "unchecked metrics of niche_signatures"]
    assert "adjusted_jaccard [n=10, cohort]" in unchecked[0].evidence


def test_no_cohort_is_told():
    """Without genes that every fold predicts there are no signatures of the cohort."""
    cohort = make_cohort(n_patients=1, per_patient=120)
    protocol = make_protocol(split=sk.pp.SpatialBlockKFold(block=300, buffer=0, n_splits=2))
    results = sk.bm.run(cohort, ["library_size"], protocol=protocol, tasks=["niche_signatures"], show_progress=False)
    assert not results.meta["tasks"]["niche_signatures"]["pooled"]
    assert not (results.table["scope"] == "cohort").any()
    assert [f.severity for f in results.findings if f.check == "no niche signatures of the cohort"] == ["info"]


class TestMadeUpScores:
    """Tables of a few rows, of which the answer is known."""

    METRICS = (
        {**MetricKey("macro_f1", "probe=linear", "sample")._asdict(), "higher_is_better": True},
        {**MetricKey("chaos", "", "sample")._asdict(), "higher_is_better": False},
        {**MetricKey("pearson", "", "gene")._asdict(), "higher_is_better": True},
        {**MetricKey("variance_ratio", "", "gene")._asdict(), "higher_is_better": None},
    )

    def findings(self, task, scores, readers=("hvg_pca",), *, holds_out="block"):
        rows = []
        for (metric, contender), value in scores.items():
            key = next(m for m in self.METRICS if m["metric"] == metric)
            where = {"patient": "P", "sample": "S", "fold": 0, "gene": "", "niche": "", "reason": ""}
            rows.append({"task": task, **key, "contender": contender, "value": value, **where})
        table = pd.DataFrame(rows).reindex(columns=list(TABLE))
        contenders = [
            GivenContender(
                label=name,
                kind="embedding",
                role="baseline",
                origin="array",
                exposure="",
                values=np.zeros((1, 1)),
                reads_expression=name in readers,
            )
            for name in dict.fromkeys(name for _, name in scores)
        ]
        tasks = [catalogue.find(task)]
        return {f.check: f for f in findings_of_scores(table, tasks, self.METRICS, contenders, holds_out=holds_out)}

    def test_metric_that_does_not_order_its_controls(self):
        scores = {("macro_f1", "control:truth"): 0.5, ("macro_f1", "control:coordinates"): 0.6}
        finding = self.findings("niche_probe", scores)["uninformative metrics of niche_probe"]
        assert finding.severity == "warning"
        assert "macro_f1 [probe=linear] (truth is not ahead of coordinates)" in finding.evidence

    def test_a_metric_that_noise_raises_is_told_by_the_calibration(self):
        scores = {("macro_f1", "control:truth"): 0.9, ("macro_f1", "control:coordinates"): 0.1}
        scores |= {("macro_f1", f"control:hvg_pca{done}"): v for done, v in {"": 0.5, " + noise=0.5": 0.7}.items()}
        finding = self.findings("niche_probe", scores)["uninformative metrics of niche_probe"]
        assert "macro_f1 [probe=linear] (noise in a prediction raises it)" in finding.evidence
        scores["macro_f1", "control:hvg_pca + noise=0.5"] = 0.3
        assert not self.findings("niche_probe", scores)

    def test_lower_is_better_is_turned_round(self):
        good = {("chaos", "control:truth"): 0.1, ("chaos", "control:shuffled"): 0.6}
        assert not self.findings("domains", good)
        bad = {("chaos", "control:truth"): 0.6, ("chaos", "control:shuffled"): 0.1}
        assert self.findings("domains", bad)["uninformative metrics of domains"].severity == "info"

    def test_descriptions_are_not_judged(self):
        scores = {("variance_ratio", "control:thinned"): 0.1, ("variance_ratio", "control:mean"): 0.6}
        assert not self.findings("expression", scores)

    @pytest.mark.parametrize(("hvg", "severity"), [(0.2, "error"), (0.9, None)])
    def test_coordinates_alarm(self, hvg, severity):
        scores = {
            ("macro_f1", "control:coordinates"): 0.4,
            ("macro_f1", "hvg_pca"): hvg,
            ("macro_f1", "random"): 0.1,
        }
        finding = self.findings("niche_probe", scores).get("coordinates alarm on niche_probe")
        assert (finding and finding.severity) == severity

    def test_alarm_is_a_warning_if_some_contenders_are_above(self):
        scores = {
            ("macro_f1", "control:coordinates"): 0.4,
            ("macro_f1", "hvg_pca"): 0.3,
            ("macro_f1", "neighbor_pca"): 0.8,
        }
        finding = self.findings("niche_probe", scores, readers=["hvg_pca", "neighbor_pca"])
        assert finding["coordinates alarm on niche_probe"].severity == "warning"
        assert "hvg_pca" in finding["coordinates alarm on niche_probe"].evidence

    def test_marks_stand_together_and_have_their_numbers_as_rows(self):
        scores = {("macro_f1", "control:truth"): 0.9, ("macro_f1", "control:mean"): 0.3}
        scores |= {("macro_f1", "a"): 0.1, ("macro_f1", "b"): 0.2}
        finding = self.findings("niche_probe", scores, readers=["a", "b"])["below controls on niche_probe"]
        said = "macro_f1 [probe=linear]: a (0.100), b (0.200) are not above control:mean (0.300)."
        assert finding.evidence == said
        assert finding.contenders == ("a", "b")
        assert finding.rows == (("a", 0.1, "control:mean", 0.3, 0, 1), ("b", 0.2, "control:mean", 0.3, 0, 1))

    @pytest.mark.parametrize("holds_out", ["patient", "slide", "panel"])
    def test_position_is_no_error_where_patients_are_held_out(self, holds_out):
        scores = {("macro_f1", "control:coordinates"): 0.4, ("macro_f1", "hvg_pca"): 0.2}
        finding = self.findings("niche_probe", scores, holds_out=holds_out)["coordinates alarm on niche_probe"]
        assert finding.severity == "warning"
        assert "hold out patients" not in finding.remedy

    @pytest.mark.parametrize(("coordinates", "alarm"), [(0.12, False), (0.3, True)])
    def test_position_without_skill_is_no_alarm(self, coordinates, alarm):
        """A contender that is merely bad is not above what knows nothing either."""
        scores = {
            ("macro_f1", "control:truth"): 0.9,
            ("macro_f1", "control:shuffled"): 0.1,
            ("macro_f1", "control:coordinates"): coordinates,
            ("macro_f1", "hvg_pca"): 0.05,
        }
        assert ("coordinates alarm on niche_probe" in self.findings("niche_probe", scores)) is alarm

    def test_an_easy_task_raises_no_leak_alarm(self):
        """Where the plain model of the controls is as good as what knows the labels, others may be better."""
        scores = {
            ("macro_f1", "control:truth"): 0.97,
            ("macro_f1", "control:shuffled"): 0.1,
            ("macro_f1", "control:coordinates"): 0.2,
            ("macro_f1", "control:hvg_pca"): 0.99,
            ("macro_f1", "mine"): 1.0,
        }
        found = self.findings("niche_probe", scores, readers=["mine"])
        assert "above the positive control on niche_probe" not in found
        assert "control:hvg_pca reaches 0.990" in found["easy task niche_probe"].evidence
        hard = scores | {("macro_f1", "control:hvg_pca"): 0.4}
        found = self.findings("niche_probe", hard, readers=["mine"])
        assert found["above the positive control on niche_probe"].severity == "error"
        assert "easy task niche_probe" not in found

    def test_undefined_scores_are_counted(self):
        finding = self.findings("expression", {("pearson", "hvg_pca"): np.nan})["undefined scores of expression"]
        assert "1 of 1 values" in finding.evidence
