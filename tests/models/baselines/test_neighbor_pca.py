"""Against a plain reference of NichePCA."""

import numpy as np
import pytest

from stfmkit.models import _pca as pca_file
from stfmkit.models import load_model
from stfmkit.models.runtime.run import run_model
from stfmkit.testing import example_block


def _reference(block, *, k: int, n_components: int) -> np.ndarray:
    counts = block.counts.toarray().astype(float)
    depth = counts.sum(axis=1)
    logged = np.log1p(counts / depth[:, None] * np.median(depth))
    smooth = np.zeros_like(logged)
    for i in range(block.n_obs):
        same = [j for j in range(block.n_obs) if block.samples[j] == block.samples[i]]
        same.sort(key=lambda j: np.hypot(*(block.coords[j] - block.coords[i])))
        smooth[i] = np.mean([logged[j] for j in same[: k + 1]], axis=0)
    centred = smooth - smooth.mean(axis=0)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    return (left * singular)[:, :n_components]


@pytest.mark.parametrize("dense_limit", [0, 10**9])
def test_equals_the_reference(dense_limit, monkeypatch):
    monkeypatch.setattr(pca_file, "_DENSE", dense_limit)
    block = example_block(n_obs=150, n_genes=60)
    out = run_model(load_model("neighbor_pca", k=6, n_components=8).fit(block), block)
    wanted = _reference(block, k=6, n_components=8)
    signs = np.sign((out * wanted).sum(axis=0))
    np.testing.assert_allclose(out * signs, wanted, atol=1e-5)


def test_small_samples_give_all_they_have(block):
    out = run_model(load_model("neighbor_pca", k=500, n_components=2).fit(block), block)
    for sample in range(3):
        assert np.ptp(out[block.samples == sample], axis=0).max() < 1e-5


def test_neighbours_stay_within_their_sample_and_side(block):
    model = load_model("neighbor_pca", k=5).fit(block)
    rows = np.flatnonzero(block.samples == 1)
    assert np.allclose(run_model(model, block.take(rows)), run_model(model, block)[rows], atol=1e-6)
    half = rows[: len(rows) // 2]
    assert not np.allclose(run_model(model, block.take(half)), run_model(model, block)[half], atol=1e-3)


def test_defaults_are_those_of_the_paper():
    model = load_model("neighbor_pca")
    assert (model.k, model.n_components) == (25, 30)
