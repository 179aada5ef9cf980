"""New files only, and whole or not there."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from stfmkit._core.errors import InputError
from stfmkit._core.files import full_disk_told, keep, remove_leftovers, unfinished_folder, write_through
from stfmkit._core.writable import check_writable

if TYPE_CHECKING:
    from anndata import AnnData

_IN_MEMORY, _BLOCK = 2**31, 2**24
_MARGIN = 1.2
"""What is asked for over the size in memory: text takes less in a file, and small parts take more."""


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

    HDF5 brings the interpreter down where a write fails, so that it writes into memory, and the result is written from
    there. A table too large for that is written at once, where the disk has the space.
    """

    def write(path: Path) -> None:
        import anndata as ad
        import h5py

        size = table.__sizeof__(with_disk=True)
        if size > _IN_MEMORY:
            check_writable(path, role="out", kind="file", n_bytes=int(_MARGIN * size))
            table.write_h5ad(path)
            return
        with h5py.File(path.name, "w", driver="core", backing_store=False, block_size=_BLOCK) as file:
            ad.io.write_elem(file, "/", table)
            file.flush()
            write_through(path, file.id.get_file_image())

    return write
