"""Depth against a loop."""

import numpy as np

from stfmkit.models import load_model
from stfmkit.models.runtime.run import ModelRun


def test_against_a_loop(block):
    out = ModelRun(load_model("library_size")).embed(block)
    for row, counts in zip(out, block.read("counts").toarray(), strict=True):
        assert np.isclose(row[0], np.log1p(counts.sum()), rtol=1e-6)
        assert np.isclose(row[1], np.log1p(np.count_nonzero(counts)), rtol=1e-6)


def test_stored_zeros_are_not_detected(block):
    block.read("counts").data[:5] = 0
    out = ModelRun(load_model("library_size")).embed(block)
    assert np.allclose(out[:, 1], np.log1p(np.count_nonzero(block.read("counts").toarray(), axis=1)))


def test_hidden_genes_do_not_count(block):
    hidden = np.array([0, 3])
    out = ModelRun(load_model("library_size")).embed(block.without_genes(hidden))
    kept = np.delete(block.read("counts").toarray(), hidden, axis=1)
    assert np.allclose(out[:, 0], np.log1p(kept.sum(axis=1)))
