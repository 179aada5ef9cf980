"""The tables of UCE: gene names of the protein vectors, offsets of species, places in the genome."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from torch import Tensor

from stfmkit._core.arguments import listed, nearest
from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit.models.genes.alignment import GeneVocabulary
from stfmkit.models.weights.files import Files
from stfmkit.models.weights.tables import read_mapping
from stfmkit.models.weights.tensors import read_checkpoint

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
PUBLISHED_OFFSET = 143_574
_COLUMNS = ["species", "gene_symbol", "chromosome", "start"]


@dataclass(frozen=True)
class SpeciesFiles:
    """Where the files of a species lie.

    Attributes
    ----------
    proteins
        Protein vectors by gene name.
    offsets
        Token of the first gene.
    positions
        Chromosome and start of every gene.
    tokens
        Vectors of all tokens of a further species; None where they are those of the checkpoint.
    """

    proteins: Path
    offsets: Path
    positions: Path
    tokens: Path | None = None

    @property
    def own(self) -> bool:
        """Whether this is a further species, with a table of its own."""
        return self.tokens is not None


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
    n_chromosomes
        Number of chromosomes of all species of the table.
    """

    first: int
    chromosomes: np.ndarray
    starts: np.ndarray
    n_chromosomes: int = 0

    def place(self, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the chromosome and the start of tokens."""
        return self.chromosomes[tokens - self.first], self.starts[tokens - self.first]


def read_genome(files: SpeciesFiles, *, species: str, rows_of_file: bool) -> tuple[GeneVocabulary, Genome]:
    """Return the genes of a species that have a vector and a position, and where they lie.

    Parameters
    ----------
    files
        Where its files lie.
    species
        Name of the species in the tables.
    rows_of_file
        Whether names that differ only in case keep a token each, as they have a row each; the original counts them as
        one, so that its tokens of all later genes belong to the gene before.
    """
    held = read_mapping(files.offsets)
    if species not in held:
        raise MissingKeyError(
            f"no species {species!r} in {files.offsets.name}.",
            allowed=listed(held),
            remedy="pass species= of the publication.",
        )
    written = pd.Index(read_checkpoint(files.proteins, mapped=True)).astype(str)
    written = written if rows_of_file else written[~written.str.upper().duplicated()]
    names = written.str.upper()
    codes, starts, n_chromosomes = _positions(files.positions, species)
    known = names.isin(codes.index) & ~names.duplicated()
    if not known.any():
        raise InputError(
            f"no gene of {files.proteins.name} ({listed(names, most=3)}) is in {files.positions.name}.",
            allowed="tables of the same release",
            remedy="take both files from the published place.",
        )
    genome = Genome(
        first=int(held[species]),
        chromosomes=codes.reindex(names, fill_value=-1).to_numpy(dtype=np.int64),
        starts=starts.reindex(names, fill_value=0).to_numpy(dtype=np.float64),
        n_chromosomes=n_chromosomes,
    )
    tokens = genome.first + np.flatnonzero(known)
    told = species == "human" or bool((written != names).any())  # a table all in upper case tells nothing of the others
    return GeneVocabulary(written[known], kind="symbol", ids=tokens, fold_case=True, tells_case=told), genome


def check_table(table: Tensor, genome: Genome, *, offset: int | None, width: int, own: bool) -> int:
    """Return the token of the first chromosome, checked against the table of all tokens.

    Parameters
    ----------
    table
        Vectors of all tokens (n_tokens, width).
    genome
        Where the genes lie.
    offset
        What the caller says; None for the published number, or for what the table of a further species says.
    width
        Width of the checkpoint.
    own
        Whether the table is that of a further species: its chromosomes are the last rows.
    """
    shape, n_genes = tuple(table.shape), len(genome.chromosomes)
    if own and (table.ndim != 2 or shape[1] != width or genome.first + n_genes + genome.n_chromosomes > shape[0]):
        raise InputError(
            f"a table of shape {shape} for {genome.first} tokens, {n_genes} genes and {genome.n_chromosomes} "
            f"chromosomes of width {width}.",
            allowed="vectors, positions and tokens that were made together, for the width of the checkpoint",
            remedy="make the files of this species again, with the notebook of the publication.",
        )
    first = offset if offset is not None else shape[0] - genome.n_chromosomes if own else PUBLISHED_OFFSET
    last = first + int(genome.chromosomes.max())
    if last >= shape[0]:
        raise InputError(
            f"a chromosome of token {last}, and a table of {shape[0]} tokens.",
            allowed="tables and checkpoint of the same release",
            remedy="pass chrom_token_offset= where species have been added to the tables.",
        )
    return first


def _positions(path: Path, species: str) -> tuple[pd.Series, pd.Series, int]:
    """Return the code of the chromosome and the start by symbol; codes count the chromosomes of all species."""
    try:
        table = pd.read_csv(path, usecols=_COLUMNS, dtype={"chromosome": str, "species": str, "gene_symbol": str})
    except (ValueError, pd.errors.ParserError) as error:
        raise InputError(
            f"{path.name}: {error}", allowed=f"a table with {listed(_COLUMNS)}", remedy="download the file again."
        ) from None
    chromosomes = pd.Categorical(table["species"] + "_" + table["chromosome"])
    table["code"] = chromosomes.codes
    mine = table[(table["species"] == species) & (table["code"] >= 0)].drop_duplicates("gene_symbol")
    mine = mine.set_index("gene_symbol")
    return mine["code"], mine["start"], len(chromosomes.categories)


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


LIST = "new_species_protein_embeddings.csv"
PLACES = (*TABLES, "data_proc")
"""Where the repository of the publication keeps the files of further species."""


def find_species(files: Files, folder: Path, species: str, *, what: str) -> SpeciesFiles:
    """Return the files of a species.

    Raises
    ------
    InputError
        The species is neither published nor in the list of further ones.
    MissingFileError
        One of its files is not there.
    """
    if species in SPECIES:
        return SpeciesFiles(
            files.find(folder, f"{SPECIES[species]}.*.pt", beside=FOLDERS, what=what),
            files.find(folder, "species_offsets.pkl", beside=TABLES, what=what),
            files.find(folder, "species_chrom.csv", beside=TABLES, what=what),
        )
    names = {
        "offsets": (f"{species}_offsets.pkl", "species_offsets.pkl"),
        "positions": (f"{species}_to_chrom_pos.csv", "species_chrom.csv"),
        "tokens": (f"{species}_pe_tokens.torch", "all_tokens.torch"),
    }
    proteins = _proteins(files, folder, species, what=what)
    own = {kind: files.look(folder, name, beside=PLACES) for kind, (name, _) in names.items()}
    found = {
        kind: path or files.find(folder, *names[kind], beside=PLACES, what=what) for kind, path in own.items()
    }  # the species' own file counts before a general one, wherever it lies
    return SpeciesFiles(proteins, **found)


def _proteins(files: Files, folder: Path, species: str, *, what: str) -> Path:
    """Return the file that the list names, from its own folder, the one above, or the folder of protein vectors."""
    path = files.look(folder, LIST, beside=PLACES)
    held = {} if path is None else _read_list(path)
    if path is None or species not in held:
        known = [*SPECIES, *held]
        raise InputError(
            f"species={species!r}, which is not one of the publication" + ("." if path is None else f" or of {LIST}."),
            allowed=listed(known, most=20),
            remedy=f"pass one of these, or add the species as the notebook of the publication does: a row in {LIST}, "
            f"and {species}_to_chrom_pos.csv, {species}_offsets.pkl and {species}_pe_tokens.torch beside the "
            f"checkpoint.{nearest(species, known)}",
        )
    stated = Path(held[species])
    for place in (path.parent.parent / stated, path.parent / stated):
        if place.is_file():
            return files.find(place.parent, place.name, what=what)
    return files.find(folder, stated.name, beside=FOLDERS, what=what)


def _read_list(path: Path) -> dict[str, str]:
    try:
        table = pd.read_csv(path, usecols=["species", "path"], dtype=str).dropna()
    except (ValueError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(
            f"{path.name}: {error}", allowed="a table with 'species' and 'path'", remedy="write it again."
        ) from None
    return dict(zip(table["species"], table["path"], strict=True))
