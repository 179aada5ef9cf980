"""Tokens of models that read all known genes at once, whatever their order."""

from typing import TYPE_CHECKING

import numpy as np

from stfmkit.models.genes.alignment import GeneMatch, align_counts
from stfmkit.models.nets.tokens import Tokens
from stfmkit.models.nets.value_kernels import log_values

if TYPE_CHECKING:
    from scipy import sparse


def logged_tokens(counts: "sparse.csr_array", match: GeneMatch, *, target: float = 0.0) -> Tokens:
    """Return the known genes of every observation with log1p of their counts; genes of one token are added up.

    Parameters
    ----------
    counts
        Counts (n_obs, n_genes).
    match
        Which genes the model knows.
    target
        Total that the known counts of an observation are scaled to first; 0 for counts as they are.
    """
    tokens = np.full(counts.shape[1], -1, dtype=np.int64)
    if len(np.unique(match.ids)) == len(match.ids) == len(np.unique(match.columns)):
        tokens[match.columns] = match.ids
    else:
        counts, tokens = align_counts(counts, match)
    return Tokens(*log_values((counts.indptr, counts.indices, counts.data), tokens, target=target))
