"""Smooth noise."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit._core.arguments import check_integer
from stfmkit._kernels._neighbors import knn_within, mean_operator
from stfmkit.models.contract import Block
from stfmkit.models._cards import RANDOM_SMOOTH
from stfmkit.models._contract import check_needs
from stfmkit.models.baselines.random import named_normals


class _Batch(NamedTuple):
    names: pd.Index
    smooth: sparse.csr_array


class RandomSmooth:
    """The numbers of `Random`, averaged over an observation and its nearest neighbours in the same sample.

    It is smooth in space and says nothing about the tissue: what it scores, smoothness alone scores.

    Parameters
    ----------
    rng
        Seed.
    dimension
        Number of columns.
    k
        Number of neighbours; a smaller sample gives all it has.
    """

    card = RANDOM_SMOOTH

    def __init__(self, *, rng: int, dimension: int = 50, k: int = 25) -> None:
        check_integer(dimension, name="dimension", least=1)
        check_integer(k, name="k", least=1)
        self.rng, self.dimension, self.k = rng, dimension, k

    def prepare(self, block: Block) -> _Batch:
        """Return names and the averaging matrix."""
        check_needs(self.card, block)
        neighbors = knn_within(np.asarray(block.coords), block.samples, k=self.k)
        return _Batch(block.obs_names, mean_operator(neighbors))

    def encode(self, batch: _Batch) -> np.ndarray:
        """Return (n_obs, dimension)."""
        return batch.smooth @ named_normals(batch.names, seed=self.rng, dimension=self.dimension)
