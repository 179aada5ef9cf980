"""Frames of samples."""

from dataclasses import replace

import numpy as np
import pytest

from stfmkit._core.errors import InputError
from stfmkit.models import load_model
from stfmkit.models.runtime.run import ModelRun


def test_each_sample_is_centred_and_scaled_without_changing_its_shape(block):
    out = ModelRun(load_model("coordinates").fit(block)).embed(block)
    for sample in range(3):
        rows = block.samples == sample
        assert np.allclose(out[rows].mean(axis=0), 0, atol=1e-6)
        assert np.isclose((out[rows].astype(float) ** 2).sum(axis=1).mean(), 1)
        ratio = np.ptp(out[rows], axis=0) / np.ptp(block.read("coordinates")[rows], axis=0)
        assert np.isclose(*ratio)  # one length for x and y


def test_units_and_places_of_frames_do_not_matter(block):
    moved = block.read("coordinates") * np.array([1.0, 7.0, 0.1])[block.samples][:, None] + 1e4 * block.samples[:, None]
    other = replace(block, inputs={"coordinates": moved})
    first, second = (ModelRun(load_model("coordinates").fit(b)).embed(b) for b in (block, other))
    assert np.allclose(first, second, atol=1e-4)


def test_both_sides_of_a_spatial_split_share_one_frame(block):
    left = block.read("coordinates")[:, 0] < 500
    train, test = block.take(np.flatnonzero(left)), block.take(np.flatnonzero(~left))
    model = load_model("coordinates").fit(train)
    for sample in range(3):
        ours = ModelRun(model).embed(train)[train.samples == sample, 0].max()
        theirs = ModelRun(model).embed(test)[test.samples == sample, 0].min()
        assert ours < theirs  # the right side lies to the right


def test_samples_not_seen_get_a_frame_of_their_own(block):
    model = load_model("coordinates").fit(block.take(np.flatnonzero(block.samples == 0)))
    new = block.take(np.flatnonzero(block.samples == 1))
    out = ModelRun(model).embed(new)
    assert np.allclose(out.mean(axis=0), 0, atol=1e-6)
    assert np.array_equal(out, ModelRun(load_model("coordinates").fit(new)).embed(new))


def test_a_single_point_lies_at_the_centre(block):
    one = block.take(np.array([0]))
    assert np.array_equal(ModelRun(load_model("coordinates").fit(one)).embed(one), [[0, 0]])


def test_refuses_before_fit(block):
    with pytest.raises(InputError, match="has not been fitted"):
        ModelRun(load_model("coordinates")).embed(block)
