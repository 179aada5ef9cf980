"""A metric is called informative where it tells good predictions from bad ones, and only there."""

import numpy as np
import pandas as pd
import pytest

import stfmkit as sk
from stfmkit.bm.calibration import calibrate, patients_needed
from stfmkit.evaluation.scores import Score, to_table

TASKS = {
    "t": {
        "positive": "control:best",
        "negatives": ["control:none", "control:place"],
        "degraded": "control:model",
    }
}
LADDER = ("noise=0.25", "noise=0.5", "noise=1.0", "genes=1.0", "smoothing=7")


def table(metric="m", n_patients=6, spread=0.01, seed=0, **means) -> pd.DataFrame:
    """Return scores of all controls; `means` replaces some by label without "control:" and by what was done."""
    rng = np.random.default_rng(seed)
    known = {"best": 0.9, "none": 0.1, "place": 0.2, "model": 0.6}
    known |= dict(zip((f"model + {how}" for how in LADDER), (0.5, 0.4, 0.1, 0.1, 0.6), strict=True))
    known |= means
    return to_table(
        Score(
            task="t",
            metric=metric,
            scope="sample",
            contender=f"control:{name}",
            patient=f"p{p}",
            sample=f"s{p}",
            value=float(value + rng.normal(0, spread)),
        )
        for name, value in known.items()
        for p in range(n_patients)
    )


def facts(higher=True, metric="m"):
    key = {"metric": metric, "setting": "", "scope": "sample", "status": "scored"}
    return [{**key, "higher_is_better": higher}]


def judged(scores, higher=True):
    (row,) = calibrate(scores, TASKS, facts(higher)).to_dict("records")
    return row


def test_a_metric_that_tells_good_from_bad_is_informative():
    row = judged(table())
    assert row["informative"] is True
    assert not row["reason"]
    assert row["best_negative"] == "place"
    assert row["positive"] == pytest.approx(0.9, abs=0.02)
    assert row["range"] == pytest.approx(0.7, abs=0.03)
    assert row["noise"] == pytest.approx(0.01 * np.sqrt(2), rel=0.9)
    assert row["patients_needed"] == 6
    assert row["falls_with_noise"] is True
    assert row["falls_with_permuted_genes"] is True
    assert row["change_with_smoothing"] == pytest.approx(0, abs=0.05)


def test_errors_are_read_the_other_way_round():
    turned = table()
    turned["value"] = 1 - turned["value"]
    row = judged(turned, higher=False)
    assert row["informative"] is True
    assert row["positive"] == pytest.approx(0.1, abs=0.02)
    assert row["negative"] == pytest.approx(0.8, abs=0.02)
    assert row["undegraded"] == pytest.approx(0.4, abs=0.02)


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        ({"place": 0.95}, "best is not ahead of place"),
        ({"model + noise=0.5": 0.8}, "noise in a prediction raises it"),
        ({"model + noise=0.25": 0.7}, "noise in a prediction raises it"),
        ({"model + genes=1.0": 0.65}, "it does not fall when genes change places"),
    ],
)
def test_planted_faults_are_named(planted, said):
    row = judged(table(**planted))
    assert row["informative"] is False
    assert row["reason"] == said


def test_small_rises_within_noise_are_none():
    assert judged(table(**{"model + noise=0.25": 0.61}, spread=0.03))["informative"] is True


def test_noise_of_patients_decides_how_many_are_needed():
    assert judged(table(spread=0.6, best=0.5, seed=3))["patients_needed"] > 6
    assert judged(table(n_patients=1))["patients_needed"] != judged(table())["patients_needed"]


def test_without_a_control_nothing_is_known():
    scores = table()
    row = judged(scores[scores["contender"] != "control:best"])
    assert row["informative"] is False
    assert row["reason"] == "a control has no score"


def test_a_task_without_a_ladder_is_judged_by_its_controls():
    scores = table()
    row = judged(scores[~scores["contender"].str.contains("model", regex=False)])
    assert row["informative"] is True
    assert row["falls_with_noise"] is None


