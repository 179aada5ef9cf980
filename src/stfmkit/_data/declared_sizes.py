"""What the arrays of a file of tables declare to be, against what the file can hold; nothing of them is read."""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stfmkit._core.errors import InputError
from stfmkit._core.limits import check_limit

_SPARE = 256_000_000


def check_h5(path: Path) -> None:
    """Refuse an HDF5 file whose arrays declare far more than its bytes can hold.

    Raises
    ------
    InputError
        They are above the limit "array_bytes", or "array_growth" for each byte of the file.
    OSError
        It is no HDF5 file.
    """
    import h5py

    sizes: list[tuple[str, int]] = []

    def note(name: str, held: Any) -> None:
        if isinstance(held, h5py.Dataset) and held.shape is not None:
            sizes.append((name, math.prod(held.shape) * held.dtype.itemsize))

    with h5py.File(path, "r") as file:
        file.visititems(note)
    _check(path, sizes, n_bytes=path.stat().st_size)


def check_zarr(path: Path) -> None:
    """Refuse a zarr store whose arrays declare far more than its bytes can hold.

    Raises
    ------
    InputError
        They are above the limit "array_bytes", or "array_growth" for each byte of the store; or a description of an
        array is broken.
    """
    n_bytes = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    _check(path, list(_zarr_sizes(path)), n_bytes=n_bytes)


def _zarr_sizes(path: Path) -> Iterator[tuple[str, int]]:
    for file in sorted([*path.rglob(".zarray"), *path.rglob("zarr.json")]):
        try:
            stated = json.loads(file.read_text(encoding="utf-8"))
            if "shape" in stated:
                shape = [int(side) for side in stated["shape"]]
                yield str(file.parent.relative_to(path)), math.prod(shape) * _width(stated)
        except (ValueError, TypeError, AttributeError, RecursionError, OverflowError) as error:
            raise InputError(
                f"{str(file)!r}, which describes no array ({type(error).__name__}).",
                allowed="a whole zarr store",
                remedy="copy or write the store again; this one is damaged.",
            ) from error


def _width(stated: dict[str, Any]) -> int:
    """Return the bytes of one value; 8 where it is not told, as for text."""
    kind = stated.get("dtype", stated.get("data_type"))
    bits = re.fullmatch(r"(?:u?int|float|complex)(\d{1,3})", kind) if isinstance(kind, str) else None
    if bits:
        return int(bits[1]) // 8
    try:
        return max(1, np.dtype(kind).itemsize) if isinstance(kind, str) else 8
    except TypeError:
        return 8


def _check(path: Path, sizes: list[tuple[str, int]], *, n_bytes: int) -> None:
    total = sum(size for _, size in sizes)
    for name, size in sizes:
        check_limit("array_bytes", size, what=f"{str(path)!r} with an array {name[:80]!r} of {size:,} bytes")
    if total > _SPARE:
        what = f"{str(path)!r} of {n_bytes:,} bytes whose arrays are {total:,} bytes"
        check_limit("array_growth", total, what=what, times=n_bytes)
