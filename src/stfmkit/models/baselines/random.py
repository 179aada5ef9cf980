"""Noise."""

import hashlib

import numpy as np
import pandas as pd
from scipy.special import ndtri

from stfmkit._core.arguments import check_integer
from stfmkit.models.contract import Block
from stfmkit.models._cards import RANDOM

_STEP = np.uint64(0x9E3779B97F4A7C15)


class Random:
    """Independent standard normal numbers, the floor of every comparison.

    The vector of an observation follows from the seed and its name alone: it does not depend on which others are there.

    Parameters
    ----------
    rng
        Seed.
    dimension
        Number of columns.
    """

    card = RANDOM

    def __init__(self, *, rng: int, dimension: int = 50) -> None:
        check_integer(dimension, name="dimension", least=1)
        self.rng, self.dimension = rng, dimension

    def prepare(self, block: Block) -> pd.Index:
        """Return the names."""
        return block.obs_names

    def encode(self, batch: pd.Index) -> np.ndarray:
        """Return (n_obs, dimension)."""
        return named_normals(batch, seed=self.rng, dimension=self.dimension)


def named_normals(names: pd.Index, *, seed: int, dimension: int) -> np.ndarray:
    """Return standard normal numbers (n_names, dimension) that depend on the seed and on each name alone.

    A keyed hash (SipHash) of the name starts a SplitMix64 sequence (Steele et al. 2014, OOPSLA), one number per column;
    the uniform numbers become normal by the inverse of the distribution function.
    """
    key = hashlib.sha256(str(seed).encode()).hexdigest()[:16]
    start = pd.util.hash_array(names.astype(str).to_numpy(dtype=object), hash_key=key, categorize=False)
    state = start[:, None] + _STEP * np.arange(1, dimension + 1, dtype=np.uint64)[None, :]
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    state ^= state >> np.uint64(31)
    uniform = ((state >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return np.asarray(ndtri(uniform))