def test_metrics_are_ordered_by_how_far_the_controls_lie_apart():
    parts = [table(metric="blurred", spread=0.2), table(metric="sharp"), table(metric="wrong", place=0.99)]
    known = [fact for name in ("wrong", "blurred", "sharp") for fact in facts(metric=name)]
    found = calibrate(pd.concat(parts), TASKS, known)
    assert found["metric"].tolist() == ["sharp", "blurred", "wrong"]


@pytest.mark.parametrize(("difference", "sd"), [(0.5, 0.5), (0.1, 0.5), (1.0, 0.1)])
def test_patients_needed_is_where_the_test_begins_to_see(difference, sd):
    from stfmkit.evaluation.detectable import detectable_difference

    n = patients_needed(difference, sd)
    assert detectable_difference(sd, n_patients=int(n), n_contenders=2) <= difference
    assert n == 6 or detectable_difference(sd, n_patients=int(n) - 1, n_contenders=2) > difference


def test_a_difference_that_no_study_sees_needs_endless_patients():
    assert patients_needed(1e-6, 1.0) == np.inf
    assert np.isnan(patients_needed(0.1, np.nan))


@pytest.fixture(scope="module")
def results():
    cells = sk.datasets.synthetic_cohort(n_patients=3, size=500, n_genes=80, as_="anndata", show_progress=False)
    protocol = sk.bm.Protocol(
        patient_key="patient", sample_key="sample", label_key="niche", split=sk.pp.PatientKFold(3), n_target_genes=30
    )
    return sk.bm.run(cells, ["hvg_pca", "library_size"], protocol=protocol, show_progress=False), cells, protocol


def test_a_run_judges_every_metric_with_a_direction(results):
    found, _, _ = results
    table = found.calibration()
    directed = {
        (fact["metric"], fact["setting"])
        for fact in found.meta["metrics"]
        if fact["higher_is_better"] is not None and fact["status"] == "scored" and fact["scope"] != "cohort"
    }
    assert directed == set(zip(table["metric"], table["setting"], strict=True))
    assert table.query("task == 'expression' and metric == 'pearson'")["informative"].all()
    deviance = table[table["metric"] == "deviance_explained"]
    assert not deviance["informative"].any()
    assert table["falls_with_noise"].notna().any()


def test_degraded_predictions_are_not_ranked_and_not_shown(results, tmp_path):
    found, _, _ = results
    assert not found.rank()["contender"].str.contains("+", regex=False).any()
    assert set(found.contenders) == {"hvg_pca", "library_size", "baseline:train_coexpression"}
    found.report(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "noise=0.5" not in page
    assert "Do the metrics tell good from bad on these data?" in page


def test_the_model_that_is_degraded_is_scored_once(results):
    """The control is the contender of the same name and options: the same numbers, computed once."""
    found, cells, protocol = results
    rows = found.table[found.table["status"] == "scored"]
    keys = ["task", "metric", "setting", "fold", "patient", "sample", "gene", "niche"]
    one, other = (
        rows[rows["contender"] == name].set_index(keys)["value"].sort_index() for name in ("hvg_pca", "control:hvg_pca")
    )
    pd.testing.assert_series_equal(one, other)
    alone = sk.bm.run(cells, ["library_size"], protocol=protocol, show_progress=False)
    again = alone.table[(alone.table["contender"] == "control:hvg_pca") & (alone.table["status"] == "scored")]
    pd.testing.assert_series_equal(again.set_index(keys)["value"].sort_index(), other)


def test_resumed_runs_say_the_same(results, tmp_path):
    found, cells, protocol = results
    for _ in range(2):
        kept = sk.bm.run(
            cells, ["hvg_pca", "library_size"], protocol=protocol, out=tmp_path / "out", show_progress=False
        )
        pd.testing.assert_frame_equal(kept.calibration(), found.calibration())
