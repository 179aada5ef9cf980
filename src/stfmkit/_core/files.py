"""Write files so that they are whole or not there, and take checksums."""

import errno
import hashlib
import os
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stfmkit._core.errors import InputError

_OURS = ".stfmkit-"
_HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
_DAY = 86_400
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def unfinished(folder: Path) -> Path:
    """Return a new name in a folder for what is being written; `remove_leftovers` knows it, and whose it is."""
    return folder / f"{_OURS}{_HOST}-{os.getpid()}-{secrets.token_hex(4)}"


def is_unfinished(name: str) -> bool:
    """Tell whether a name is one that `unfinished` gives."""
    return name.startswith(_OURS)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left half-written in a folder.

    What belongs to a process that may still write stays: one of this machine that lives, or one of another machine,
    unless nothing has changed for a day.
    """
    for path in folder.glob(f"{_OURS}*"):
        host, _, pid = path.name.removeprefix(_OURS).rpartition("-")[0].partition("-")
        with suppress(OSError):  # somebody else may be removing it, too
            idle = time.time() - path.lstat().st_mtime > _DAY
            if idle or (host == _HOST and not _lives(pid)):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file beside its place and move it there, so that a killed run leaves the old file or the new one."""
    with full_disk_told(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = unfinished(path.parent)
        try:
            write_through(beside, content)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def write_through(path: Path, content: bytes) -> None:
    """Write a file, and return when it lies on the disk."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def full_disk_told(folder: Path) -> Iterator[None]:
    """Say in a sentence that nothing more can be written into a folder.

    Raises
    ------
    InputError
        The disk is full, or a quota or a limit on the size of files is reached.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise InputError(
            f"no space to write in {str(folder)!r} ({os.strerror(error.errno)}); what was there is as it was.",
            allowed="enough space for the result",
            remedy="make space, or pass a place on another disk, and run again.",
        ) from error


@contextmanager
def unfinished_folder(parent: Path) -> Iterator[Path]:
    """Make a folder for files that are being written; what is left in it at the end is removed."""
    folder = unfinished(parent)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def keep(path: Path) -> None:
    """Return when a file, or the names in a folder, lie on the disk; where the system does not say, at once."""
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, in hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def digest(content: bytes) -> str:
    """Return the sha256 of bytes, in hex."""
    return hashlib.sha256(content).hexdigest()


def _lives(pid: str) -> bool:
    """Tell whether a process of this machine lives; one that cannot be asked does."""
    if os.name != "posix":  # where signal 0 is not a question
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (OSError, ValueError, OverflowError):
        return True
    return True
