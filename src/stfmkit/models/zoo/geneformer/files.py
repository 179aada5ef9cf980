"""Which of several published dictionaries belong to a checkpoint of Geneformer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError
from stfmkit.models.weights.files import Files
from stfmkit.models.weights.tables import read_mapping

KINDS = ("token_dictionary", "gene_median_dictionary", "ensembl_mapping_dict", "gene_name_id_dict")
SIZES = {"_gc104M": ("104M", "316M"), "_gc95M": ("95M",)}
"""What the published folder of a checkpoint has in its name, by the release of its dictionaries."""


def check_no_root(folder: Path, *, wanted: str, what: str) -> None:
    """Refuse the root of a repository without the folder of a tag: its own checkpoint is another one."""
    if (folder / "geneformer").is_dir() and folder.name != wanted:
        held = sorted(path.parent.name for path in folder.glob("*/config.json"))
        raise InputError(
            f"the root of a repository, {folder.name!r}, without the folder {wanted!r} of {what!r}.",
            allowed=f"a folder of a checkpoint, or a repository with it; here are {listed(held) or 'none'}",
            remedy="pass the folder of the checkpoint as weights=; that in the root itself is the default of its "
            "release, which the name without a tag loads.",
        )


def choose_release(
    files: Files, folder: Path, *, releases: Sequence[str], beside: Sequence[str], names: Sequence[str], what: str
) -> str:
    """Return the end of the names of the dictionaries that belong to a checkpoint.

    Parameters
    ----------
    files
        What finds files.
    folder
        Folder of the checkpoint.
    releases
        Ends of names, "" for none; files without one count only where no other is beside them.
    beside
        Where else dictionaries may lie; the nearest place with any counts.
    names
        Published names that may tell the release, the first that does counts.
    what
        Name of the model, for errors.

    Raises
    ------
    MissingFileError
        There are no dictionaries.
    InputError
        There are different ones, and no name tells which.
    """
    wanted = [f"{KINDS[0]}{release}.pkl" for release in releases]
    first = files.peek(folder, *wanted, beside=beside)
    if first is None:
        first = files.find(folder, *wanted, what=what, beside=beside)
    place = first.parent
    held = [release for release in releases if release and (place / f"{KINDS[0]}{release}.pkl").is_file()] or [""]
    told = [[release for release in held if any(size in name for size in SIZES.get(release, ()))] for name in names]
    certain = [found[0] for found in told if len(found) == 1]
    if len(held) == 1 or certain or _all_equal(place, held):
        return [*certain, *held][0]
    suffixes = [release.removeprefix("_") for release in held]
    raise InputError(
        f"different dictionaries of the releases {listed(suffixes)} in {place.name!r}, and the folder of the "
        f"checkpoint, {folder.name!r}, does not tell which are its own.",
        allowed="a folder with the published name (95M for gc95M, 104M or 316M for gc104M), or one release",
        remedy=f"pass dictionaries= with one of {listed(suffixes)}.",
    )


def read_dictionaries(
    files: Files, folder: Path, *, release: str, beside: Sequence[str], what: str
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any] | None, dict[str, Any] | None]:
    """Return tokens, medians, successors of retired ids, and symbols, of one release; the last two may be missing."""
    tokens, medians, mapping, symbols = (f"{kind}{release}.pkl" for kind in KINDS)
    needed = [files.find(folder, name, what=what, beside=beside) for name in (tokens, medians)]
    more = [files.look(folder, name, beside=beside) for name in (mapping, symbols)]
    held = [None if path is None else read_mapping(path) for path in more]
    return read_mapping(needed[0]), read_mapping(needed[1]), held[0], held[1]


def _all_equal(place: Path, releases: Sequence[str]) -> bool:
    """Return whether the dictionaries of all releases hold the same, as the published gc95M and gc104M do."""
    for kind in KINDS:
        paths = [place / f"{kind}{release}.pkl" for release in releases]
        if len({path.read_bytes() if path.is_file() else b"" for path in paths}) > 1:
            return False
    return True
