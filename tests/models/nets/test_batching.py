"""Batches on a device."""

import numpy as np
import pytest
import torch

from stfmkit.models.nets.batching import Batching


@pytest.mark.parametrize("size", [1, 3, None])
def test_every_row_is_in_one_batch(size: int | None) -> None:
    lengths = np.array([5, 0, 7, 7, 2, 900])
    found = list(Batching(torch.device("cpu"), "float32", size).batches(lengths))
    assert sorted(np.concatenate(found).tolist()) == list(range(6))
    assert size is None or max(map(len, found)) <= size


def test_results_are_arrays_without_gradients() -> None:
    batching = Batching(torch.device("cpu"), "float32", None)
    weight = torch.ones(3, requires_grad=True)
    out = batching.array(lambda batch: (batch["x"] * weight).half(), {"x": torch.arange(6.0).view(2, 3)})
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, np.arange(6.0).reshape(2, 3))
    assert not batching.compute(lambda batch: batch["x"] * weight, {"x": torch.ones(3)}).requires_grad
