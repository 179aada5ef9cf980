"""The one long table of a comparison, its primary metrics, and how to read all of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from stfmkit._core.errors import MissingKeyError
from stfmkit.bm.check_scores import raised_in
from stfmkit.bm.task import Task
from stfmkit.evaluation.metric_keys import MetricKey, keys_of
from stfmkit.evaluation.scores import SCHEMA
from stfmkit.metrics import describe

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


_FIELDS = ("title", "label", "higher_is_better", "bounds", "chance", "source", "summary")


def metric_facts(table: pd.DataFrame, tasks: Sequence[Task]) -> list[dict[str, Any]]:
    """Return title, direction, bounds, chance level, source and summary of every metric of a table, ready for JSON."""
    facts: dict[MetricKey, dict[str, Any]] = {}
    for task in tasks:
        for key in keys_of(table[table["task"] == task.name]):
            if key not in facts:
                with raised_in(task):
                    facts[key] = {**key._asdict(), **_facts(key, task)}
    return list(facts.values())


def _facts(key: MetricKey, task: Task) -> dict[str, Any]:
    own = task.describe_metric(key)
    if own is None:
        try:
            about = describe(key.metric, key.setting, key.status, scope=key.scope)
        except MissingKeyError:
            own = {}
        else:
            own = {name: getattr(about, name) for name in _FIELDS}
    reason = task.no_direction(key)
    if reason:
        own = {**own, "higher_is_better": None, "summary": f"{own.get('summary') or ''} {reason}".strip()}
    title = own.get("title") or key.metric.replace("_", " ")
    facts = {**dict.fromkeys(_FIELDS), "source": "", "summary": "", **own, "title": title}
    return {**facts, "label": own.get("label") or title, "bounds": list(facts["bounds"] or (None, None))}
