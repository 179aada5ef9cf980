"""The scores of one metric in a table: which rows are meant, and one value for every patient."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from stfmkit._core.arguments import check_known, listed
from stfmkit._core.errors import InputError
from stfmkit.evaluation.averages import per_patient


class MetricKey(NamedTuple):
    """What tells the scores of one metric from all others in a table: four of its columns."""

    metric: str
    setting: str = ""
    scope: str = ""
    status: str = "scored"


_PROBE = "probe="
KEY = list(MetricKey._fields)
"""Columns of a table of scores that name a metric."""


def keys_of(table: pd.DataFrame) -> list[MetricKey]:
    """Return every metric of a table once, in the order of its rows.

    Undefined scores belong to the defined ones, and scores of predictions that were given to those of any probe.
    """
    rows = table[KEY].astype(str).replace({"status": {"undefined": "scored"}}).drop_duplicates()
    keys = [MetricKey(*row) for row in rows.itertuples(index=False)]
    probed = {key._replace(setting="") for key in keys if key.setting.startswith(_PROBE)}
    return [key for key in keys if key not in probed]


def rows_of(table: pd.DataFrame, task: str, key: MetricKey) -> pd.DataFrame:
    """Return the rows of one metric of a task.

    A prediction that was given has no probe: it stands beside the predictions of any probe, as if it had this setting.
    """
    settings = {key.setting, ""} if key.setting.startswith(_PROBE) else {key.setting}
    statuses = {"scored", "undefined"} if key.status == "scored" else {key.status}
    here = (table["task"] == task) & (table["metric"] == key.metric) & (table["scope"] == key.scope)
    rows = table[here & table["setting"].isin(settings) & table["status"].isin(statuses)]
    return rows.assign(setting=key.setting)


def find_key(table: pd.DataFrame, task: str, like: MetricKey, primary: MetricKey) -> MetricKey:
    """Return the one metric of a task that is meant; what `like` leaves empty is that of the primary metric.

    Raises
    ------
    MissingKeyError
        There is no such metric, setting or scope.
    InputError
        Several settings or scopes are meant.
    """
    keys = [key for key in keys_of(table[table["task"] == task]) if key.status == like.status]
    names = list(dict.fromkeys(key.metric for key in keys))
    check_known(like.metric, names, what=f"metric of task {task!r}", remedy="pass one of these as metric.")
    found = [key for key in keys if key.metric == like.metric]
    for field in ("setting", "scope"):
        wanted = getattr(like, field)
        values = list(dict.fromkeys(getattr(key, field) for key in found))
        if wanted:
            check_known(wanted, values, what=f"{field} of {like.metric!r}", remedy=f"pass one of these as {field}.")
        elif len(values) > 1:
            wanted = _default(field, values, primary)
        else:
            wanted = values[0]
        if wanted is None:
            raise InputError(
                f"{like.metric!r} of task {task!r} without a {field}.",
                allowed=listed(values),
                remedy=f"pass one of these as {field}.",
            )
        found = [key for key in found if getattr(key, field) == wanted]
    return found[0]


def _default(field: str, values: list[str], primary: MetricKey) -> str | None:
    if getattr(primary, field) in values:
        return str(getattr(primary, field))
    if "" in values:
        return ""
    own = [value for value in values if value != "cohort"]
    return own[0] if field == "scope" and len(own) == 1 else None


def patient_values(table: pd.DataFrame, task: str, key: MetricKey) -> pd.DataFrame:
    """Return one value for every contender (rows) and patient (columns) of one metric."""
    values = per_patient(rows_of(table, task, key))
    return values.pivot_table(index="contender", columns="patient", values="value")


def facts_of(metrics: Iterable[Mapping[str, Any]], key: MetricKey) -> Mapping[str, Any]:
    """Return what is known of a metric; empty where nothing is."""
    return next((facts for facts in metrics if all(facts.get(n) == v for n, v in key._asdict().items())), {})
