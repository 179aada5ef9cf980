"""Random numbers that follow from a seed and a name alone, whatever else is in the table."""

import hashlib

import numpy as np
import pandas as pd
from scipy.special import ndtri

_STEP = np.uint64(0x9E3779B97F4A7C15)


def name_keys(names: pd.Index, purpose: str) -> np.ndarray:
    """Return a 64-bit hash of every name (n_names,), keyed by a text such as "bins 0" (SipHash)."""
    key = hashlib.sha256(purpose.encode()).hexdigest()[:16]
    return pd.util.hash_array(names.astype(str).to_numpy(dtype=object), hash_key=key, categorize=False)


def named_normals(names: pd.Index, *, seed: int, dimension: int) -> np.ndarray:
    """Return standard normal numbers (n_names, dimension) that depend on the seed and on each name alone.

    The hash of a name starts a SplitMix64 sequence (Steele et al. 2014, OOPSLA), one number per column; the uniform
    numbers become normal by the inverse of the distribution function.
    """
    state = name_keys(names, str(seed))[:, None] + _STEP * np.arange(1, dimension + 1, dtype=np.uint64)[None, :]
    # the finaliser of SplitMix64
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    state ^= state >> np.uint64(31)
    # the upper 53 bits as a number within (0, 1)
    uniform = ((state >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return np.asarray(ndtri(uniform))
