"""A second annotation, or a stated share of wrong labels, as the ceiling of tasks on labels."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, f1_score
from tests.bm.conftest import make_cohort, make_protocol

import stfmkit as sk
from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit.bm.report.render import render_report
from stfmkit.evaluation.label_ceilings import label_ceilings
from stfmkit.evaluation.labels import score_labels

TASKS = ["niche_probe", "domains"]


@pytest.fixture(scope="module")
def cohort():
    """Four patients; the second annotator calls a sixth of the observations otherwise, and leaves some out."""
    made = make_cohort(n_patients=4, per_patient=80)
    rng = np.random.default_rng(0)
    second = made.obs["niche"].astype(str).to_numpy(dtype=object)
    names = np.unique(second)
    moved = rng.random(len(second)) < 1 / 6
    second[moved] = rng.choice(names, moved.sum())
    second[::20] = None
    made.obs["second"] = second
    return made


def run(cohort, **choices):
    protocol = make_protocol(**choices)
    return sk.bm.run(cohort, ["library_size"], protocol=protocol, tasks=TASKS, show_progress=False)


@pytest.fixture(scope="module")
def two(cohort):
    return run(cohort, second_label_key="second")


def test_what_two_annotations_agree_on_is_the_ceiling(cohort, two):
    limits = two.table.query("status == 'ceiling'")
    assert set(limits["metric"]) == {"macro_f1", "balanced_accuracy", "ari", "nmi"}
    assert set(limits.query("metric == 'macro_f1'")["setting"]) == {"probe=linear", "probe=knn", ""}
    known = cohort.obs["second"].notna().to_numpy()
    for sample in cohort.obs["sample"].unique():
        rows = known & (cohort.obs["sample"] == sample).to_numpy()
        own, other = (cohort.obs[key].astype(str).to_numpy()[rows] for key in ("niche", "second"))
        here = limits[limits["sample"] == sample].set_index(["metric", "setting"])["value"]
        f1 = f1_score(own, other, labels=np.unique(own), average="macro", zero_division=0)
        assert here["macro_f1", "probe=linear"] == pytest.approx(np.sqrt(f1))
        assert here["ari", ""] == pytest.approx(np.sqrt(max(adjusted_rand_score(own, other), 0)))


@pytest.mark.parametrize("shares", [(0.25, 0.25, 0.25, 0.25), (0.5, 0.3, 0.15, 0.05)])
@pytest.mark.parametrize("wrong", [0.1, 0.2, 0.3])
def test_the_truth_lies_at_the_ceiling_of_two_noisy_annotations(shares, wrong):
    rng, n = np.random.default_rng(0), 8000
    truth = rng.choice(len(shares), n, p=shares)

    def annotated():
        drawn = rng.choice(len(shares), n, p=shares)
        while (same := drawn == truth).any():
            drawn[same] = rng.choice(len(shares), same.sum(), p=shares)
        return np.where(rng.random(n) < wrong, drawn, truth).astype(str)

    first, second = annotated(), annotated()
    where = {"samples": np.full(n, "S"), "patients": np.full(n, "P")}
    tables = {
        name: score_labels(first, other, folds=np.zeros(n, dtype=int), setting="", **where)
        for name, other in {"truth": truth.astype(str), "second": second}.items()
    }
    limit = label_ceilings([tables["second"]], ["macro_f1", "balanced_accuracy"], annotations=2)
    reached = tables["truth"].set_index("metric")["value"]
    for row in limit.itertuples():
        assert -0.02 <= row.value - reached[row.metric] <= 0.06


def test_shares_stand_beside_the_scores_and_the_control_has_none(two):
    shares = two.table.query("status == 'of ceiling'")
    assert set(shares["task"]) == set(TASKS)
    assert "library_size" in set(shares["contender"])
    assert "control:truth" not in set(shares["contender"])
    table = two.table[two.table["metric"] == "ari"]
    own = table[table["contender"] == "library_size"].set_index(["status", "sample"])["value"]
    limit = table[table["status"] == "ceiling"].set_index("sample")["value"]
    for sample, share in own["of ceiling"].items():
        assert share == pytest.approx(own["scored", sample] / limit[sample])
    assert len(two.rank("domains", status="of ceiling")) == 1


def test_the_report_says_where_the_ceiling_comes_from(two, cohort):
    assert "from what two annotations agree on" in render_report(two, title="x")
    assumed = run(cohort, label_noise=0.1)
    assert "attainable if 10% of the labels are wrong (assumed)" in render_report(assumed, title="x")
    limits = assumed.table.query("status == 'ceiling' and metric == 'balanced_accuracy'")["value"]
    assert limits.mean() == pytest.approx(0.9, abs=0.03)


def test_without_either_there_is_no_ceiling_and_nothing_else_changes(cohort, two):
    plain = run(cohort)
    assert not plain.table["status"].isin(["ceiling", "of ceiling"]).any()
    assert "second_label_key" not in plain.protocol
    scored = [r.table.query("status == 'scored'")["value"].to_numpy() for r in (plain, two)]
    np.testing.assert_array_equal(*scored)


def test_names_that_are_others_have_no_macro_f1(cohort):
    other = cohort.copy()
    other.obs["second"] = "x " + cohort.obs["niche"].astype(str)
    limits = run(other, second_label_key="second").table.query("status == 'ceiling'")
    assert limits.query("task == 'niche_probe'")["value"].isna().all()
    assert set(limits.query("task == 'niche_probe'")["reason"]) == {"the two annotations have no name in common"}
    assert limits.query("metric == 'ari'")["value"].to_numpy() == pytest.approx(1)


@pytest.mark.parametrize(
    ("choices", "says"),
    [
        ({"second_label_key": "second", "label_noise": 0.1}, "one of them"),
        ({"second_label_key": "niche"}, "another column"),
        ({"label_key": None, "second_label_key": "second"}, "label_key"),
        ({"label_key": None, "label_noise": 0.1}, "label_key"),
        ({"label_noise": 0.0}, "above 0 and below 1"),
        ({"label_noise": 1.0}, "above 0 and below 1"),
    ],
)
def test_what_cannot_be_a_ceiling_is_refused(choices, says):
    with pytest.raises(InputError, match=says):
        make_protocol(**choices)


def test_a_column_that_is_not_there_is_named(cohort):
    with pytest.raises(MissingKeyError, match="second_label_key"):
        run(cohort, second_label_key="secnd")
