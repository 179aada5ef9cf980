"""Composition against a loop."""

from dataclasses import replace

import numpy as np
import pytest

from stfmkit._core.errors import MissingKeyError
from stfmkit.models import load_model
from stfmkit.models.runtime.run import run_model


@pytest.mark.parametrize("k", [0, 1, 7])
def test_against_a_loop(block, k):
    out = run_model(load_model("celltype_composition", k=k), block)
    for i in range(block.n_obs):
        same = np.flatnonzero(block.samples == block.samples[i])
        near = same[np.argsort(((block.coords[same] - block.coords[i]) ** 2).sum(axis=1))[: k + 1]]
        assert np.allclose(out[i], block.composition[near].mean(axis=0), atol=1e-6)
    assert np.allclose(out.sum(axis=1), 1, atol=1e-5)


def test_needs_cell_types(block):
    with pytest.raises(MissingKeyError, match="reads composition"):
        run_model(load_model("celltype_composition"), replace(block, composition=None))
