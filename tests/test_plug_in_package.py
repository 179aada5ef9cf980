"""A package with one model, one method, one metric and one task, a file each: nothing else has to be edited."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FILES = {
    "pyproject.toml": """
[build-system]
build-backend = "hatchling.build"
requires = [ "hatchling" ]

[project]
name = "stfmkit-plugged-in"
version = "1.0"

[project.entry-points."stfmkit.models"]
ours = "stfmkit_plugged_in.detected:CARDS"

[project.entry-points."stfmkit.methods"]
ours = "stfmkit_plugged_in.centroid:CARD"

[project.entry-points."stfmkit.metrics"]
ours = "stfmkit_plugged_in.share_right:share_right"

[project.entry-points."stfmkit.tasks"]
ours = "stfmkit_plugged_in.nearest_label:TASK"

[tool.hatch]
build.targets.wheel.packages = [ "stfmkit_plugged_in" ]
""",
    "stfmkit_plugged_in/__init__.py": '"""Additions to stfmkit."""\n',
    "stfmkit_plugged_in/detected.py": '''
"""A model: which genes are detected, averaged in fixed random groups."""

import numpy as np

import stfmkit as sk

CARD = sk.models.ModelCard(
    name="detected",
    target="stfmkit_plugged_in.detected:Detected",
    family="baseline",
    summary="Detection of genes, added up in groups of genes by their names.",
    needs=("counts",),
)
CARDS = (CARD,)


class Detected(sk.models.EmbeddingModel):
    card = CARD

    def __init__(self, *, n_groups: int = 16) -> None:
        self.n_groups = n_groups

    def prepare(self, block):
        detected = (block.read("counts") > 0).toarray().astype(float)
        group = np.array([sum(map(ord, name)) % self.n_groups for name in block.genes.astype(str)])
        return detected @ np.eye(self.n_groups)[group]

    def encode(self, batch):
        return np.log1p(batch)
''',
    "stfmkit_plugged_in/centroid.py": '''
"""A method: the nearest centroid of the reference."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

import stfmkit as sk

CARD = sk.methods.MethodCard(
    task="annotate",
    name="centroid",
    target="stfmkit_plugged_in.centroid:Centroid",
    title="Nearest centroid",
    summary="The label whose mean vector is nearest.",
    needs=("embedding",),
    reference_needs=("embedding", "labels"),
    transductive=False,
    draws=False,
    licence="MIT",
)


@dataclass(frozen=True, kw_only=True)
class Centroid(sk.methods.Method):
    card = CARD
    embedding_key: str
    label_key: str

    def requirements(self):
        slots = sk.methods.Slots
        return sk.methods.Requirements(
            data=slots(obsm=(self.embedding_key,)), reference=slots(obsm=(self.embedding_key,), obs=(self.label_key,))
        )

    def run(self, view, reference, *, rng):
        vectors = pd.DataFrame(np.asarray(reference.table.obsm[self.embedding_key], dtype=float))
        labels = reference.table.obs[self.label_key].astype(str).to_numpy()
        centres = vectors.groupby(labels).mean()
        queries = np.asarray(view.table.obsm[self.embedding_key], dtype=float)
        apart = np.linalg.norm(queries[:, None, :] - centres.to_numpy()[None], axis=2)
        nearest = pd.Categorical.from_codes(apart.argmin(axis=1), categories=centres.index)
        return sk.methods.Output(kind="labels", result=pd.Series(nearest, index=view.table.obs_names))
''',
    "stfmkit_plugged_in/share_right.py": '''
"""A metric: the share of labels that are right."""

import numpy as np

import stfmkit as sk


@sk.metrics.metric(
    title="Share of labels that are right",
    family="labels",
    higher_is_better=True,
    bounds=(0, 1),
    chance=None,
    source="textbook",
    summary="Share of observations whose predicted label is that of the truth.",
)
def share_right(truth, predicted):
    """Return the share of labels that are right."""
    return float(np.mean(np.asarray(truth) == np.asarray(predicted)))
''',
    "stfmkit_plugged_in/nearest_label.py": '''
"""A task: the label of the nearest training observation in an embedding."""

from dataclasses import dataclass

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

import stfmkit as sk
from stfmkit.evaluation.scores import Score, to_table


@dataclass(frozen=True, kw_only=True, eq=False)
class Labels(sk.bm.Truth):
    names: np.ndarray


