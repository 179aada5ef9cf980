"""The one long table of a comparison, and its primary metrics."""

from collections.abc import Mapping
from typing import Any

from stfmkit.evaluation.metric_keys import MetricKey
from stfmkit.evaluation.scores import SCHEMA

TABLE = {**SCHEMA, "seconds": "float64", "protocol_id": "str"}
"""Columns of `Results.table`."""
OBSERVATIONS = {
    "task": "str",
    "contender": "str",
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
"""Columns of `Results.observations`."""


def primary_of(meta: Mapping[str, Any], task: str) -> MetricKey | None:
    """Return the primary metric of a task, as the results say it."""
    facts = meta.get("tasks", {}).get(task, {}).get("primary")
    return None if facts is None else MetricKey(**facts)
