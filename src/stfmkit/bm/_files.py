"""Files that are whole or not there: atomic writes, checksums, clear errors on damage."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from stfmkit._core.errors import InputError
from stfmkit._core.files import write_atomic


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


def damaged(path: Path, evidence: str) -> InputError:
    """Return the error for a file that cannot be read."""
    return InputError(f"a damaged file {path} ({evidence}).", allowed="a file as it was saved", remedy="run again.")
