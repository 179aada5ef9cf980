"""Tell what a path holds, and read it with the readers of the field."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stfmkit._core.arguments import check_choice, listed, nearest
from stfmkit._core.errors import InputError, MissingFileError
from stfmkit._core.optional import require
from stfmkit._data.declared_sizes import check_h5, check_zarr

if TYPE_CHECKING:
    from stfmkit._data.view import Container


_READERS = {
    "h5ad": ("anndata", "read_h5ad"),
    "anndata.zarr": ("anndata", "read_zarr"),
    "spatialdata.zarr": ("spatialdata", "read_zarr"),
}
# What h5py, zarr, pandas and pyarrow raise for files that are cut off, empty or of another format.
_BROKEN = (OSError, KeyError, ValueError, RuntimeError, EOFError, AttributeError, MemoryError)


def read(path: str | PathLike[str], *, kind: str | None = None, **options: Any) -> "Container":
    """Read a file or folder with the reader of anndata, spatialdata or spatialdata-io.

    Parameters
    ----------
    path
        An ``.h5ad`` file, a zarr store of anndata or spatialdata, or the output folder of Xenium, Visium, Visium HD,
        CosMx or MERSCOPE.
    kind
        What `path` is, one of "h5ad", "anndata.zarr", "spatialdata.zarr", "xenium", "visium", "visium_hd", "cosmx",
        "merscope". Found from the names of the files if None.
    options
        Passed on to the reader, such as ``backed="r"`` for ``anndata.read_h5ad``.

    Returns
    -------
    AnnData or SpatialData
        As the reader returns it; nothing is added. The length of a coordinate unit is not guessed: state it with
        ``adata.uns["stfmkit"] = {"microns_per_unit": ...}``, or pass ``microns_per_unit`` where it is asked for.

    Raises
    ------
    MissingFileError
        There is nothing at `path`.
    InputError
        The kind is unknown, the file is corrupt or cut off, a platform folder lacks files, or spatialdata-io is not
        installed. (A zarr store that lacks single chunks cannot be told from one that holds zeros there.)

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from anndata import AnnData
    >>> import stfmkit as sk
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "spots.h5ad"
    ...     AnnData(np.ones((3, 2), dtype=np.float32)).write_h5ad(file)
    ...     sk.io.read(file).shape
    (3, 2)
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise MissingFileError(
            f"nothing at {str(path)!r}.", allowed="an existing file or folder", remedy=f"check the path.{_near(path)}"
        )
    if kind is None:
        kind = guess_kind(path)
    check_choice(kind, KINDS, name="kind")
    if kind in FOLDERS:
        _check_folder(path, kind)
        reader = getattr(_spatialdata_io(kind), FOLDERS[kind].reader)
    else:
        module, function = _READERS[kind]
        reader = getattr(import_module(module), function)
    try:
        if kind == "h5ad" and not options.get("backed"):
            check_h5(path)
        elif kind == _ANNDATA:
            check_zarr(path)
        return reader(path, **options)
    except InputError:
        raise
    except (*_BROKEN, _unknown_encoding()) as error:
        raise InputError(
            f"{str(path)!r}, which {reader.__module__.partition('.')[0]} cannot read as {kind}: {_one_line(error)}",
            allowed=f"a whole {kind} file or folder",
            remedy="copy or download it again if it was cut off; pass kind= or options if it is something else.",
        ) from error


def _check_folder(path: Path, kind: str) -> None:
    if not path.is_dir():
        raise InputError(
            f"{str(path)!r} is a file, and kind={kind!r}.",
            allowed=f"the output folder of {kind}",
            remedy="pass the folder that the platform wrote.",
        )
    missing = missing_marks(path, kind)
    if missing:
        raise InputError(
            f"no file ending in {' or '.join(map(repr, missing))} in {str(path)!r}.",
            allowed=f"the whole output folder of {kind}",
            remedy="copy the folder again, or pass another kind.",
        )


def _spatialdata_io(kind: str) -> Any:
    try:
        return require("spatialdata_io", extra="io")
    except ImportError as error:
        raise InputError(
            f"a {kind} folder, and spatialdata-io cannot be imported ({error}).",
            allowed="spatialdata-io installed",
            remedy="pip install 'stfmkit[io]'.",
        ) from error


def _near(path: Path) -> str:
    return nearest(path.name, [entry.name for entry in path.parent.iterdir()]) if path.parent.is_dir() else ""


def _unknown_encoding() -> type[Exception]:
    """Return what anndata raises for elements whose encoding it does not know; its place is not public."""
    registry = import_module("anndata._io.specs.registry")
    kind: type[Exception] = getattr(registry, "IORegistryError", KeyError)
    return kind


def _one_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return f"{type(error).__name__}: {lines[0]}"


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
