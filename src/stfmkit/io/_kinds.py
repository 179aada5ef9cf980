"""Tell what a path holds from its name and the names of the files in it; nothing is opened but zarr attributes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError

_ANNDATA, _SPATIALDATA = "anndata.zarr", "spatialdata.zarr"


@dataclass(frozen=True)
class Folder:
    """What a platform's output folder looks like, and who reads it.

    Attributes
    ----------
    reader
        Function of ``spatialdata_io``.
    marks
        Endings of paths inside the folder; every one of them must be there.
    """

    reader: str
    marks: tuple[str, ...]


FOLDERS = {
    "xenium": Folder("xenium", ("experiment.xenium",)),
    "visium_hd": Folder("visium_hd", ("feature_slice.h5",)),
    "visium": Folder("visium", ("feature_bc_matrix.h5", "spatial/scalefactors_json.json")),
    "cosmx": Folder("cosmx", ("_exprMat_file.csv", "_fov_positions_file.csv")),
    "merscope": Folder("merscope", ("cell_by_gene.csv", "images/micron_to_mosaic_pixel_transform.csv")),
}
"""Platform folders, the more specific ones first."""

KINDS = ("h5ad", _ANNDATA, _SPATIALDATA, *FOLDERS)
"""Every kind that `read` knows."""


def guess_kind(path: Path) -> str:
    """Return the kind of an existing path.

    Raises
    ------
    InputError
        The path looks like nothing that is known; the error says what was seen.
    """
    kind = _kind_of_folder(path) if path.is_dir() else _kind_of_file(path)
    if kind is not None:
        return kind
    if path.suffix in {".parquet", ".csv", ".gz", ".tsv"}:
        remedy = "bin molecules with sk.pp.bin(path, ...), or read the table yourself and make an AnnData of it."
    else:
        remedy = "pass the folder that the platform wrote, or kind= if the file names were changed."
    raise InputError(
        f"{path.name!r}, a {_seen(path)}.",
        allowed=f"what anndata, spatialdata or spatialdata-io read: {listed(KINDS)}",
        remedy=remedy,
    )


def missing_marks(path: Path, kind: str) -> list[str]:
    """Return the endings of files that a platform folder should have and has not."""
    names = list(_names(path))
    return [mark for mark in FOLDERS[kind].marks if not _has(names, mark)]


def _kind_of_file(path: Path) -> str | None:
    return "h5ad" if path.suffix in {".h5ad", ".h5"} else None


def _kind_of_folder(path: Path) -> str | None:
    attributes = _zarr_attributes(path)
    if attributes is not None:
        if "spatialdata_attrs" in attributes:
            return _SPATIALDATA
        return _ANNDATA if attributes.get("encoding-type") == "anndata" else None
    names = list(_names(path))
    return next((kind for kind, folder in FOLDERS.items() if all(_has(names, mark) for mark in folder.marks)), None)


def _zarr_attributes(path: Path) -> dict[str, object] | None:
    for name, nested in (("zarr.json", True), (".zattrs", False)):
        file = path / name
        if file.is_file():
            try:
                attributes = json.loads(file.read_text(encoding="utf-8"))
            except ValueError as error:
                raise InputError(
                    f"{file}, which is not valid JSON ({error}).",
                    allowed="a whole zarr store",
                    remedy="copy or write the store again; this one is damaged.",
                ) from error
            return dict(attributes.get("attributes", {}) if nested else attributes)
    return None


def _names(path: Path) -> Iterator[str]:
    """Yield the files of a folder and of its direct subfolders, as they stand on disk."""
    for entry in sorted(path.iterdir()):
        yield entry.name
        if entry.is_dir():
            yield from (f"{entry.name}/{inner.name}" for inner in sorted(entry.iterdir()))


def _has(names: list[str], mark: str) -> bool:
    return any(name.removesuffix(".gz").endswith(mark) for name in names)


def _seen(path: Path) -> str:
    if path.is_dir():
        return f"folder with {listed([entry.name for entry in sorted(path.iterdir())], most=6)}"
    return f"file of {path.stat().st_size} bytes with the ending {path.suffix!r}"
