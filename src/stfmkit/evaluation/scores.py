"""The one table of scores."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

Scope = Literal["gene", "niche", "sample", "patient", "cohort"]
SCOPES: tuple[str, ...] = get_args(Scope)

SCHEMA: dict[str, str] = {
    "task": "str",
    "metric": "str",
    "setting": "str",
    "scope": "str",
    "contender": "str",
    "fold": "int64",
    "patient": "str",
    "sample": "str",
    "gene": "str",
    "niche": "str",
    "value": "float64",
    "status": "str",
    "reason": "str",
}
"""Columns of a table of scores and their types.

``metric`` is a name of `sk.metrics`. ``setting`` says how it was applied: a probe, a size, a window ("probe=linear",
"n=10"), or nothing. ``scope`` is the finest unit that the row speaks of; "cohort" is all patients together. ``fold`` is
-1 where several folds or none stand behind the value; ``patient``, ``sample``, ``gene`` and ``niche`` are empty text
where the row speaks of all. ``status`` is one of `STATUSES`; ``reason`` says why there is no value.
"""

STATUSES = ("scored", "ceiling", "of ceiling", "undefined")
"""scored: the value of the metric; undefined: a score without a value, and the reason; ceiling: what the noise of the
data allows; of ceiling: the score as a share of it. The last two keep their status where they have no value, so that a
row always says what it is; the reason stands there, too."""

_EMPTY: dict[str, Any] = {name: "" for name, kind in SCHEMA.items() if kind == "str"} | {
    "fold": -1,
    "status": "scored",
}


@dataclass(frozen=True, kw_only=True)
class Score:
    """One row; the columns are those of `SCHEMA`.

    A score whose value is NaN becomes "undefined" in a table, and ``reason`` is kept only where there is no value.
    """

    metric: str
    value: float
    scope: Scope
    task: str = ""
    setting: str = ""
    contender: str = ""
    fold: int = -1
    patient: str = ""
    sample: str = ""
    gene: str = ""
    niche: str = ""
    status: str = "scored"
    reason: str = ""


def to_table(scores: Iterable[Score]) -> pd.DataFrame:
    """Return scores as a table with all columns of the schema, in their order and of their types."""
    rows = list(scores)
    return _finished({name: _column(name, [getattr(s, name) for s in rows], len(rows)) for name in SCHEMA})


def score_table(*, value: Any, **columns: Any) -> pd.DataFrame:
    """Return many scores at once: every column is one value for all rows, or an array of the length of `value`.

    Columns that are left out are those of a `Score` without them.
    """
    unknown = set(columns) - set(SCHEMA)
    if unknown:
        msg = f"columns that no table of scores has: {sorted(unknown)}"
        raise TypeError(msg)
    values = np.atleast_1d(np.asarray(value, dtype=np.float64))
    given = {**_EMPTY, **columns, "value": values}
    return _finished({name: _column(name, given[name], len(values)) for name in SCHEMA})


def concat_scores(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return tables of scores below each other, with all columns of the schema also where there is none."""
    parts = [table for table in tables if len(table)]
    return pd.concat(parts, ignore_index=True)[list(SCHEMA)] if parts else to_table([])


def _finished(columns: dict[str, np.ndarray]) -> pd.DataFrame:
    """Return the table in which scores without a value are undefined, and only rows without a value have a reason."""
    undefined = np.isnan(columns["value"])
    for name in ("status", "reason"):
        columns[name] = columns[name].copy()
    columns["status"][undefined & (columns["status"] == "scored")] = "undefined"
    columns["reason"][~undefined] = ""
    return pd.DataFrame(columns)


def _column(name: str, values: Any, n_rows: int) -> np.ndarray:
    """Return a column of the table; one value stands for all rows. Text is made of plain strings."""
    kind = SCHEMA[name]
    if kind != "str":
        return np.broadcast_to(np.asarray(values, dtype=kind), (n_rows,))
    if isinstance(values, str):
        return np.full(n_rows, values, dtype=object)
    texts = np.empty(n_rows, dtype=object)
    texts[:] = [value if type(value) is str else str(value) for value in np.asarray(values).tolist()]
    return texts
