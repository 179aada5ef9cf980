"""Refuse places where nothing can be written, before the work whose result goes there."""

import os
import shutil
from pathlib import Path
from typing import Literal

from stfmkit._core.errors import InputError
from stfmkit._core.files import unfinished

_SPARE = 1_000_000


def check_writable(path: Path, *, role: str, kind: Literal["file", "folder"], n_bytes: int = 0) -> None:
    """Refuse a file or folder that cannot be written, whether it is there or not.

    Parameters
    ----------
    path
        The file or folder.
    role
        Name of the argument that gave it, for the error.
    kind
        What it is, or will be.
    n_bytes
        What it will hold at least.

    Raises
    ------
    InputError
        A name is too long, it is of the other kind, a part of the path is a file or a link to nothing, the folder may
        not be written, or the disk has less space.
    """
    try:
        problem = _problem(path, f"{role}={str(path)!r}", kind, n_bytes)
    except (OSError, ValueError) as error:
        problem = InputError(
            f"{role}={str(path)!r}, where nothing can be written ({getattr(error, 'strerror', None) or error}).",
            allowed="a place that is there, or can be made",
            remedy="pass another place, or change the rights of this one.",
        )
    if problem is not None:
        raise problem


def _problem(path: Path, shown: str, kind: str, n_bytes: int) -> InputError | None:
    """Return what is wrong with a place; a file is written and removed there to see."""
    folder = path
    while not folder.exists():
        if folder.is_symlink():
            return InputError(
                f"{shown}, where {folder.name!r} is a link to {str(folder.readlink())!r}, which is not there.",
                allowed="a place that is there, or can be made",
                remedy="remove the link, or pass another place.",
            )
        folder = folder.parent
    if folder != path and not folder.is_dir():
        return InputError(
            f"{shown}, which lies below the file {str(folder)!r}.", allowed="a folder", remedy="pass another place."
        )
    if folder == path and not (path.is_dir() if kind == "folder" else path.is_file()):
        return InputError(f"{shown}, which is no {kind}.", allowed=f"a {kind}", remedy="pass another place.")
    longest = max((os.fsencode(part) for part in path.parts), key=len, default=b"")
    if b"\0" in os.fsencode(path) or len(longest) > _longest_name(folder):
        return InputError(
            f"{shown}, where a name is too long or holds a null character.",
            allowed=f"names of {_longest_name(folder)} bytes",
            remedy="pass a shorter name.",
        )
    probe = unfinished(folder if folder.is_dir() else folder.parent)
    probe.touch()
    probe.unlink()
    free = shutil.disk_usage(folder).free
    if free < n_bytes + _SPARE:
        return InputError(
            f"{shown}, on a disk with {free / 1e6:,.0f} MB of space for {n_bytes / 1e6:,.0f} MB or more.",
            allowed="enough space for the result",
            remedy="make space, or pass a place on another disk.",
        )
    return None


def _longest_name(folder: Path) -> int:
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):  # Windows, or a file system that does not say
        return 255
