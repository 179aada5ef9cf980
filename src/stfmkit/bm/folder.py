"""The folder of a comparison and its files: refused where they belong to something else, whole or not there."""

import io
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
from stfmkit._core.files import is_unfinished
from stfmkit._core.manifest import READY, SUMS, DamagedError, is_written, read_files, replace_files
from stfmkit._core.writable import check_writable

REPORT_MARK = b'<meta name="generator" content="stfmkit'
"""What tells a report from other files."""
FINISHED = "finished"
"""Folder of finished outputs and scores, inside the folder of the results."""
RESULTS, TABLE_FILE, OBSERVATIONS_FILE = "results.json", "table.parquet", "observations.parquet"
RESULT_FILES = (RESULTS, TABLE_FILE, OBSERVATIONS_FILE, SUMS)
"""Files of results."""
FORMAT = 3
"""Of the files; counts up when another version could not read them."""
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


def write_results(folder: Path, facts: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> None:
    """Replace the files of results, all at once: the facts as JSON, and tables by the names of their files."""
    content = json.dumps({"format": FORMAT, **facts}, indent=2, ensure_ascii=False).encode()
    replace_files(folder, {RESULTS: content, **{name: _to_parquet(frame) for name, frame in tables.items()}})


def read_results(
    folder: Path, columns: Mapping[str, Mapping[str, str]]
) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """Return the facts of results, and their tables by the names of the files.

    Parameters
    ----------
    folder
        Where they were written.
    columns
        Names and types of the columns of every table.

    Raises
    ------
    InputError
        There are no results, they are of another format, or a file is not as it was written.
    """
    files = _whole(folder)
    facts = _facts(folder, files)
    return facts, {name: _from_parquet(folder / name, files.get(name, b""), held) for name, held in columns.items()}


def _whole(folder: Path) -> dict[str, bytes]:
    """Return the content of the files of results, every bit as it was written."""
    if not is_written(folder):
        if (folder / RESULTS).is_file():  # of an earlier version, which wrote no sums
            raise _other_format(folder, _parsed(folder / RESULTS, (folder / RESULTS).read_bytes()).get("format"))
        raise InputError(
            f"no file {folder / SUMS}.", allowed="a folder that Results.save wrote", remedy="check the path."
        )
    try:
        return read_files(folder)
    except DamagedError as error:
        raise _damaged(error.path, error.evidence) from error


def _facts(folder: Path, files: Mapping[str, bytes]) -> dict[str, Any]:
    facts = _parsed(folder / RESULTS, files.get(RESULTS, b""))
    if facts.get("format") != FORMAT:
        raise _other_format(folder, facts.get("format"))
    return facts


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    try:
        facts = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(facts, dict):
        raise _damaged(path, f"a {type(facts).__name__}")
    return facts


def _other_format(folder: Path, found: object) -> InputError:
    return InputError(
        f"{folder / RESULTS} of format {found!r}.",
        allowed=f"format {FORMAT}",
        remedy="read it with the version of stfmkit that wrote it; to compare anew, pass another out.",
    )


def _to_parquet(frame: pd.DataFrame) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def _from_parquet(path: Path, content: bytes, columns: Mapping[str, str]) -> pd.DataFrame:
    """Return a table with exactly these columns, or say what is wrong."""
    try:
        frame = pq.read_table(io.BytesIO(content)).to_pandas()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    if list(frame.columns) != list(columns):
        raise _damaged(path, f"columns {list(frame.columns)}")
    return frame.astype(dict(columns))


def _damaged(path: Path, evidence: str) -> InputError:
    """Return the error for a file that is not as it was written."""
    return InputError(
        f"a damaged file {path} ({evidence}).",
        allowed="a file as it was saved",
        remedy=f"delete {listed(RESULT_FILES)} in {path.parent}, and run again with the same out: what is in "
        f"{FINISHED!r} is finished and is not computed again.",
    )


def check_report(path: Path) -> None:
    """Refuse to write where nothing can be written, or to replace a file that is not a report."""
    check_writable(path, role="path", kind="file")
    if path.exists() and not _is_report(path):
        raise InputError(
            f"{path}, which is not a report of stfmkit.",
            allowed="a new file, or an older report",
            remedy="pass another path.",
        )


def _is_report(path: Path) -> bool:
    return path.is_file() and REPORT_MARK in path.read_bytes()[:4096]


def check_output(folder: Path, identity: str) -> None:
    """Refuse a folder that cannot be written, or holds something else, so that nothing written is lost."""
    check_writable(folder, role="out", kind="folder")
    if not folder.exists():
        return
    if is_written(folder) or (folder / RESULTS).is_file():
        other = _facts(folder, _whole(folder)).get("protocol_id")
        if other != identity:
            raise InputError(
                f"{folder} holds results of protocol {other}; this is protocol {identity}.",
                allowed="a new folder, or one of the same protocol on the same data",
                remedy="pass another out.",
            )
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
    return name in {_LOCK, FINISHED, READY, *RESULT_FILES} or is_unfinished(name)
