"""Genes as tokens with quantile bins, as scGPT and its descendants read them."""

import hashlib

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit._kernels import _tokens_scgpt as kernels
from stfmkit.models.nets.tokens import Tokens

N_BINS = 51
"""Fixed by the original, whatever its configuration says."""


def binned_tokens(
    values: sparse.csr_array, ids: np.ndarray, names: pd.Index, *, seed: int, limit: int, first: tuple[int, float]
) -> Tokens:
    """Return the non-zero genes of every observation with their bins, a (token, value) before them.

    Parameters
    ----------
    values
        Non-negative values (n_obs, m).
    ids
        Token of every column (m,), ascending.
    names
        Names of the observations; random numbers follow from the seed, the name and the token alone.
    seed
        Of values that equal several edges of bins, and of the choice of genes.
    limit
        Most genes of an observation; of more, a random subset is taken after the binning.
    first
        Token and value that open every sequence.
    """
    held = sparse.csr_array(values, dtype=np.float32)
    if not held.data.all():
        held = held.copy()
        held.eliminate_zeros()
    csr, keys = (held.indptr, held.indices, held.data), row_keys(names, seed=seed)
    indptr, tokens, bins = kernels.bin_rows(csr, ids, keys, n_bins=N_BINS, limit=limit)
    return Tokens(indptr, tokens, bins, {"empty": np.diff(held.indptr) == 0}).framed(first=first)


def row_keys(names: pd.Index, *, seed: int) -> np.ndarray:
    """Return a 64-bit key for every name (n,), from the seed and the name alone."""
    key = hashlib.sha256(f"bins {seed}".encode()).hexdigest()[:16]
    return pd.util.hash_array(names.astype(str).to_numpy(dtype=object), hash_key=key, categorize=False)
