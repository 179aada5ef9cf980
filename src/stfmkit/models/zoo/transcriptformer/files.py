"""The vocabulary of TranscriptFormer: names beside the protein vectors of every species."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import h5py
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError
from stfmkit._data.declared_sizes import check_h5
from stfmkit.models.genes.alignment import GeneVocabulary
from stfmkit.models.weights.tables import read_mapping

Paths: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

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
        check_h5(path)
        with h5py.File(path) as file:
            return [name.decode() for name in file["keys"][:]]
    except (OSError, KeyError) as error:
        raise InputError(
            f"{path.name} ({path.stat().st_size:,} bytes): {error}",
            allowed="a file of protein vectors with its keys",
            remedy="unpack the published archive again.",
        ) from None


def as_texts(paths: Paths | None) -> tuple[str, ...]:
    """Return one path, several or none as text."""
    given = () if paths is None else (paths,) if isinstance(paths, str | os.PathLike) else tuple(paths)
    return tuple(os.fspath(path) for path in given)


def read_vectors(paths: Sequence[Path], state: Mapping[str, Tensor]) -> tuple[GeneVocabulary, Tensor]:
    """Return the genes of files of protein vectors, and a table of the special tokens and their vectors.

    The genes of the checkpoint are gone, as in the original; of an id in two files the first counts.

    Parameters
    ----------
    paths
        The files.
    state
        Tensors of the checkpoint, whose rows of special tokens stay.
    """
    width = state[TABLE].shape[1]
    held: dict[str, np.ndarray] = {}
    for path in paths:
        new = read_mapping(path) if path.suffix == ".pkl" else _read_arrays(path)
        held |= {str(name): row for name, row in new.items() if name not in held}
    rows = [np.asarray(row) for row in held.values()]
    wrong = sorted({row.shape for row in rows if row.shape != (width,)})
    table = np.stack(rows).astype(np.float32) if rows and not wrong else np.empty((0, width), dtype=np.float32)
    if not len(table) or not np.isfinite(table).all():
        found = f"vectors of shape {wrong[0]}" if wrong else "values that are not finite" if rows else "no vector"
        raise InputError(
            f"{listed(path.name for path in paths)} with {found}, for a model of width {width}.",
            allowed=f"finite protein vectors of shape ({width},), made as those of the model",
            remedy="pass a file of all_embeddings of the publication, or vectors of the same protein model.",
        )
    before = state[TABLE][: len(SPECIAL)].float()
    vocabulary = GeneVocabulary(pd.Index(list(held)), kind="ensembl", ids=len(SPECIAL) + np.arange(len(held)))
    return vocabulary, torch.cat([before, torch.from_numpy(table)])


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    names = read_gene_names(path)
    try:
        check_h5(path)
        with h5py.File(path) as file:
            return {name: file["arrays"][name][:] for name in names}
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(
            f"{path.name}: {error}",
            allowed="'keys' of names, and under 'arrays' a vector of every name",
            remedy="download the file again.",
        ) from None
