"""Sentences of UCE: genes drawn by expression and written by chromosome, keyed by name or as in the original."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from scipy import sparse

from stfmkit._core.errors import InputError
from stfmkit.models.keyed_random import name_keys
from stfmkit.models.nets.tokens import Tokens
from stfmkit.models.zoo.uce.files import Genome
from stfmkit.models.zoo.uce.kernels import draw_sentences

PAD, CLOSE, CLS = 0, 2, 3
_ENDS = np.iinfo(np.int64).min


def keyed_sentences(
    counts: sparse.csr_array,
    tokens: np.ndarray,
    genome: Genome,
    names: pd.Index,
    *,
    seed: int,
    n_genes: int,
    offset: int,
) -> Tokens:
    """Return sentences whose draws follow from the seed and the name of each observation.

    Parameters
    ----------
    counts
        Counts (n_obs, m).
    tokens
        Token of every column (m,).
    genome
        Where the genes lie.
    names
        Names of the observations.
    seed
        Seed.
    n_genes
        Draws for an observation.
    offset
        Token of the first chromosome.
    """
    codes, starts = genome.place(tokens)
    order = np.lexsort((tokens, starts, codes))
    placed = sparse.csr_array(counts[:, order])
    placed.sort_indices()
    csr = (placed.indptr, placed.indices, np.log1p(placed.data.astype(np.float64)))
    indptr, drawn = draw_sentences(csr, name_keys(names, f"sentences of {seed}"), codes[order], n_draws=n_genes)
    ids = np.where(drawn >= 0, tokens[order][np.maximum(drawn, 0)], offset - 1 - drawn)
    ids[drawn == _ENDS] = CLOSE
    return Tokens(indptr, ids, rows={"empty": np.diff(indptr) == 0}).framed(first=(CLS, 0.0))


def exact_sentences(
    counts: sparse.csr_array, tokens: np.ndarray, genome: Genome, *, seed: int, n_genes: int, offset: int
) -> Tokens:
    """Return the sentences of the original after ``np.random.seed(seed)``: one stream, in the order of the rows.

    Columns have to be in the order of the table, since the draw depends on it; probabilities are computed in float32
    by torch, as there.
    """
    stream = np.random.RandomState(seed)  # the original's own generator
    codes, starts = genome.place(tokens)
    every, sentences = np.arange(len(tokens)), []
    for row in range(counts.shape[0]):
        weights = torch.log1p(torch.from_numpy(counts[[row]].toarray().astype(np.int64)))
        shares = (weights / torch.sum(weights))[0].numpy()
        if not shares.any() or not np.isfinite(shares).all():
            sentences.append(np.zeros(0, dtype=np.int64))
            continue
        shares = shares / np.cumsum(shares)[-1]  # one after the other, like the built-in sum
        drawn = stream.choice(every, size=n_genes, p=shares, replace=True)
        present = np.unique(codes[drawn])
        stream.shuffle(present)
        rank = np.empty(codes.max() + 1, dtype=np.int64)
        rank[present] = np.arange(len(present))
        drawn = drawn[np.lexsort((tokens[drawn], starts[drawn], rank[codes[drawn]]))]
        begins = np.searchsorted(rank[codes[drawn]], np.arange(len(present)))
        opened = np.insert(tokens[drawn], begins, offset + present)
        ends = np.append(begins[1:], len(drawn)) + np.arange(1, len(present) + 1)
        sentences.append(np.concatenate([[CLS], np.insert(opened, ends, CLOSE)]))
    indptr = np.concatenate([[0], np.cumsum([len(sentence) for sentence in sentences])])
    return Tokens(indptr, np.concatenate(sentences))


def by_sample(sentences: Callable[[np.ndarray], Tokens], samples: np.ndarray) -> Tokens:
    """Return the sentences of every sample on its own, in the order of the rows; ``rows["sample"]`` tells them apart.

    Parameters
    ----------
    sentences
        Returns the sentences of the observations at some positions.
    samples
        Sample of every observation (n_obs,).
    """
    groups = [np.flatnonzero(samples == sample) for sample in np.unique(samples)]
    parts = [sentences(rows) for rows in groups]
    lengths = np.concatenate([part.lengths for part in parts])
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    joined = Tokens(indptr, np.concatenate([part.ids for part in parts]))
    back = np.argsort(np.concatenate(groups), kind="stable")
    return replace(joined.take(back), rows={"sample": samples})


def check_lengths(tokens: Tokens, *, most: int) -> None:
    """Refuse sentences that do not fit into the positions of the network."""
    longest = int(tokens.lengths.max(initial=0))
    if longest > most:
        raise InputError(
            f"a sentence of {longest} tokens (genes, and two for every chromosome) for {most} positions.",
            allowed=f"at most {most}",
            remedy="pass a smaller n_genes=.",
        )
