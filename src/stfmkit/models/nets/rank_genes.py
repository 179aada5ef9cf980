"""The dictionaries of rank-based models: tokens, medians, retired ids and symbols."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError
from stfmkit.models.genes.alignment import GeneVocabulary
from stfmkit.models.nets.rank_kernels import rank_tokens


@dataclass(frozen=True, eq=False)
class RankGenes:
    """Genes of a rank-based model.

    Attributes
    ----------
    vocabulary
        Names and tokens; several names may stand for one token.
    medians
        What a count is divided by, for every token (n_tokens,).
    special
        Tokens that are no genes, by name.
    """

    vocabulary: GeneVocabulary
    medians: np.ndarray
    special: Mapping[str, int]


def rank_genes(
    tokens: Mapping[str, int], medians: Mapping[str, float], *, n_tokens: int, what: str,
    mapping: Mapping[str, str] | None = None,
) -> RankGenes:  # fmt: skip
    """Return the genes of a model from its published dictionaries.

    Parameters
    ----------
    tokens
        Token of every gene and special token.
    medians
        Median count of every gene over the corpus.
    n_tokens
        Tokens of the checkpoint.
    what
        Name of the model, for errors.
    mapping
        From names of genes to those of `tokens`; without it a gene stands for itself.

    Raises
    ------
    InputError
        The dictionaries are not those of the checkpoint, or of each other.
    """
    if len(tokens) != n_tokens or sorted(int(i) for i in tokens.values()) != list(range(len(tokens))):
        raise InputError(
            f"a dictionary of {len(tokens)} tokens, and a checkpoint of {what!r} with {n_tokens}.",
            allowed="the dictionaries that belong to the checkpoint",
            remedy="load the checkpoint under the name of its version, with the dictionaries of that version.",
        )
    special = {str(name): int(token) for name, token in tokens.items() if str(name).startswith("<")}
    genes = {str(name): int(token) for name, token in tokens.items() if str(name) not in special}
    bad = [name for name in genes if not (np.isfinite(medians.get(name, np.nan)) and medians[name] > 0)]
    if bad:
        raise InputError(
            f"no median above 0 for {len(bad)} of the {len(genes)} genes of {what!r}: {listed(bad, most=3)}.",
            allowed="a median of every gene",
            remedy="take the dictionaries of tokens and medians from the same release.",
        )
    factors = np.ones(len(tokens))
    factors[list(genes.values())] = [float(medians[name]) for name in genes]
    known = genes if mapping is None else {str(old): genes[new] for old, new in mapping.items() if new in genes}
    vocabulary = GeneVocabulary(pd.Index(list(known), dtype=object), kind="ensembl", ids=np.array(list(known.values())))
    return RankGenes(vocabulary, factors, special)


def ranked(
    counts: sparse.csr_array, ids: np.ndarray, medians: np.ndarray | None, totals: np.ndarray, *, limit: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the tokens of every observation by descending count over total and median, at most `limit`.

    Parameters
    ----------
    counts
        Counts (n_obs, m) of the known genes by ascending token.
    ids
        Their tokens (m,).
    medians
        Median of every token; None for a random twin, whose genes are ranked by their counts.
    totals
        Counts of all genes (n_obs,).
    limit
        Most genes.
    """
    values = counts.data.astype(np.float64)
    values = values / np.repeat(totals, np.diff(counts.indptr)) * 10_000
    if medians is not None:
        values = values / medians[ids][counts.indices]
    indptr, columns = rank_tokens(counts.indptr, counts.indices, values, limit=limit)
    return indptr, ids[columns]
