"""New files only, and whole or not there."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from stfmkit._core.errors import InputError


def check_new_file(path: Path, *, suffix: str) -> None:
    """Refuse a file that exists, or whose name has another ending."""
    if path.suffix != suffix:
        raise InputError(
            f"out is {str(path)!r}.", allowed=f"a file name that ends in {suffix}", remedy=f"write {path.stem}{suffix}."
        )
    if path.exists():
        raise InputError(f"{str(path)!r} exists.", allowed="a new file", remedy="pass another out, or remove the file.")


def write_with(path: Path, writer: Callable[[Path], object]) -> None:
    """Let `writer` write a file beside its place, and move it there when it is whole."""
    write_all({path: writer})


def write_all(writers: Mapping[Path, Callable[[Path], object]]) -> None:
    """Let every writer write its file beside the place of the first, and move them when all of them are whole."""
    first = next(iter(writers))
    first.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=first.parent, prefix=f".{first.name}.") as folder:
        for path, writer in writers.items():
            writer(Path(folder) / path.name)
        for path in writers:
            (Path(folder) / path.name).replace(path)
