"""From the finished tasks of all folds to the one long table and the table of observations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from stfmkit.bm.check_scores import raised_in
from stfmkit.bm.jobs import FinishedTask
from stfmkit.bm.score_table import OBSERVATIONS, TABLE
from stfmkit.bm.study import Study
from stfmkit.bm.task import Task
from stfmkit.evaluation.ceilings import relative_scores
from stfmkit.evaluation.contender_labels import CONTROL, JOINT
from stfmkit.evaluation.scores import concat_scores

_ORDER = ["task", "metric", "setting", "scope", "status", "contender", "fold", "patient", "sample", "niche", "gene"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PooledTask:
    """A task with the truth of all folds together; None where nothing is pooled."""

    task: Task
    truth: Any


def assemble(
    study: Study, tasks: Sequence[PooledTask], finished: Sequence[FinishedTask], *, identity: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the long table and the observations, in an order that does not depend on the order of work.

    What only all folds together can say is added here: pooled scores, and scores relative to their ceilings.
    """
    tables, observations = [], []
    for pooled in tasks:
        mine = [part for part in finished if part.task == pooled.task.name]
        for label in sorted({part.label for part in mine}):
            parts = sorted((part for part in mine if part.label == label), key=lambda part: part.fold)
            tables.append(_scores(pooled, label, parts))
            if not label.startswith(CONTROL):
                observations += [_observations(study, part) for part in parts]
    empty = pd.DataFrame(columns=list(TABLE)).astype(TABLE)
    table = pd.concat([part for part in tables if len(part)] or [empty], ignore_index=True)
    knowing = {CONTROL + part.task.positive for part in tasks}  # they hold the truth, or molecules of it
    degraded = table["contender"].str.contains(JOINT, regex=False)  # they check metrics, and have no share of a ceiling
    shares = relative_scores(table[~degraded], knowing=knowing)
    table = pd.concat([table, shares], ignore_index=True).assign(protocol_id=identity)
    table = sort_scores(table, [part.task.name for part in tasks])
    maps = pd.concat([part for part in observations if len(part)] or [_no_observations()], ignore_index=True)
    return table[list(TABLE)].astype(TABLE), maps[list(OBSERVATIONS)].astype(OBSERVATIONS)


def sort_scores(table: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    """Return the long table in its order: by task as they are listed, then by what a row speaks of."""
    order = {name: i for i, name in enumerate(tasks)}
    return table.sort_values(
        _ORDER, key=lambda c: c.map(order) if c.name == "task" else c, kind="stable", ignore_index=True
    )


def _scores(pooled: PooledTask, label: str, parts: Sequence[FinishedTask]) -> pd.DataFrame:
    """Return all scores of one contender in one task; seconds are those of the fold, or of all where it is -1."""
    task = pooled.task
    tables = [_of_fold(part.scores.table, part.fold) for part in parts]
    if pooled.truth is not None:
        kept = [part.scores.kept for part in parts if part.scores.kept is not None]
        if kept:
            with raised_in(task):
                tables.append(task.pooled(pooled.truth, pd.concat(kept, ignore_index=True)))
        if label == CONTROL + task.positive:
            with raised_in(task):
                tables.append(task.pooled_ceiling(pooled.truth))
    seconds = {part.fold: part.seconds for part in parts}
    seconds[-1] = sum(seconds.values())
    table = concat_scores(tables)
    return table.assign(task=task.name, contender=label, seconds=table["fold"].map(seconds).astype(np.float64))


def _of_fold(table: pd.DataFrame, fold: int) -> pd.DataFrame:
    return table.assign(fold=table["fold"].where(table["fold"] >= 0, fold))


def _observations(study: Study, part: FinishedTask) -> pd.DataFrame:
    shown = part.scores.observations
    if shown is None:
        return _no_observations()
    rows = shown["row"].to_numpy(dtype=np.int64)
    places = {
        "task": part.task,
        "contender": part.label,
        "obs_name": study.obs_names[rows].astype(str),
        "patient": np.asarray(study.patients)[rows],
        "sample": np.asarray(study.samples)[rows],
        "fold": part.fold,
        "x": study.coords[rows, 0],
        "y": study.coords[rows, 1],
    }
    return pd.DataFrame({**places, **{name: shown[name].to_numpy() for name in ("truth", "predicted", "score")}})


def _no_observations() -> pd.DataFrame:
    return pd.DataFrame(columns=list(OBSERVATIONS)).astype(OBSERVATIONS)
