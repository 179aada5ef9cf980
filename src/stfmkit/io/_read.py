"""Read what the field's readers read."""

from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stfmkit._core.arguments import check_choice, nearest
from stfmkit._core.errors import InputError, MissingFileError
from stfmkit._core.optional import require
from stfmkit.io._kinds import FOLDERS, KINDS, guess_kind, missing_marks

if TYPE_CHECKING:
    from stfmkit._data.view import Container

_READERS = {
    "h5ad": ("anndata", "read_h5ad"),
    "anndata.zarr": ("anndata", "read_zarr"),
    "spatialdata.zarr": ("spatialdata", "read_zarr"),
}
# What h5py, zarr, pandas and pyarrow raise for files that are cut off, empty or of another format.
_BROKEN = (OSError, KeyError, ValueError, RuntimeError, EOFError, AttributeError)


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
        return reader(path, **options)
    except _BROKEN as error:
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


def _one_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return f"{type(error).__name__}: {lines[0]}"
