"""Keep finished results on disk, known by what they were computed from."""

import hashlib
import io
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd

from stfmkit._core.files import remove_leftovers, write_atomic
from stfmkit._core.writable import check_writable

Stored: TypeAlias = np.ndarray | pd.DataFrame
"""What an entry may hold under each of its names."""

_CHECKSUM = 32
_IDENTITY = "identity"


class Store:
    """A folder of finished results; each has an identity, a text that names everything it was computed from.

    An entry is one file: the sha256 of what follows, and an archive of the identity, arrays (npy) and tables
    (parquet). It is written beside its place and moved there, so that it is whole or not there. An entry that is
    damaged, or that belongs to another identity, counts as missing and is computed again.

    Parameters
    ----------
    folder
        Where the entries are; made where it is not there.
    role
        Name of the argument that gave the folder, for the error.

    Raises
    ------
    InputError
        No file can be written there.
    """

    def __init__(self, folder: Path, *, role: str = "out") -> None:
        check_writable(folder, role=role, kind="folder")
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        self.folder = folder

    def path(self, identity: str) -> Path:
        """Return the file of an entry."""
        return self.folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:40]}.entry"

    def get(self, identity: str) -> dict[str, Stored] | None:
        """Return an entry by name, or None where it is missing or damaged."""
        try:
            content = self.path(identity).read_bytes()
        except OSError:
            return None
        if hashlib.sha256(content[_CHECKSUM:]).digest() != content[:_CHECKSUM]:
            return None
        try:
            with zipfile.ZipFile(io.BytesIO(content[_CHECKSUM:])) as archive:
                if archive.read(_IDENTITY).decode() != identity:
                    return None
                return {
                    name.rpartition(".")[0]: _read(name, archive.read(name))
                    for name in archive.namelist()
                    if name != _IDENTITY
                }
        except (KeyError, OSError, ValueError, zipfile.BadZipFile):
            return None

    def put(self, identity: str, values: Mapping[str, Stored]) -> None:
        """Keep an entry; one of the same identity is replaced."""
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(zipfile.ZipInfo(_IDENTITY), identity.encode())
            for name, value in values.items():
                kind, content = _written(value)
                archive.writestr(zipfile.ZipInfo(f"{name}.{kind}"), content)
        content = sink.getvalue()
        path = self.path(identity)
        if path.is_dir():  # no entry of ours, and in the way of one
            shutil.rmtree(path)
        write_atomic(path, hashlib.sha256(content).digest() + content)


def _written(value: Stored) -> tuple[str, bytes]:
    sink = io.BytesIO()
    if isinstance(value, pd.DataFrame):
        value.to_parquet(sink, compression="zstd")
        return "parquet", sink.getvalue()
    np.save(sink, value, allow_pickle=False)
    return "npy", sink.getvalue()


def _read(name: str, content: bytes) -> Stored:
    if name.endswith(".parquet"):
        return pd.read_parquet(io.BytesIO(content))
    return np.asarray(np.load(io.BytesIO(content), allow_pickle=False))
