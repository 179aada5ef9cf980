"""Which observations share a batch, and where and in which precision it is computed."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stfmkit.models.nets.tokens import batches
from stfmkit.models.runtime.device import MOST_TOKENS, computing


@dataclass(frozen=True)
class Batching:
    """The options of a network that say how it computes.

    Attributes
    ----------
    device
        Where.
    dtype
        Precision.
    batch_size
        Observations in a batch; None for as many as hold `MOST_TOKENS` of the device.
    """

    device: torch.device
    dtype: str
    batch_size: int | None

    def batches(self, lengths: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the rows that share a batch, given the number of tokens of every observation."""
        return batches(lengths, batch_size=self.batch_size, most_tokens=MOST_TOKENS[self.device.type])

    def on_device(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a batch on the device."""
        return {name: tensor.to(self.device) for name, tensor in batch.items()}

    def compute(self, forward: Callable[[dict[str, Tensor]], Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """Return what a function gives for a batch, on the device and in the precision, without gradients."""
        with torch.inference_mode(), computing(self.device, self.dtype):
            return forward(self.on_device(batch))

    def array(self, forward: Callable[[dict[str, Tensor]], Tensor], batch: Mapping[str, Tensor]) -> np.ndarray:
        """Return what a function gives for a batch as a float32 array in memory."""
        with torch.inference_mode():
            values: Any = self.compute(forward, batch).float().cpu().numpy()
        return np.asarray(values)
