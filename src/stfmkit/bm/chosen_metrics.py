"""Which metric of which task is meant."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from stfmkit._core.arguments import check_known
from stfmkit._core.errors import InputError
from stfmkit.bm.score_table import primary_of
from stfmkit.evaluation.metric_keys import MetricKey, find_key, keys_of


def chosen_metrics(
    table: pd.DataFrame, meta: Mapping[str, Any], task: str | None, like: MetricKey
) -> Iterator[tuple[str, MetricKey]]:
    """Yield task and metric for every task that is meant and has the metric.

    Parameters
    ----------
    table, meta
        Of the results.
    task
        One task; None for all.
    like
        What is known of the metric; without a name the primary one of every task.

    Raises
    ------
    MissingKeyError
        There is no such task or metric.
    InputError
        The metric is a score of all patients together.
    """
    present = list(table["task"].unique())
    if task is not None:
        check_known(task, present, what="task in these results", remedy="pass one of these.")
    names = [name for name in (*meta["tasks"], *present) if name in present and task in (None, name)]
    if like.metric:
        everywhere = {key.metric for key in keys_of(table[table["task"].isin(names)])}
        check_known(like.metric, everywhere, what="metric in these results", remedy="pass one of these.")
    for name in dict.fromkeys(names):
        keys = keys_of(table[table["task"] == name])
        primary = primary_of(meta, name) or keys[0]
        wanted = like if like.metric else primary._replace(status=like.status)
        if not any(key.metric == wanted.metric and key.status == wanted.status for key in keys):
            continue
        key = find_key(table, name, wanted, primary)
        if key.scope == "cohort":
            raise InputError(
                f"the metric {key.metric!r} of the cohort, which is one score of all patients together.",
                allowed="metrics with a score for every patient",
                remedy="read it in the table; there is nothing to draw again, and nothing to test.",
            )
        yield name, key
