"""Composition against a loop."""

from dataclasses import replace

import numpy as np
import pytest

from stfmkit._core.errors import MissingKeyError
from stfmkit.models import load_model
from stfmkit.models.runtime.run import ModelRun


@pytest.mark.parametrize("k", [0, 1, 7])
def test_against_a_loop(block, k):
    out = ModelRun(load_model("celltype_composition", n_neighbors=k)).embed(block)
    for i in range(block.n_obs):
        same = np.flatnonzero(block.samples == block.samples[i])
        near = same[
            np.argsort(((block.read("coordinates")[same] - block.read("coordinates")[i]) ** 2).sum(axis=1))[: k + 1]
        ]
        assert np.allclose(out[i], block.read("composition")[near].mean(axis=0), atol=1e-6)
    assert np.allclose(out.sum(axis=1), 1, atol=1e-5)


def test_needs_cell_types(block):
    with pytest.raises(MissingKeyError, match="reads composition"):
        ModelRun(load_model("celltype_composition")).embed(
            replace(block, inputs={"coordinates": block.read("coordinates")})
        )
