"""Position alone."""

from typing import Self

import numpy as np

from stfmkit.models.contract import Block
from stfmkit.models._cards import COORDINATES
from stfmkit.models._contract import check_needs, fitted


class Coordinates:
    """x and y, centred and divided by one length per sample, so that the frames of samples can be compared.

    The length is the root mean square distance from the centre; the shape of a sample is kept. Samples seen in `fit`
    keep the frame found there, so that both sides of a spatial split share one frame; other samples get their own. It
    is the alarm for leaks in space: where it scores well, neighbours sit on both sides of the split.
    """

    card = COORDINATES

    def __init__(self) -> None:
        self.frames_: dict[int, tuple[np.ndarray, float]] | None = None

    def fit(self, block: Block) -> Self:
        """Find the frame of every training sample."""
        check_needs(self.card, block)
        self.frames_ = {int(s): _frame(block, s) for s in np.unique(block.samples)}
        return self

    def prepare(self, block: Block) -> np.ndarray:
        """Return the coordinates in the frame of their sample."""
        check_needs(self.card, block)
        frames = fitted(self.card, self.frames_)
        placed = np.array(block.coords, dtype=np.float64)
        for sample in np.unique(block.samples):
            centre, length = frames.get(int(sample)) or _frame(block, sample)
            rows = block.samples == sample
            placed[rows] = (placed[rows] - centre) / length
        return placed

    def encode(self, batch: np.ndarray) -> np.ndarray:
        """Return (n_obs, 2)."""
        return batch


def _frame(block: Block, sample: int) -> tuple[np.ndarray, float]:
    """Centre and length of one sample; the length of a single point is 1."""
    coords = np.asarray(block.coords)[block.samples == sample]
    centre = coords.mean(axis=0)
    length = float(np.sqrt(((coords - centre) ** 2).sum(axis=1).mean()))
    return centre, length if length > 0 else 1.0
