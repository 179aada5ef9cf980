"""From the outputs of all units to the one long table and the table of observations."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from stfmkit.bm._ceilings import relative_scores
from stfmkit.bm._job import Outputs
from stfmkit.bm._rows import CONTROL, OBSERVATIONS, SCHEMA, to_table
from stfmkit.bm._study import Study
from stfmkit.bm._tasks._cohort_signatures import Cohort
from stfmkit.bm._tasks._niche_probe import TASK as NICHE_PROBE
from stfmkit.bm._tasks._niche_probe import score_labels
from stfmkit.bm._tasks._niche_signatures import TASK as SIGNATURES
from stfmkit.bm._tasks._registry import TASKS, Task
from stfmkit.bm._units import Output


def assemble(
    study: Study, tasks: Sequence[Task], outputs: Outputs, *, identity: str, cohort: Cohort | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the long table and the observations, in an order that does not depend on the order of work.

    What only all folds together can say is added here: labels over whole samples, signatures of the `cohort`, and
    scores relative to their ceilings.
    """
    tables, observations = [], []
    wanted = {task.name for task in tasks}
    for label in sorted({key[0] for key in outputs}):
        seconds = {unit: 0.0 for _, unit, _ in outputs}
        for (name, unit, _), output in outputs.items():
            seconds[unit] += output.seconds if name == label else 0.0
        for unit in sorted(seconds):
            parts = [outputs[key] for key in sorted(k for k in outputs if k[:2] == (label, unit))]
            if not parts:
                continue
            found = pd.concat([part.observations for part in parts], ignore_index=True)
            rows = to_table(score_labels(study, found)) if unit == "labels" else pd.concat([p.rows for p in parts])
            if unit == "expression" and cohort is not None:
                rows = pd.concat([rows, _of_cohort(cohort, label, parts)])
            tables.append(rows[rows["task"].isin(wanted)].assign(model=label, seconds=seconds[unit]))
            if not label.startswith(CONTROL):
                observations.append(_observations(study, unit, found).assign(model=label))
    table = pd.concat(tables, ignore_index=True).assign(protocol_id=identity)
    table = pd.concat([table, relative_scores(table)], ignore_index=True)
    order = {task.name: i for i, task in enumerate(tasks)}
    table = table.sort_values(
        ["task", "metric", "model", "fold", "patient", "sample", "niche", "gene"],
        key=lambda c: c.map(order) if c.name == "task" else c,
        kind="stable",
        ignore_index=True,
    )
    empty = pd.DataFrame(columns=list(OBSERVATIONS)).astype(OBSERVATIONS)
    maps = pd.concat(observations, ignore_index=True) if observations else empty
    return table[list(SCHEMA)].astype(SCHEMA), maps[list(OBSERVATIONS)].astype(OBSERVATIONS)


def _of_cohort(cohort: Cohort, label: str, parts: Sequence[Output]) -> pd.DataFrame:
    rows = list(cohort.score(pd.concat([part.markers for part in parts], ignore_index=True)))
    if label == TASKS[SIGNATURES].positive:
        rows += cohort.ceilings()
    return to_table(rows)


def _observations(study: Study, unit: str, found: pd.DataFrame) -> pd.DataFrame:
    """Return one row for every tested observation; clusters have no right or wrong and are left out."""
    if unit == "clusters" or found.empty:
        return pd.DataFrame(columns=list(OBSERVATIONS)).astype(OBSERVATIONS)
    rows = found["row"].to_numpy(dtype=np.int64)
    fold_of = np.full(len(study.depth), -1)
    for fold in study.folds:
        fold_of[fold.test] = fold.number
    frame = pd.DataFrame(
        {
            "task": NICHE_PROBE if unit == "labels" else "expression",
            "obs_name": study.obs_names[rows].astype(str),
            "patient": np.asarray(study.patients)[rows],
            "sample": np.asarray(study.samples)[rows],
            "fold": fold_of[rows],
            "x": study.coords[rows, 0],
            "y": study.coords[rows, 1],
            "truth": "",
            "predicted": "",
        }
    )
    if unit == "labels" and study.labels is not None:
        names = np.asarray(study.labels.categories, dtype=object)
        guess = found["linear"].to_numpy(dtype=np.int64)
        truth = study.labels.codes[rows]
        return frame.assign(truth=names[truth], predicted=names[guess], score=(truth == guess).astype(np.float64))
    return frame.assign(score=found["score"].to_numpy(dtype=np.float64))
