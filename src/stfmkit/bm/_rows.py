"""The one long table: its schema, and how scores are averaged."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

SCHEMA = {
    "task": "str",
    "metric": "str",
    "model": "str",
    "fold": "int64",
    "patient": "str",
    "sample": "str",
    "gene": "str",
    "niche": "str",
    "value": "float64",
    "seconds": "float64",
    "protocol_id": "str",
}
OBSERVATIONS = {
    "task": "str",
    "model": "str",
    "obs_name": "str",
    "patient": "str",
    "sample": "str",
    "fold": "int64",
    "x": "float64",
    "y": "float64",
    "truth": "str",
    "predicted": "str",
    "score": "float64",
}
CONTROL = "control:"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One score."""

    task: str
    metric: str
    value: float
    patient: str
    sample: str
    fold: int = -1
    gene: str = ""
    niche: str = ""


def to_table(rows: Iterable[Row]) -> pd.DataFrame:
    """Return rows as a table with the columns of the schema that a task knows."""
    frame = pd.DataFrame([vars(row) for row in rows])
    known = {k: v for k, v in SCHEMA.items() if k not in {"model", "seconds", "protocol_id"}}
    return frame.reindex(columns=list(known)).astype(known)


def per_sample(table: pd.DataFrame) -> pd.DataFrame:
    """Average over genes and niches, then over folds: one score for every task, metric, model, patient, sample."""
    keys = ["task", "metric", "model", "patient", "sample"]
    folds = table.groupby([*keys, "fold"], sort=True, observed=True)["value"].mean()
    return folds.groupby(keys, sort=True, observed=True).mean().reset_index()


def per_patient(table: pd.DataFrame) -> pd.DataFrame:
    """Average over genes, folds and samples: one score for every task, metric, model, patient."""
    keys = ["task", "metric", "model", "patient"]
    return per_sample(table).groupby(keys, sort=True, observed=True)["value"].mean().reset_index()


def by_sample(samples: pd.Categorical, rows: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (sample name, positions within `rows`) for the samples among `rows`."""
    codes = samples.codes[rows]
    for code in np.unique(codes):
        yield str(samples.categories[code]), np.flatnonzero(codes == code)
