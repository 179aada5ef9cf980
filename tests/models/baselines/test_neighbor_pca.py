"""Against a plain reference of NichePCA."""

import numpy as np
import pytest

from stfmkit.models import load_model
from stfmkit.models import principal_components as pca_file
from stfmkit.models.runtime.run import ModelRun
from stfmkit.testing import example_block


def _reference(block, *, k: int, n_components: int) -> np.ndarray:
    counts = block.read("counts").toarray().astype(float)
    depth = counts.sum(axis=1)
    logged = np.log1p(counts / depth[:, None] * np.median(depth))
    smooth = np.zeros_like(logged)
    for i in range(block.n_obs):
        same = [j for j in range(block.n_obs) if block.samples[j] == block.samples[i]]
        same.sort(key=lambda j: np.hypot(*(block.read("coordinates")[j] - block.read("coordinates")[i])))
        smooth[i] = np.mean([logged[j] for j in same[: k + 1]], axis=0)
    centred = smooth - smooth.mean(axis=0)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    return (left * singular)[:, :n_components]


@pytest.mark.parametrize("dense_limit", [0, 10**9])
def test_equals_the_reference(dense_limit, monkeypatch):
    monkeypatch.setattr(pca_file, "_DENSE", dense_limit)
    block = example_block(n_obs=150, n_genes=60)
    out = ModelRun(load_model("neighbor_pca", n_neighbors=6, n_components=8).fit(block)).embed(block)
    wanted = _reference(block, k=6, n_components=8)
    signs = np.sign((out * wanted).sum(axis=0))
    np.testing.assert_allclose(out * signs, wanted, atol=1e-5)


def test_small_samples_give_all_they_have(block):
    out = ModelRun(load_model("neighbor_pca", n_neighbors=500, n_components=2).fit(block)).embed(block)
    for sample in range(3):
        assert np.ptp(out[block.samples == sample], axis=0).max() < 1e-5


def test_neighbours_stay_within_their_sample_and_side(block):
    model = load_model("neighbor_pca", n_neighbors=5).fit(block)
    rows = np.flatnonzero(block.samples == 1)
    assert np.allclose(ModelRun(model).embed(block.take(rows)), ModelRun(model).embed(block)[rows], atol=1e-6)
    half = rows[: len(rows) // 2]
    assert not np.allclose(ModelRun(model).embed(block.take(half)), ModelRun(model).embed(block)[half], atol=1e-3)


def test_defaults_are_those_of_the_paper():
    model = load_model("neighbor_pca")
    assert (model.n_neighbors, model.n_components) == (25, 30)
