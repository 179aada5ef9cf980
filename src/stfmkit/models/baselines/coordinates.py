"""The coordinates: what position alone tells."""

from typing import Self

import numpy as np

from stfmkit.models.card import ModelCard
from stfmkit.models.contract import Block, EmbeddingModel

CARD = ModelCard(
    name="coordinates",
    target="stfmkit.models.baselines.coordinates:Coordinates",
    family="baseline",
    summary="Position alone: x and y, centred and scaled per sample; the alarm for spatial leaks.",
    needs=("coordinates",),
    fits=True,
    uses_neighbors=True,
    dimension=2,
    source="control for spatial autocorrelation",
    control=True,
)
CARDS = (CARD,)


class Coordinates(EmbeddingModel):
    """x and y, centred and divided by one length per sample, so that the frames of samples can be compared.

    The length is the root mean square distance from the centre; the shape of a sample is kept. Samples seen in `fit`
    keep the frame found there, so that both sides of a spatial split share one frame; other samples get their own. It
    is the alarm for leaks in space: where it scores well, neighbours sit on both sides of the split.
    """

    card = CARD

    def __init__(self) -> None:
        self._frames: dict[int, tuple[np.ndarray, float]] | None = None

    def fit(self, block: Block) -> Self:
        """Find the frame of every training sample."""
        self._frames = {int(s): _frame(block, s) for s in np.unique(block.samples)}
        return self

    def prepare(self, block: Block) -> np.ndarray:
        """Return the coordinates in the frame of their sample."""
        frames = self.learned(self._frames)
        placed = np.array(block.read("coordinates"), dtype=np.float64)
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
    coords = np.asarray(block.read("coordinates"))[block.samples == sample]
    centre = coords.mean(axis=0)
    length = float(np.sqrt(((coords - centre) ** 2).sum(axis=1).mean()))
    return centre, length if length > 0 else 1.0
