"""The one table of scores, and how scores are averaged."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Literal

import pandas as pd

Scope = Literal["gene", "niche", "sample", "patient", "cohort"]

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
"n=10"), or nothing. ``scope`` is the finest unit that the row speaks of. ``fold`` is -1 where several folds or none
stand behind the value; ``patient``, ``sample``, ``gene`` and ``niche`` are empty text where the row speaks of all.
``status`` is one of `STATUSES`; ``reason`` says why there is no value.
"""

STATUSES = ("scored", "ceiling", "of ceiling", "undefined")
"""scored: the value of the metric; ceiling: what the noise of the data allows; of ceiling: the score as a share of it;
undefined: no value, and the reason."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """One row; the columns are those of `SCHEMA`."""

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
    names = [f.name for f in fields(Score)]
    frame = pd.DataFrame([[getattr(s, n) for n in names] for s in scores], columns=names)
    return frame[list(SCHEMA)].astype(SCHEMA)
