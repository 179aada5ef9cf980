"""Every task keeps its contract, is found in its folder, and can come from elsewhere."""

import subprocess
import sys

import numpy as np
import pytest
from tests.bm.conftest import make_cohort, make_protocol

import stfmkit as sk
from stfmkit._core.errors import InputError, InputTypeError
from stfmkit.bm.contenders import Output
from stfmkit.bm.study import load_study
from stfmkit.bm.task import NO_GENES
from stfmkit.bm.task_catalogue import catalogue, check_sharing
from stfmkit.bm.tasks.coexpression import Coexpression
from stfmkit.bm.tasks.domains import Domains
from stfmkit.bm.tasks.expression import Expression
from stfmkit.bm.tasks.niche_probe import NicheProbe

TASKS = ["coexpression", "domains", "expression", "niche_probe", "niche_signatures"]


@pytest.fixture(scope="module")
def study():
    return load_study(make_cohort(per_patient=80), make_protocol())


def truth_of(task, study):
    fold = study.folds[0]
    return task.truth(study, fold, task.hidden(study, fold))


def test_the_list_has_every_file_of_the_folder():
    table = sk.bm.list_tasks()
    assert table.index.tolist() == TASKS
    assert table["question"].str.endswith((".", "?")).all()


@pytest.mark.parametrize("name", TASKS)
def test_the_contract_is_kept(name):
    sk.testing.check_task(name)


