"""The files of a species for UCE: the published ones, or those that its notebook makes for a further species."""

from pathlib import Path

import pandas as pd

from stfmkit._core.arguments import listed, nearest
from stfmkit._core.errors import InputError
from stfmkit.models.weights.files import Files
from stfmkit.models.zoo.uce.files import FOLDERS, SPECIES, TABLES, SpeciesFiles

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
