"""Random numbers averaged over neighbours: what smoothness alone scores."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit._core.arguments import check_integer
from stfmkit._kernels._neighbors import knn_within, mean_operator
from stfmkit.models.card import ModelCard
from stfmkit.models.contract import Block, EmbeddingModel, Requirements
from stfmkit.models.keyed_random import named_normals

CARD = ModelCard(
    name="random_smooth",
    target="stfmkit.models.baselines.random_smooth:RandomSmooth",
    family="baseline",
    summary="Random numbers averaged over spatial neighbours: smooth in space, and empty.",
    needs=("coordinates",),
    uses_neighbors=True,
    needs_rng=True,
    source="negative control for spatial smoothness",
)
CARDS = (CARD,)


class _Batch(NamedTuple):
    names: pd.Index
    smooth: sparse.csr_array


class RandomSmooth(EmbeddingModel):
    """Standard normal numbers, averaged over an observation and its nearest neighbours in the same sample.

    It is smooth in space and says nothing about the tissue: what it scores, smoothness alone scores.

    Parameters
    ----------
    rng
        Seed.
    dimension
        Number of columns.
    n_neighbors
        Number of neighbours; a smaller sample gives all it has.
    """

    card = CARD
    rng: int

    def __init__(self, *, rng: int = 0, dimension: int = 50, n_neighbors: int = 25) -> None:
        check_integer(dimension, name="dimension", least=1)
        check_integer(n_neighbors, name="n_neighbors", least=1)
        self.rng, self.dimension, self.n_neighbors = rng, dimension, n_neighbors

    def requirements(self) -> Requirements:
        """Return what the model needs."""
        return replace(super().requirements(), dimension=self.dimension)

    def prepare(self, block: Block) -> _Batch:
        """Return names and the averaging matrix."""
        neighbors = knn_within(np.asarray(block.read("coordinates")), block.samples, k=self.n_neighbors)
        return _Batch(block.obs_names, mean_operator(neighbors))

    def encode(self, batch: _Batch) -> np.ndarray:
        """Return (n_obs, dimension)."""
        return batch.smooth @ named_normals(batch.names, seed=self.rng, dimension=self.dimension)
