"""Tell values apart by content, as text."""

import dataclasses
import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stfmkit._core.files import checksum


def exact(value: object) -> str:
    """Return text that differs where two values differ; tables and arrays are hashed with all of their content."""
    if isinstance(value, pd.Index):
        value = value.to_frame(index=False, name="name")
    if isinstance(value, pd.DataFrame):
        rows = pd.util.hash_pandas_object(value, index=True).to_numpy()
        return f"table {list(map(str, value.columns))} {hashlib.sha256(rows.tobytes()).hexdigest()}"
    if isinstance(value, np.ndarray) and value.dtype != object:
        held = np.ascontiguousarray(value)
        return f"array {held.dtype} {held.shape} {hashlib.sha256(held.tobytes()).hexdigest()}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return exact({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    if isinstance(value, Mapping):
        return repr(sorted((str(name), exact(held)) for name, held in value.items()))
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({', '.join(exact(held) for held in value)})"
    return repr(value)


def with_content(value: Any) -> Any:
    """Return options in which every path of a file or folder is replaced by the checksums of what lies there.

    Text that names nothing on this disk stays as it is. Links are followed, ``~`` is expanded, and where a file lies
    makes no difference.
    """
    if isinstance(value, Mapping):
        return {name: with_content(held) for name, held in value.items()}
    if isinstance(value, (list, tuple)):
        return [with_content(held) for held in value]
    if not isinstance(value, (str, os.PathLike)):
        return value
    try:
        path = Path(os.fsdecode(value)).expanduser()
        if path.is_file():
            return {"file": path.name, "sha256": checksum(path)}
        if path.name.strip(".") and value != "~" and path.is_dir():  # "/" and "." are more often signs than folders
            return {"folder": {name: checksum(held) for name, held in sorted(_files_below(path))}}
    except (OSError, ValueError, RuntimeError):  # no such user, too long a name, a byte 0: not the name of a file
        pass
    return value


def _files_below(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield all files below a folder by their relative path; linked folders are entered, each once."""
    seen: set[Path] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        here = Path(place)
        if here.resolve() in seen:
            folders.clear()
            continue
        seen.add(here.resolve())
        yield from ((str((here / n).relative_to(folder)), here / n) for n in names if (here / n).is_file())
