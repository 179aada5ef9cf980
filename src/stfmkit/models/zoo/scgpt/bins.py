"""Genes as tokens with quantile bins, as scGPT and its descendants read them."""

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit.models.keyed_random import name_keys
from stfmkit.models.nets.tokens import Tokens
from stfmkit.models.zoo.scgpt import kernels

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
    csr, keys = (held.indptr, held.indices, held.data), name_keys(names, f"bins {seed}")
    indptr, tokens, bins = kernels.bin_rows(csr, ids, keys, n_bins=N_BINS, limit=limit)
    return Tokens(indptr, tokens, bins, {"empty": np.diff(held.indptr) == 0}).framed(first=first)
