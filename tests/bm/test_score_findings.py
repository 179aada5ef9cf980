"""Metrics that do not order the controls are called uninformative, and those without controls unchecked."""

import numpy as np
import pytest
from stfmkit.bm._after import findings_of_scores
from stfmkit.bm._tasks._registry import TASKS
from tests.bm.conftest import make_cohort, make_protocol

import stfmkit as sk


def findings(results, table, task):
    better = {m: f["higher_is_better"] for m, f in results.meta["metrics"].items()}
    found = findings_of_scores(table, [TASKS[task]], better, readers=[], n_target_genes=[], wanted=0)
    return {f.check.split()[0]: f for f in found if "metrics of" in f.check}


def directed(results, task):
    names = results.table.loc[results.table["task"] == task, "metric"].unique()
    return [m for m in names if results.meta["metrics"][m]["higher_is_better"] is not None]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("control", ["negative", "positive"])
def test_every_metric_is_found_out(results, task, control):
    """Plant a failure in each metric: a negative control at its best, or the positive one at its worst."""
    for metric in directed(results, task):
        table = results.table.copy()
        facts = TASKS[task]
        best = 1 if results.meta["metrics"][metric]["higher_is_better"] else -1
        model, value = (facts.negatives[-1], 99 * best) if control == "negative" else (facts.positive, -99 * best)
        table.loc[(table["task"] == task) & (table["metric"] == metric) & (table["model"] == model), "value"] = value
        found = findings(results, table, task)["uninformative"]
        assert f"{metric} (" in found.evidence, metric
        assert found.severity == "warning" if metric == facts.primary else found.severity in {"info", "warning"}


@pytest.mark.parametrize("task", TASKS)
def test_a_metric_without_a_score_of_its_controls_is_unchecked(results, task):
    for metric in directed(results, task):
        for models in ([TASKS[task].positive], list(TASKS[task].negatives)):
            table = results.table.copy()
            at = (table["task"] == task) & (table["metric"] == metric) & table["model"].isin(models)
            table.loc[at, "value"] = np.nan
            found = findings(results, table, task)["unchecked"]
            assert metric in found.evidence.split(":")[0].split(", ")
            assert found.severity == ("warning" if metric == TASKS[task].primary else "info")


def test_new_metrics_are_ordered_on_sound_data(results):
    """Where there is something to find, the controls show it."""
    for task, names in {
        "expression": ["map_ssim", "bivariate_morans_i", "auroc_top", "pearson_of_ceiling"],
        "niche_signatures": ["adjusted_jaccard_10", "dice_10", "signed_jaccard_10", "ranking_auroc_10"],
        "coexpression": ["ssim_ordered_of_ceiling", "offdiagonal_pearson_of_ceiling"],
    }.items():
        found = findings(results, results.table, task)
        said = " ".join(f.evidence for f in found.values())
        assert not [m for m in names if f"{m} " in said or f"{m}," in said]


def test_niches_that_are_none_are_told():
    """Labels mixed up within samples mark nothing: no gene passes the test over patients, so nothing is checked."""
    cohort = make_cohort(n_patients=4, per_patient=120)
    rng = np.random.default_rng(0)
    for patient in cohort.obs["patient"].cat.categories:
        rows = np.flatnonzero(cohort.obs["patient"] == patient)
        cohort.obs.iloc[rows, cohort.obs.columns.get_loc("niche")] = rng.permutation(cohort.obs["niche"].iloc[rows])
    protocol = make_protocol(target_genes=[f"G{g}" for g in range(30)])
    results = sk.bm.run(
        cohort, models=["library_size"], protocol=protocol, tasks=["niche_signatures"], show_progress=False
    )
    sizes = results.table.query("metric == 'cohort_n_true_10'")["value"]
    assert (sizes == 0).all()
    unchecked = [f for f in results.findings if f["check"] == "unchecked metrics of niche_signatures"]
    assert "cohort_adjusted_jaccard_10" in unchecked[0]["evidence"]


def test_no_cohort_is_told():
    """Without genes that every fold predicts there are no signatures of the cohort."""
    cohort = make_cohort(n_patients=1, per_patient=120)
    protocol = make_protocol(split=sk.pp.SpatialBlockKFold(block=300, buffer=0, n_splits=2))
    results = sk.bm.run(
        cohort, models=["library_size"], protocol=protocol, tasks=["niche_signatures"], show_progress=False
    )
    assert "cohort" not in results.meta
    assert not results.table["metric"].str.startswith("cohort_").any()
    assert [f["severity"] for f in results.findings if f["check"] == "no niche signatures of the cohort"] == ["info"]