class NearestLabel(sk.bm.Task):
    name = "nearest_label"
    title = "Nearest label"
    question = "Is the label of the nearest training observation that of the held-out one?"
    primary = sk.bm.MetricKey("share_right", "", "sample")
    accepts = ("embedding", "labels")
    needs = ("label_key",)
    positive = "truth"
    negatives = ("shuffled", "coordinates")
    control_models = ("coordinates",)

    def truth(self, study, fold, hidden):
        return Labels(study=study.without_counts(), fold=fold, names=np.asarray(study.labels).astype(str))

    def predict(self, output, truth):
        if output.kind == "labels":
            return output.test
        known = KNeighborsClassifier(n_neighbors=1).fit(output.train, truth.names[truth.fold.train])
        return known.predict(output.test)

    def score(self, truth, prediction):
        rows, study = truth.fold.test, truth.study
        samples = np.asarray(study.samples).astype(str)[rows]
        right = sk.metrics.spec("share_right").function
        return sk.bm.Scores(
            table=to_table(
                Score(
                    metric="share_right",
                    value=right(truth.names[rows][samples == sample], prediction[samples == sample]),
                    scope="sample",
                    fold=truth.fold.number,
                    patient=str(np.asarray(study.patients)[rows[samples == sample]][0]),
                    sample=sample,
                )
                for sample in np.unique(samples)
            )
        )

    def perfect(self, truth):
        return truth.names[truth.fold.test]

    def controls(self, truth):
        true = self.perfect(truth)
        return {"truth": true, "shuffled": np.random.default_rng(0).permutation(true)}

    def section(self, results):
        return sk.bm.Section(text=["A paragraph that the task nearest_label adds."])


TASK = NearestLabel()
''',
}

USE = """
import json
import sys
from pathlib import Path

import numpy as np

import stfmkit as sk

out = Path(sys.argv[1])
listed = {
    "model": "detected" in set(sk.models.list_models()["name"]),
    "method": "annotate/centroid" in sk.methods.list_methods().index,
    "metric": "share_right" in sk.metrics.list_metrics().index,
    "task": "nearest_label" in sk.bm.list_tasks().index,
}
sk.testing.check_model("detected")
sk.testing.check_method("annotate/centroid")
sk.testing.check_task("nearest_label")

cells = sk.datasets.synthetic_cohort(n_patients=3, size=300, n_genes=60, as_="anndata", show_progress=False)
protocol = sk.bm.Protocol(
    patient_key="patient", sample_key="sample", label_key="niche", split=sk.pp.PatientKFold(3), linear_c=(0.1,)
)
sk.tl.embed(cells, "detected")
results = sk.bm.run(
    cells,
    {
        "detected": "detected",
        "stored": "obsm:X_detected",
        "centroid": ("method:annotate/centroid", {"embedding_key": "X_detected", "label_key": "niche"}),
    },
    protocol=protocol,
    tasks=["nearest_label", "niche_probe"],
    show_progress=False,
)
results.report(out / "report.html")
page = (out / "report.html").read_text()
scores = results.table.query("task == 'nearest_label' and metric == 'share_right'")
print(
    json.dumps(
        {
            "listed": listed,
            "mean": scores.groupby("contender")["value"].mean().to_dict(),
            "ranked": results.rank().query("task == 'nearest_label'")["contender"].tolist(),
            "shown": [
                text in page
                for text in (
                    "Nearest label",
                    "Share of labels that are right",
                    "detected",
                    "centroid",
                    "A paragraph that the task nearest_label adds.",
                )
            ],
        }
    )
)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the package was installed by pip."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    for name, text in FILES.items():
        path = source / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.lstrip())
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run(
        [*pip, "--target", str(target), str(source)], capture_output=True, text=True, check=False, cwd=source
    )
    assert done.returncode == 0, done.stderr
    return target


@pytest.mark.slow
def test_an_installed_package_is_listed_checked_run_scored_and_shown(site: Path, tmp_path: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(site)!r})\n{USE}"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert all(told["listed"].values()), told["listed"]
    mean = told["mean"]
    assert {"detected", "stored", "centroid", "control:truth", "control:shuffled"} <= set(mean)
    assert mean["control:truth"] == 1.0
    assert mean["control:shuffled"] < mean["detected"]
    assert mean["control:shuffled"] < mean["centroid"]
    assert mean["stored"] == pytest.approx(mean["detected"])
    assert {"detected", "stored", "centroid"} <= set(told["ranked"])
    assert all(told["shown"]), told["shown"]
