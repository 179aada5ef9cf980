"""The folder of a comparison and its files: refused where they belong to something else, whole or not there."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError, InputTypeError
from stfmkit._core.files import write_atomic

REPORT_MARK = b'<meta name="generator" content="stfmkit'
"""What tells a report from other files."""
FINISHED = "finished"
"""Folder of finished outputs and scores, inside the folder of the results."""
RESULT_FILES = ("results.json", "table.parquet", "observations.parquet")
"""Files of results."""
FORMAT = 2
"""Of these files; counts up when an older version could not read them."""
_LOCK = ".lock"


def as_path(path: object, *, name: str) -> Path:
    """Return a path, or refuse what is none."""
    if not isinstance(path, (str, os.PathLike)) or not str(path):
        raise InputTypeError(f"{name}={path!r}.", allowed="a path", remedy=f"pass {name}='results', for example.")
    return Path(path)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder while its files are read, merged and written; others wait. The folder is made.

    A process that ends lets go, however it ends. Where the file system knows no locks, nobody waits.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("ab") as handle:
        with suppress(ImportError, OSError):
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def to_parquet(frame: pd.DataFrame) -> bytes:
    """Return a table as parquet bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as parquet, atomically."""
    write_atomic(path, to_parquet(frame))


def read_parquet(path: Path, *, columns: Mapping[str, str]) -> pd.DataFrame:
    """Read a parquet table with exactly these columns, or say what is wrong."""
    if not path.is_file():
        raise InputError(f"no file {path}.", allowed="a folder that Results.save wrote", remedy="check the path.")
    try:
        frame = pq.read_table(path).to_pandas()
    except (pa.ArrowException, OSError) as error:
        raise damaged(path, str(error)) from error
    if list(frame.columns) != list(columns):
        raise damaged(path, f"columns {list(frame.columns)}")
    return frame.astype(dict(columns))


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object, or say what is wrong."""
    if not path.is_file():
        raise InputError(f"no file {path}.", allowed="a folder that Results.save wrote", remedy="check the path.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise damaged(path, str(error)) from error
    if not isinstance(content, dict):
        raise damaged(path, f"a {type(content).__name__}")
    return content


def read_facts(folder: Path) -> dict[str, Any]:
    """Read ``results.json`` of a folder of results, or refuse one of another format."""
    path = folder / "results.json"
    facts = read_json(path)
    if facts.get("format") != FORMAT:
        raise InputError(
            f"{path} of format {facts.get('format')!r}.",
            allowed=f"format {FORMAT}",
            remedy="read it with the version of stfmkit that wrote it; for a new comparison, pass another folder.",
        )
    return facts


def damaged(path: Path, evidence: str) -> InputError:
    """Return the error for a file that cannot be read."""
    return InputError(
        f"a damaged file {path} ({evidence}).",
        allowed="a file as it was saved",
        remedy=f"delete {listed(RESULT_FILES)} in {path.parent}, and run again with the same out: what is in "
        f"{FINISHED!r} is finished and is not computed again.",
    )


def check_report(path: Path) -> None:
    """Refuse to replace a file that is not a report."""
    if path.exists() and not _is_report(path):
        raise InputError(
            f"{path}, which is not a report of stfmkit.",
            allowed="a new file, or an older report",
            remedy="pass another path.",
        )


def _is_report(path: Path) -> bool:
    return path.is_file() and REPORT_MARK in path.read_bytes()[:4096]


def check_output(folder: Path, identity: str) -> None:
    """Refuse a folder that holds something else, so that nothing written is lost."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError(f"{folder} is a file.", allowed="a folder", remedy="pass another out.")
    if (folder / "results.json").is_file():
        other = read_facts(folder).get("protocol_id")
        if other != identity:
            raise InputError(
                f"{folder} holds results of protocol {other}; this is protocol {identity}.",
                allowed="a new folder, or one of the same protocol on the same data",
                remedy="pass another out.",
            )
        for name in RESULT_FILES[1:]:
            _check_readable(folder / name)
        return
    marked = (folder / FINISHED).is_dir() or (folder / _LOCK).exists()  # ours, and a run may be writing just now
    strange = [p.name for p in folder.iterdir() if not (marked and _is_ours(p.name)) and not _is_report(p)]
    if strange:
        raise InputError(
            f"{folder} holds other files: {listed(sorted(strange), most=4)}.",
            allowed="a new or empty folder, or one that a comparison wrote",
            remedy="pass another out.",
        )


def _is_ours(name: str) -> bool:
    """Tell whether a name is that of a file of results, or of one that is being written."""
    return name in {_LOCK, FINISHED, *RESULT_FILES} or name.startswith(tuple(f".{file}." for file in RESULT_FILES))


def _check_readable(path: Path) -> None:
    """Refuse a parquet file that is missing or damaged before long work, not after it."""
    try:
        pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise damaged(path, str(error)) from error
