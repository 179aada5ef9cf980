"""New files only, and whole or not there."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stfmkit._core.errors import InputError
from stfmkit._core.files import full_disk_told, keep, remove_leftovers, unfinished_folder
from stfmkit._core.writable import check_writable

if TYPE_CHECKING:
    from anndata import AnnData


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
    with full_disk_told(beside):
        beside.mkdir(parents=True, exist_ok=True)
        remove_leftovers(beside)
        with unfinished_folder(beside) as folder:
            for path, writer in writers.items():
                writer(folder / path.name)
                keep(folder / path.name)
            for path in writers:
                (folder / path.name).replace(path)


def write_table(table: "AnnData") -> Callable[[Path], None]:
    """Return a writer of a table as h5ad.

    HDF5 brings the interpreter down where the disk is full, so that it is never told: what cannot be written is passed
    over, and the error of the system is raised when the file is closed.
    """

    def write(path: Path) -> None:
        import anndata as ad
        import h5py

        with _Steady(path) as steady:
            with h5py.File(steady, "w") as file:
                ad.io.write_elem(file, "/", table)
            if steady.error is not None:
                raise steady.error

    return write


_raw_write = io.FileIO.write


class _Steady(io.FileIO):
    """A file whose writing never fails; the first error of the system is kept."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "x+b")
        self.error: OSError | None = None

    def write(self, content: Any, /) -> int:
        left = memoryview(content).cast("B")
        while len(left) and self.error is None:
            try:
                left = left[_raw_write(self, left) :]
            except OSError as error:
                self.error = error
        if self.error is not None:  # keep the place that HDF5 expects
            self.seek(len(left), io.SEEK_CUR)
        return memoryview(content).nbytes

    def truncate(self, size: int | None = None, /) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return self.tell() if size is None else size
