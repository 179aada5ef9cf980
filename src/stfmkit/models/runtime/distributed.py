"""The share of one of several processes that embed the same table, one on each device."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Share:
    """Which process this is, and of how many.

    Attributes
    ----------
    rank
        Number of this process.
    n
        Number of processes.
    """

    rank: int = 0
    n: int = 1

    def mine(self, parts: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """Return the parts of this process."""
        return parts[self.rank :: self.n]

    def together(self, out: np.ndarray | None, *, n_obs: int) -> np.ndarray:
        """Return the whole embedding (n_obs, d) in every process, d = 0 where none has a row.

        The rows of others are zero before, and those that nobody has stay zero.
        """
        if self.n == 1:
            return np.empty((n_obs, 0), dtype=np.float32) if out is None else out
        import accelerate
        import torch

        state = _state()
        widths = accelerate.utils.gather_object([0 if out is None else out.shape[1]])
        width = max(widths)
        if width == 0:
            return np.empty((n_obs, 0), dtype=np.float32)
        held = np.zeros((n_obs, width), dtype=np.float32) if out is None else out
        summed = accelerate.utils.reduce(torch.from_numpy(held).to(state.device), reduction="sum")
        return np.asarray(summed.cpu().numpy(), dtype=np.float32)


ALONE = Share()


def find_share() -> Share:
    """Return the share of a process that ``accelerate launch`` or ``torchrun`` started, otherwise all of the work.

    Raises
    ------
    ImportError
        Several processes were started, and accelerate is not installed.
    """
    n = int(os.environ.get("WORLD_SIZE", "1"))
    if n < 2:
        return ALONE
    try:
        state = _state()
    except ImportError:
        msg = (
            f"{n} processes (WORLD_SIZE), and accelerate, which joins their results, is not installed. "
            "Install it with: pip install 'stfmkit[accelerate]', or start one process."
        )
        raise ImportError(msg) from None
    return Share(rank=state.process_index, n=state.num_processes)


def _state() -> Any:
    """Return the group of processes of accelerate; without a GPU they talk over gloo."""
    import accelerate
    import torch

    return accelerate.PartialState(cpu=not torch.cuda.is_available())
