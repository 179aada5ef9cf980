"""Files of a folder that belong together: replaced all at once, and read only if every bit is as it was written.

The files are named with their sha256 in ``SHA256SUMS``, which `sha256sum -c` reads as well. New ones are written into a
folder beside them, and this folder is renamed when all of it lies on the disk. From then on the new files count: who
reads prefers them, and who writes moves them into their places first. A process that is killed at any moment, or a full
disk, therefore leaves all of the old files or all of the new ones.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from stfmkit._core.files import digest, full_disk_told, keep, remove_leftovers, unfinished_folder, write_through

SUMS = "SHA256SUMS"
"""The file that names all others with their sha256."""
READY = ".stfmkit.ready"
"""Folder of new files that are whole and not yet in their places."""

_TRIES, _PAUSE = 4, 0.005


class DamagedError(Exception):
    """A file is not what was written: its path and what is wrong with it."""

    def __init__(self, path: Path, evidence: str) -> None:
        super().__init__(f"{path}: {evidence}")
        self.path, self.evidence = path, evidence


def replace_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder, in place of those of these names, all at once.

    Two processes may not do so at the same time.

    Raises
    ------
    InputError
        The disk is full; the files are as they were.
    """
    with full_disk_told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        _move(folder)
        with unfinished_folder(folder) as new:
            for name, content in {**files, SUMS: _sums_of(files)}.items():
                write_through(new / name, content)
            keep(new)
            new.rename(folder / READY)
        keep(folder)
        _move(folder)


def is_written(folder: Path) -> bool:
    """Tell whether `replace_files` has written something into a folder."""
    return any(_place(folder, SUMS).is_file() for _ in range(2))  # twice: it may be moved at this moment


def read_files(folder: Path) -> dict[str, bytes]:
    """Return the content of all files that `replace_files` has written.

    Raises
    ------
    DamagedError
        A file is missing, or is not as it was written.
    """
    failed = 0
    while True:
        before = _state(folder)
        try:
            return _read(folder)
        except DamagedError:
            # Another process may have moved files meanwhile: those that were read do not belong together. Times are
            # coarse and numbers of files are used again, so that nothing seems to have changed once in a while.
            failed += 1
            if failed >= _TRIES and _state(folder) == before:
                raise
            time.sleep(_PAUSE)


def _read(folder: Path) -> dict[str, bytes]:
    files = {}
    sums = _content(folder, SUMS)
    for line in sums.decode(errors="replace").splitlines():
        known, _, name = line.partition("  ")
        if not name or name != Path(name).name:
            raise DamagedError(folder / SUMS, f"the line {line!r}")
        files[name] = _content(folder, name)
        if digest(files[name]) != known:
            raise DamagedError(folder / name, f"its sha256 is not that in {SUMS}")
    if not files or _sums_of(files) != sums:
        raise DamagedError(folder / SUMS, "it is not what was written")
    return files


def _sums_of(files: Mapping[str, bytes]) -> bytes:
    return "".join(f"{digest(content)}  {name}\n" for name, content in files.items()).encode()


def _content(folder: Path, name: str) -> bytes:
    for _ in range(2):  # it may be moved between the two steps
        with suppress(FileNotFoundError):
            return _place(folder, name).read_bytes()
    raise DamagedError(folder / name, "it is not there")


def _place(folder: Path, name: str) -> Path:
    new = folder / READY / name
    return new if new.is_file() else folder / name


def _state(folder: Path) -> set[tuple[str, int, int]]:
    """Return what changes when files are written: names, numbers and times of all files."""
    found = set()
    for place in (folder, folder / READY):
        with suppress(OSError):
            for path in (path for path in place.iterdir() if path.is_file()):
                about = path.stat()
                found.add((str(path), about.st_ino, about.st_mtime_ns))
    return found


def _move(folder: Path) -> None:
    """Move files that are ready into their places."""
    ready = folder / READY
    with suppress(FileNotFoundError):
        for path in sorted(ready.iterdir()):
            path.replace(folder / path.name)
        ready.rmdir()
    keep(folder)
