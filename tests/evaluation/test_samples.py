"""Samples: their rows, their patient, and which are large enough."""

import numpy as np

from stfmkit.evaluation.samples import sample_rows


def test_every_sample_has_its_rows_and_its_patient():
    samples, patients = np.array(["b", "a", "b", "c"]), np.array(["P2", "P1", "P2", "P1"])
    found = list(sample_rows(samples, patients))
    assert [(s.sample, s.patient, s.rows.tolist()) for s in found] == [
        ("a", "P1", [1]),
        ("b", "P2", [0, 2]),
        ("c", "P1", [3]),
    ]
    assert found[1].columns == {"sample": "b", "patient": "P2"}


def test_small_samples_are_left_out():
    samples = np.array([1, 1, 2])
    assert [s.sample for s in sample_rows(samples, samples, min_obs=2)] == ["1"]
    assert list(sample_rows(np.empty(0), np.empty(0))) == []
