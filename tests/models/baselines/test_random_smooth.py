"""Smooth noise against a loop."""

import numpy as np

from stfmkit.models import load_model
from stfmkit.models.runtime.run import ModelRun


def test_is_the_mean_of_random_over_the_neighbourhood(block):
    noise = ModelRun(load_model("random", rng=5, dimension=6)).embed(block)
    out = ModelRun(load_model("random_smooth", rng=5, dimension=6, n_neighbors=4)).embed(block)
    for i in range(block.n_obs):
        same = np.flatnonzero(block.samples == block.samples[i])
        near = same[np.argsort(((block.read("coordinates")[same] - block.read("coordinates")[i]) ** 2).sum(axis=1))[:5]]
        assert i in near
        assert np.allclose(out[i], noise[near].mean(axis=0), atol=1e-6)


def test_small_samples_give_all_they_have(block):
    noise = ModelRun(load_model("random", rng=5)).embed(block)
    out = ModelRun(load_model("random_smooth", rng=5, n_neighbors=500)).embed(block)
    for sample in range(3):
        rows = block.samples == sample
        assert np.allclose(out[rows], noise[rows].mean(axis=0), atol=1e-6)


def test_is_smooth_in_space(block):
    noise, out = (ModelRun(load_model(name, rng=5)).embed(block) for name in ("random", "random_smooth"))
    one = np.flatnonzero(block.samples == 0)
    distance = ((block.read("coordinates")[one][:, None] - block.read("coordinates")[one][None]) ** 2).sum(axis=2)
    np.fill_diagonal(distance, np.inf)
    nearest = one[distance.argmin(axis=1)]

    def likeness(values):
        return np.corrcoef(values[one].ravel(), values[nearest].ravel())[0, 1]

    assert likeness(out) > 0.5 > 0.2 > likeness(noise)
