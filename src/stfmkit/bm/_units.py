"""Finished units of work on disk: written whole, checked when read, reused when a run is started again."""

import io
import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from stfmkit.bm._files import digest, to_parquet, write_atomic


@dataclass(frozen=True, kw_only=True, eq=False)
class Output:
    """What one unit of work yields.

    Attributes
    ----------
    rows
        Scores, without model and seconds.
    observations
        Predictions for single observations; the columns depend on the unit.
    seconds
        Time that the unit took, embedding included.
    """

    rows: pd.DataFrame
    observations: pd.DataFrame
    seconds: float


@dataclass(frozen=True)
class UnitStore:
    """A folder of finished units, keyed by everything that they depend on."""

    folder: Path

    def path(self, identity: str) -> Path:
        """Return the file of a unit."""
        return self.folder / f"{digest(identity.encode())[:24]}.json"

    def load(self, identity: str) -> Output | None:
        """Return a finished unit, or None where it is missing or damaged (and so is computed again)."""
        path = self.path(identity)
        if not path.is_file():
            return None
        try:
            facts = json.loads(path.read_bytes())
            parts = [path.with_suffix(suffix).read_bytes() for suffix in (".rows", ".observations")]
            if facts["identity"] != identity or [digest(part) for part in parts] != facts["sha256"]:
                return None
            rows, observations = (pq.read_table(io.BytesIO(part)).to_pandas() for part in parts)
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
            return None
        return Output(rows=rows, observations=observations, seconds=float(facts["seconds"]))

    def save(self, identity: str, output: Output) -> None:
        """Write a unit; the file with the checksums comes last."""
        path = self.path(identity)
        parts = {".rows": to_parquet(output.rows), ".observations": to_parquet(output.observations)}
        for suffix, content in parts.items():
            write_atomic(path.with_suffix(suffix), content)
        facts = {
            "identity": identity,
            "sha256": [digest(content) for content in parts.values()],
            "seconds": output.seconds,
        }
        write_atomic(path, json.dumps(facts).encode())
