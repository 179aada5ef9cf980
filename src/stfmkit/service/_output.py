"""New files only, and whole or not there."""

import errno
from collections.abc import Callable, Mapping
from pathlib import Path

from stfmkit._core.errors import InputError
from stfmkit._core.files import keep, remove_leftovers, unfinished_folder
from stfmkit._core.writable import check_writable

_FULL = (errno.ENOSPC, errno.EDQUOT)


def check_new_file(path: Path, *, suffix: str, n_bytes: int = 0) -> None:
    """Refuse a file that exists, cannot be written, or whose name has another ending.

    Parameters
    ----------
    path
        The file.
    suffix
        The ending.
    n_bytes
        What it will hold at least.
    """
    if path.suffix != suffix:
        raise InputError(
            f"out is {str(path)!r}.", allowed=f"a file name that ends in {suffix}", remedy=f"write {path.stem}{suffix}."
        )
    check_writable(path, role="out", kind="folder" if suffix == ".zarr" else "file", n_bytes=n_bytes)
    if path.exists():
        raise InputError(f"{str(path)!r} exists.", allowed="a new file", remedy="pass another out, or remove the file.")


def write_with(path: Path, writer: Callable[[Path], object]) -> None:
    """Let `writer` write a file beside its place, and move it there when it is whole."""
    write_all({path: writer})


def write_all(writers: Mapping[Path, Callable[[Path], object]]) -> None:
    """Let every writer write its file beside the place of the first, and move them when all of them are whole.

    Raises
    ------
    InputError
        The disk is full; nothing is written.
    """
    beside = next(iter(writers)).parent
    beside.mkdir(parents=True, exist_ok=True)
    remove_leftovers(beside)
    try:
        with unfinished_folder(beside) as folder:
            for path, writer in writers.items():
                writer(folder / path.name)
                keep(folder / path.name)
            for path in writers:
                (folder / path.name).replace(path)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise InputError(
            f"{str(beside)!r} is full; nothing was written.",
            allowed="enough space for the result",
            remedy="make space, or pass a place on another disk, and run again.",
        ) from error
