"""The tables of UCE: gene names of the protein vectors, offsets of species, places in the genome."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from torch import Tensor

from stfmkit._errors import InputError, MissingKeyError
from stfmkit._validate import listed
from stfmkit.models._genes import GeneVocabulary
from stfmkit.models._mappings import read_mapping
from stfmkit.models._weights import read_checkpoint

FOLDERS = ("protein_embeddings", "model_files/protein_embeddings")
TABLES = ("model_files",)
SPECIES = {
    "human": "Homo_sapiens",
    "mouse": "Mus_musculus",
    "frog": "Xenopus_tropicalis",
    "zebrafish": "Danio_rerio",
    "mouse_lemur": "Microcebus_murinus",
    "pig": "Sus_scrofa",
    "macaca_fascicularis": "Macaca_fascicularis",
    "macaca_mulatta": "Macaca_mulatta",
}
_COLUMNS = ["species", "gene_symbol", "chromosome", "start"]


@dataclass(frozen=True, eq=False)
class Genome:
    """Where genes lie.

    Attributes
    ----------
    first
        Token of the first gene.
    chromosomes
        Code of the chromosome of every token from `first` on (n_genes,), -1 where it is not known.
    starts
        Position on it (n_genes,).
    """

    first: int
    chromosomes: np.ndarray
    starts: np.ndarray

    def place(self, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the chromosome and the start of tokens."""
        return self.chromosomes[tokens - self.first], self.starts[tokens - self.first]


def read_genome(proteins: Path, offsets: Path, positions: Path, *, species: str) -> tuple[GeneVocabulary, Genome]:
    """Return the genes of a species that have a vector and a position, and where they lie."""
    held = read_mapping(offsets)
    if species not in held:
        raise MissingKeyError(
            f"no species {species!r} in {offsets.name}.",
            allowed=listed(held),
            remedy="pass species= of the publication.",
        )
    names = pd.Index(read_checkpoint(proteins, mapped=True)).astype(str).str.upper()
    names = names[~names.duplicated()]
    codes, starts = _positions(positions, species)
    known = names.isin(codes.index)
    if not known.any():
        raise InputError(
            f"no gene of {proteins.name} ({listed(names, most=3)}) is in {positions.name}.",
            allowed="tables of the same release",
            remedy="take both files from the published place.",
        )
    genome = Genome(
        first=int(held[species]),
        chromosomes=codes.reindex(names, fill_value=-1).to_numpy(dtype=np.int64),
        starts=starts.reindex(names, fill_value=0).to_numpy(dtype=np.float64),
    )
    tokens = genome.first + np.flatnonzero(known)
    return GeneVocabulary(names[known], kind="symbol", ids=tokens, fold_case=True), genome


def _positions(path: Path, species: str) -> tuple[pd.Series, pd.Series]:
    """Return the code of the chromosome and the start by symbol; codes count the chromosomes of all species."""
    try:
        table = pd.read_csv(path, usecols=_COLUMNS, dtype={"chromosome": str, "species": str, "gene_symbol": str})
    except (ValueError, pd.errors.ParserError) as error:
        raise InputError(
            f"{path.name}: {error}", allowed=f"a table with {listed(_COLUMNS)}", remedy="download the file again."
        ) from None
    table["code"] = pd.Categorical(table["species"] + "_" + table["chromosome"]).codes
    mine = table[(table["species"] == species) & (table["code"] >= 0)].drop_duplicates("gene_symbol")
    mine = mine.set_index("gene_symbol")
    return mine["code"], mine["start"]


def sizes_of(state: Mapping[str, Tensor], *, what: str) -> dict[str, int]:
    """Return the sizes of a published checkpoint; the number of heads is not in it."""
    named = {
        "token_dim": ("encoder.0.weight", 1),
        "d_model": ("encoder.0.weight", 0),
        "d_hid": ("transformer_encoder.layers.0.linear1.weight", 0),
        "hidden": ("decoder.0.0.weight", 0),
        "output_dim": ("decoder.3.weight", 0),
        "pad_length": ("pos_encoder.pe", 0),
        "n_tokens": ("pe_embedding.weight", 0),
    }
    missing = sorted({tensor for tensor, _ in named.values() if tensor not in state})
    if missing:
        raise InputError(
            f"a checkpoint that is not one of {what!r}: tensors {len(missing)} missing ({listed(missing, most=3)}).",
            allowed="a published checkpoint of UCE",
            remedy="pass the checkpoint of this model.",
        )
    layers = {name.split(".")[2] for name in state if name.startswith("transformer_encoder.layers.")}
    return {name: int(state[tensor].shape[axis]) for name, (tensor, axis) in named.items()} | {"nlayers": len(layers)}
