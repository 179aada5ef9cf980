"""Readers of small published tables (json, pickle of plain values, text), none of which is ever executed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stfmkit._core.errors import InputError
from stfmkit._core.limits import check_limit
from stfmkit.models.weights.plain_values import read_plain


def read_mapping(path: Path) -> dict[Any, Any]:
    """Return a dictionary that is stored as json, or as a pickle of plain values.

    Raises
    ------
    InputError
        The file is broken, holds something else than a dictionary, or names anything that could be executed.
    """
    loaded = _loaded(path, _read_json if path.suffix == ".json" else lambda held: read_plain(held, what=path.name))
    if not isinstance(loaded, dict):
        raise InputError(
            f"{path.name} holds a {type(loaded).__name__}.", allowed="a dictionary", remedy="pass the published file."
        )
    return loaded


def read_json(path: Path) -> Any:
    """Return what a json file holds.

    Raises
    ------
    InputError
        The file is broken.
    """
    return _loaded(path, _read_json)


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file without the ends, none of them empty."""
    text = _loaded(path, lambda held: held.decode())
    return [line.strip() for line in text.splitlines() if line.strip()]


def _loaded(path: Path, read: Callable[[bytes], Any]) -> Any:
    n_bytes = path.stat().st_size
    check_limit("table_bytes", n_bytes, what=f"{path.name} of {n_bytes:,} bytes")
    held = path.read_bytes()
    if held.startswith(b"version https://git-lfs"):
        raise InputError(
            f"{path.name} is a pointer of git-lfs, not the file itself.",
            allowed="the file",
            remedy="run `git lfs pull` in the clone, or download the file.",
        )
    try:
        return read(held)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{path.name} ({len(held):,} bytes) is not loaded: {str(error)[:200]}",
            allowed="plain values, of the published format; nothing in the file is ever executed",
            remedy="get the file again from its published place.",
        ) from error


def _read_json(held: bytes) -> Any:
    return json.loads(held)
