"""A package with one method in one file: listed, held to the contract, and run by its verb, without another edit."""

import subprocess
import sys

import pytest

MODULE = '''
"""The nearest centroid of the reference."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

import stfmkit as sk

CARD = sk.methods.MethodCard(
    task="annotate",
    name="centroid",
    target="plugged_in:Centroid",
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
'''

USE = """
import numpy as np
import stfmkit as sk

table = sk.methods.list_methods("annotate")
assert list(table.index) == ["annotate/centroid", "annotate/knn"], table.index
assert table.loc["annotate/centroid", "licence"] == "MIT"
sk.testing.check_method("centroid")
cells = sk.datasets.synthetic_cohort(2, n_genes=40, size=300, as_="anndata", show_progress=False)
sk.tl.embed(cells, "hvg_pca", n_components=8)
first = (cells.obs["patient"] == cells.obs["patient"].iloc[0]).to_numpy()
data = cells[~first].copy()
sk.tl.annotate(data, cells[first].copy(), method="centroid", label_key="cell_type", embedding_key="X_hvg_pca")
right = (data.obs["annotation"].astype(str) == data.obs["cell_type"].astype(str)).mean()
assert right > 0.5, right
assert "annotation_probability" not in data.obsm
assert data.uns["stfmkit"]["annotate"]["results"]["annotation"]["method"] == "annotate/centroid"
print("done")
"""


@pytest.fixture
def package(tmp_path):
    """A folder that looks like an installed package."""
    (tmp_path / "plugged_in.py").write_text(MODULE)
    facts = tmp_path / "plugged_in-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged-in\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[stfmkit.methods]\ncentroid = plugged_in:CARD\n")
    return tmp_path


def test_an_installed_package_brings_a_method(package):
    code = f"import sys; sys.path.insert(0, {str(package)!r})\n{USE}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == ["done"], done.stderr