class TestPlantedFaults:
    """check_task sees what breaks the contract."""

    def check(self, match, **changes):
        broken = type("Broken", (Domains,), {"name": "broken", **changes})()
        with pytest.raises(InputError, match=match):
            sk.testing.check_task(broken)

    def test_controls_the_wrong_way_round(self):
        self.check("positive control scores", positive="shuffled", negatives=("truth",), control_models=())

    def test_a_perfect_prediction_that_is_not(self):
        self.check("a perfect prediction scores", perfect=lambda self, truth: self.controls(truth)["shuffled"])

    def test_order_of_rows(self):
        def score(self, truth, prediction):
            half = prediction.iloc[: len(prediction) // 2]
            return Domains.score(self, truth, half)

        self.check("order of the test rows", score=score)

    def test_rows_that_are_dropped(self):
        def score(self, truth, prediction):
            constant = prediction["cluster"].nunique() == 1
            return Domains.score(self, truth, prediction.iloc[:0] if constant else prediction)

        self.check("fewer scores than a perfect", score=score)

    def test_global_random_state(self):
        def predict(self, output, truth):
            np.random.rand()  # noqa: NPY002  the fault
            return Domains.predict(self, output, truth)

        self.check("global random state", predict=predict)

    def test_a_baseline_without_a_description(self):
        self.check("the baselines 'free', described as", baselines=lambda self, truth: {"free": self.perfect(truth)})

    def test_a_baseline_that_knows_the_truth(self):
        told = {"free": "the truth"}
        self.check("'baseline:free' scores", own_baselines=told, baselines=lambda self, t: {"free": self.perfect(t)})

    def test_a_missing_control(self):
        self.check("no control named 'nothing'", negatives=("shuffled", "nothing"), control_models=())

    def test_another_primary_metric(self):
        self.check("no score of 'ari'", primary=Domains.primary._replace(setting="n=3"))

    @pytest.mark.parametrize(
        "changes", [{"question": ""}, {"accepts": ("pictures",)}, {"needs": ("niche_key",)}, {"name": "No Name"}]
    )
    def test_facts(self, changes):
        broken = type("Broken", (Domains,), {"name": "broken", **changes})()
        with pytest.raises(InputError, match="a task Broken"):
            sk.testing.check_task(broken)
        with pytest.raises(InputError, match="a task Broken"):
            sk.bm.register_task(broken)

    def test_what_is_no_task(self):
        with pytest.raises(InputTypeError, match=r"a subclass of sk\.bm\.Task"):
            sk.bm.register_task(Domains)


def test_names_are_taken_once():
    with pytest.raises(InputError, match="exists"):
        sk.bm.register_task(Domains())


def test_tasks_that_share_are_asked_the_same():
    check_sharing([Expression(), Coexpression(), Domains()])
    other = type("Other", (Expression,), {"name": "other", "hidden": lambda *_: NO_GENES})()
    with pytest.raises(InputError, match="differ in 'hidden'"):
        check_sharing([Expression(), other])


def test_labels_that_were_given_are_predictions(study):
    task = NicheProbe()
    truth = truth_of(task, study)
    names = np.asarray(study.labels).astype(str)[truth.fold.test].astype("<U9")
    names[0] = "elsewhere"
    prediction = task.predict(Output(kind="labels", train=names[:0], test=names), truth)
    table = task.pooled(study, task.score(truth, prediction).kept)
    assert set(table["setting"]) == {""}
    right = (len(names) - 1) / len(names)
    assert table.query("metric == 'balanced_accuracy'")["value"].iloc[0] == pytest.approx(right, abs=0.02)
    shown = task.score(truth, prediction).observations
    assert shown["predicted"].iloc[0] == ""
    assert shown["score"].iloc[0] == 0


def test_clusters_that_were_given_have_any_names(study):
    task = Domains()
    truth = truth_of(task, study)
    names = np.array(["b", "a"])[truth.codes[truth.fold.test]]
    prediction = task.predict(Output(kind="clusters", train=names[:0], test=names), truth)
    assert task.score(truth, prediction).table.query("metric == 'ari'")["value"].eq(1).all()


def test_predicted_expression_is_taken_by_the_names_of_genes(study):
    task = Expression()
    truth = truth_of(task, study)
    order = np.random.default_rng(0).permutation(len(truth.test.genes))
    output = Output(
        kind="expression",
        train=truth.train[:0],
        test=truth.test.expression[:, order],
        columns=tuple(truth.test.genes[order].tolist()),
    )
    np.testing.assert_array_equal(task.predict(output, truth), truth.test.expression)


def test_truth_is_scaled_by_training_alone(study):
    truth = truth_of(Expression(), study)
    fold = truth.fold
    counts = study.counts[fold.test][:, truth.targets].toarray()
    median = np.median(study.depth[fold.train])
    np.testing.assert_allclose(truth.test.expression, np.log1p(counts / study.depth[fold.test][:, None] * median))
    back = [np.expm1(half) / median * study.depth[fold.test][:, None] / 2 for half in truth.test.halves]
    np.testing.assert_allclose(back[0] + back[1], counts, atol=1e-9)


def test_kinds_that_no_task_accepts_are_refused(study):
    labels = {"c": np.array(["7"] * len(study.obs_names))}
    with pytest.raises(InputError, match=r"gives clusters(?s:.)*contenders that give 'embedding', 'expression'"):
        sk.bm.run(study.adata, labels, protocol=study.protocol, tasks=["expression"], show_progress=False)


MODULE = '''
"""A task of another package: predict the library size of held-out observations."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

import stfmkit as sk
from stfmkit.evaluation.scores import Score, to_table


@dataclass(frozen=True, kw_only=True, eq=False)
class DepthTruth(sk.bm.Truth):
    train: np.ndarray
    test: np.ndarray


def draw(figure):
    figure.subplots().plot([0, 1], [0, 1])


class Depth(sk.bm.Task):
    name = "depth"
    title = "Sequencing depth"
    question = "Can the library size of an observation be read from its embedding?"
    primary = sk.bm.MetricKey("spearman", "", "sample")
    positive = "truth"
    negatives = ("shuffled",)

    def truth(self, study, fold, hidden):
        depth = np.log1p(study.depth)
        own = study.without_counts()
        return DepthTruth(study=own, fold=fold, train=depth[fold.train], test=depth[fold.test])

    def predict(self, output, truth):
        design, test = (np.column_stack([np.ones(len(x)), x]) for x in (output.train, output.test))
        return test @ np.linalg.lstsq(design, truth.train, rcond=None)[0]

    def score(self, truth, prediction):
        rows = []
        samples = np.asarray(truth.study.samples)[truth.fold.test]
        patients = np.asarray(truth.study.patients)[truth.fold.test]
        for sample in np.unique(samples):
            at = samples == sample
            value = float(sk.metrics.spearman(truth.test[at][:, None], prediction[at][:, None])[0])
            where = {"patient": patients[at][0], "sample": sample, "fold": truth.fold.number}
            rows.append(Score(metric="spearman", value=value, scope="sample", reason="constant depth", **where))
        return sk.bm.Scores(table=to_table(rows))

    def controls(self, truth):
        noise = np.random.default_rng(truth.fold.number)
        return {"truth": truth.test + noise.normal(0, 0.01, len(truth.test)), "shuffled": noise.permutation(truth.test)}

    def perfect(self, truth):
        return truth.test

    def section(self, results):
        table = pd.DataFrame({"what": ["<b>depth</b>"]}, index=pd.Index(["first"], name="row"))
        return sk.bm.Section(
            text=["A sentence of <i>this</i> task."],
            tables={"A table of this task": table},
            figures={"A line that goes up, drawn by this task, to be seen.": draw},
        )


TASK = Depth()
'''

USE = """
import sys
import stfmkit as sk

assert sk.bm.list_tasks().loc["depth", "metric"] == "spearman"
sk.testing.check_task("depth")
cells = sk.datasets.synthetic_cohort(n_patients=3, size=300, as_="anndata", show_progress=False)
protocol = sk.bm.Protocol(patient_key="patient", sample_key="sample", split=sk.pp.PatientKFold(3))
results = sk.bm.run(cells, ["library_size", "random"], protocol=protocol, tasks=["depth"], show_progress=False)
ranks = results.rank().set_index("contender")["mean"]
assert ranks["library_size"] > 0.95 > ranks["random"], ranks
results.report(sys.argv[1])
page = open(sys.argv[1]).read()
assert "Sequencing depth" in page
assert "A sentence of &lt;i&gt;this&lt;/i&gt; task." in page
assert "&lt;b&gt;depth&lt;/b&gt;" in page
assert "A line that goes up" in page
print("done")
"""


def test_a_package_with_one_file_brings_a_task(tmp_path):
    """It is listed, held to the contract, run, and shown in the report, without another edit."""
    (tmp_path / "plugged_task.py").write_text(MODULE)
    facts = tmp_path / "plugged_task-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged-task\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[stfmkit.tasks]\ndepth = plugged_task:TASK\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{USE}"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "report.html")], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "done", done.stderr[-2000:]


def test_a_registered_task_is_run(study):
    sk.bm.register_task(type("Regions", (Domains,), {"name": "regions", "title": "Regions"})())
    try:
        results = sk.bm.run(study.adata, ["hvg_pca"], protocol=study.protocol, tasks=["regions"], show_progress=False)
    finally:
        catalogue.remove("regions")
    assert results.table["task"].unique().tolist() == ["regions"]
