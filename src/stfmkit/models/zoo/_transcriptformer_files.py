"""The vocabulary of TranscriptFormer: names beside the protein vectors of every species."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from torch import Tensor

from stfmkit._errors import InputError
from stfmkit._validate import listed
from stfmkit.models._genes import GeneVocabulary

SPECIAL = ("unknown", "[START]", "[END]", "[RD]", "[CELL]", "[PAD]", "[MASK]")
TABLE = "gene_embeddings.embedding.weight"


def read_vocabulary(
    paths: Sequence[Path], state: Mapping[str, Tensor], *, special: Sequence[str] | None
) -> tuple[GeneVocabulary, tuple[int, int]]:
    """Return the genes, and the shape of their table in the checkpoint; of an id in two species the first counts."""
    before = tuple(special or SPECIAL)
    genes = pd.Index([gene for path in paths for gene in read_gene_names(path)])
    genes = genes[~genes.duplicated()]
    n_rows, gene_dim = state[TABLE].shape if TABLE in state else (0, 0)
    if n_rows != len(before) + len(genes) or before[: len(SPECIAL)] != SPECIAL:
        raise InputError(
            f"a table of {n_rows} rows, and {len(before)} + {len(genes)} names in {listed(p.name for p in paths)}.",
            allowed="config.json, model_weights.pt and vocabs of the same release",
            remedy="pass the unpacked folder of this model.",
        )
    vocabulary = GeneVocabulary(genes, kind="ensembl", ids=len(before) + np.arange(len(genes)))
    return vocabulary, (n_rows, gene_dim)


def read_gene_names(path: Path) -> list[str]:
    """Return the names in a file of protein vectors; the vectors themselves are in the checkpoint."""
    try:
        with h5py.File(path) as file:
            return [name.decode() for name in file["keys"][:]]
    except (OSError, KeyError) as error:
        raise InputError(
            f"{path.name} ({path.stat().st_size:,} bytes): {error}",
            allowed="a file of protein vectors with its keys",
            remedy="unpack the published archive again.",
        ) from None
