"""Compare numbers of a network with those of its original, on the scale of the numbers."""

from typing import Any

import numpy as np
import torch

PARITY = 1e-5
"""Largest difference from the original, or between two runs of our own that differ in batches, order or the path of the
data, as a share of the largest absolute value."""


def assert_parity(found: Any, wanted: Any) -> None:
    """Fail where an array differs from another by more than `PARITY` of the largest value of that other.

    An absolute tolerance would be loose for small values and out of reach for large ones: float32 sums of the same
    terms in another order differ by a share of the values, and the order depends on the processor and its threads.
    """
    found, wanted = _array(found), _array(wanted)
    assert found.shape == wanted.shape
    scale = np.abs(wanted[np.isfinite(wanted)]).max(initial=0.0)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=PARITY * scale)


def _array(values: Any) -> np.ndarray:
    return np.asarray(values.detach() if isinstance(values, torch.Tensor) else values, dtype=np.float64)
