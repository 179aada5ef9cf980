"""Random numbers: the floor of every comparison."""

from dataclasses import replace

import numpy as np
import pandas as pd

from stfmkit._core.arguments import check_integer
from stfmkit.models.card import ModelCard
from stfmkit.models.contract import Block, EmbeddingModel, Requirements
from stfmkit.models.keyed_random import named_normals

CARD = ModelCard(
    name="random",
    target="stfmkit.models.baselines.random:Random",
    family="baseline",
    summary="Independent standard normal numbers for every observation; the floor.",
    needs=(),
    needs_rng=True,
    source="negative control",
)
CARDS = (CARD,)


class Random(EmbeddingModel):
    """Independent standard normal numbers, the floor of every comparison.

    The vector of an observation follows from the seed and its name alone: it does not depend on which others are there.

    Parameters
    ----------
    rng
        Seed.
    dimension
        Number of columns.
    """

    card = CARD
    rng: int

    def __init__(self, *, rng: int = 0, dimension: int = 50) -> None:
        check_integer(dimension, name="dimension", least=1)
        self.rng, self.dimension = rng, dimension

    def requirements(self) -> Requirements:
        """Return what the model needs."""
        return replace(super().requirements(), dimension=self.dimension)

    def prepare(self, block: Block) -> pd.Index:
        """Return the names."""
        return block.obs_names

    def encode(self, batch: pd.Index) -> np.ndarray:
        """Return (n_obs, dimension)."""
        return named_normals(batch, seed=self.rng, dimension=self.dimension)
