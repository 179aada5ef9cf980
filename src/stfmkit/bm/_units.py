"""Finished units of work on disk: written whole, checked when read, reused when a run is started again."""

import io
import json
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from stfmkit._core.files import digest, write_atomic
from stfmkit.bm._files import to_parquet

_PARTS = {".rows": "rows", ".observations": "observations", ".markers": "markers"}
"""Files of a unit, and what is in them."""


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
    markers
        Statistics of predicted niche signatures, by which the whole cohort is scored; most units have none.
    """

    rows: pd.DataFrame
    observations: pd.DataFrame
    seconds: float
    markers: pd.DataFrame = field(default_factory=pd.DataFrame)


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
            parts = [path.with_suffix(suffix).read_bytes() for suffix in _PARTS]
            if facts["identity"] != identity or [digest(part) for part in parts] != facts["sha256"]:
                return None
            tables = [pq.read_table(io.BytesIO(part)).to_pandas() for part in parts]
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
            return None
        return Output(**dict(zip(_PARTS.values(), tables, strict=True)), seconds=float(facts["seconds"]))

    def save(self, identity: str, output: Output) -> None:
        """Write a unit; the file with the checksums comes last."""
        path = self.path(identity)
        parts = {suffix: to_parquet(getattr(output, name)) for suffix, name in _PARTS.items()}
        for suffix, content in parts.items():
            write_atomic(path.with_suffix(suffix), content)
        facts = {
            "identity": identity,
            "sha256": [digest(content) for content in parts.values()],
            "seconds": output.seconds,
        }
        write_atomic(path, json.dumps(facts).encode())
