"""Flags of genes: one fault at a time."""

import numpy as np
import pytest

from stfmkit._core.errors import InputError, InputTypeError
from stfmkit.pp._gene_limits import GeneLimits, check_limits, flags


def test_flags_one_fault_at_a_time():
    good = {"detect_frac": 0.5, "n_eff": 0.4, "fano": 2.0, "morans_i": 0.3, "depth_r2": 0.2}
    faults = [
        {},
        {"detect_frac": 0.04},
        {"n_eff": 0.01},
        {"detect_frac": 0.99, "morans_i": 0.01},
        {"detect_frac": 0.99, "fano": 1.05},
        {"fano": 1.05},  # like a Poisson, but not everywhere
        {"detect_frac": 0.99},
        {"depth_r2": 0.6},
        {"depth_r2": np.nan, "fano": np.nan},
    ]
    rows = [{**good, **fault} for fault in faults]
    got = flags({name: np.array([row[name] for row in rows]) for name in good}, GeneLimits())
    assert np.flatnonzero(got["too_sparse"]).tolist() == [1, 2]
    assert np.flatnonzero(got["too_flat"]).tolist() == [3, 4]
    assert np.flatnonzero(got["depth_driven"]).tolist() == [7]
    loose = flags(
        {name: np.array([row[name] for row in rows]) for name in good},
        GeneLimits(min_detect_frac=0, min_n_eff=0, flat_detect_frac=1, max_depth_r2=1),
    )
    assert not any(flag.any() for flag in loose.values())


@pytest.mark.parametrize("limit", ["min_detect_frac", "min_n_eff", "flat_detect_frac", "max_depth_r2", "flat_fano"])
def test_limits_that_cannot_be(limit):
    with pytest.raises(InputError, match=limit):
        GeneLimits(**{limit: -0.1})


def test_no_limits_are_the_defaults():
    assert check_limits(None) == GeneLimits()
    with pytest.raises(InputTypeError, match=r"sk\.pp\.GeneLimits"):
        check_limits({"max_depth_r2": 1.0})
