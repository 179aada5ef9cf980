"""Findings that only the scores can show: alarms, uninformative metrics, what was left out."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from stfmkit.bm._audit import Finding
from stfmkit.bm._rows import CONTROL, per_patient
from stfmkit.bm._tasks._registry import Task


def findings_of_scores(
    table: pd.DataFrame,
    tasks: Sequence[Task],
    better: dict[str, bool | None],
    *,
    readers: Sequence[str],
    n_target_genes: list[int],
    wanted: int,
    n_shared: int | None = None,
) -> list[Finding]:
    """Return what the scores of models and controls say about the comparison itself.

    Parameters
    ----------
    better
        Direction of every metric.
    readers
        Models that read expression and should beat coordinates.
    n_target_genes, wanted
        Target genes of every fold, and how many were asked for.
    n_shared
        Genes that are targets of every fold, where the signatures of the cohort were asked for and not scored.
    """
    scores = per_patient(table).groupby(["task", "metric", "model"], observed=True)["value"].mean()
    found: list[Finding] = []
    for task in tasks:
        if task.name in scores.index.get_level_values("task"):
            found += _controls(scores[task.name], task, better)
            found += _alarm(scores[task.name], task, readers)
            found += _undefined(table[table["task"] == task.name], task)
    if n_target_genes and min(n_target_genes) < wanted:
        found.append(
            Finding(
                severity="info",
                check="fewer target genes",
                evidence=f"{min(n_target_genes)} to {max(n_target_genes)} target genes in a fold instead of {wanted}.",
                remedy="the selector and the size of the panel allow no more; see Protocol(target_flavor=...).",
            )
        )
    if n_shared is not None:
        found.append(
            Finding(
                severity="info",
                check="no niche signatures of the cohort",
                evidence=f"{n_shared} genes are targets of every fold, or fewer than two patients have niches.",
                remedy="pass Protocol(target_genes=[...]), 20 genes or more, so that every fold predicts the same.",
            )
        )
    return found


def _controls(scores: pd.Series, task: Task, better: dict[str, bool | None]) -> Iterator[Finding]:
    """Name the metrics that do not put the positive control above every negative one, or that cannot be checked."""
    misled, unchecked = [], []
    for metric in scores.index.get_level_values("metric").unique():
        direction = better.get(metric)
        of = scores[metric]
        if direction is None or task.positive not in of.index:
            continue
        sign = 1 if direction else -1
        known = [n for n in task.negatives if n in of.index and pd.notna(of[n])]
        if pd.isna(of[task.positive]) or not known:
            unchecked.append(str(metric))
            continue
        worse = [n for n in known if not sign * of[n] < sign * of[task.positive]]
        if worse:
            misled.append(f"{metric} ({', '.join(n.removeprefix(CONTROL) for n in worse)})")
    if misled:
        yield Finding(
            severity="warning" if any(m.startswith(f"{task.primary} ") for m in misled) else "info",
            check=f"uninformative metrics of {task.name}",
            evidence=f"{', '.join(misled)}: {task.positive} is not ahead of the negative control in brackets.",
            remedy="do not judge models by these metrics on these data.",
        )
    if unchecked:
        yield Finding(
            severity="warning" if task.primary in unchecked else "info",
            check=f"unchecked metrics of {task.name}",
            evidence=f"{', '.join(unchecked)}: {task.positive}, or every negative control, has no score.",
            remedy="do not judge models by these metrics; nothing shows that they tell good from bad on these data.",
        )


def _alarm(scores: pd.Series, task: Task, readers: Sequence[str]) -> Iterator[Finding]:
    of = scores.get(task.primary)
    if of is None:
        return
    models = of[of.index.isin(readers)].dropna()
    if "control:coordinates" not in of.index or models.empty:
        return
    beaten = models[models <= of["control:coordinates"]].index.tolist()
    if beaten:
        yield Finding(
            severity="error" if len(beaten) == len(models) else "warning",
            check=f"coordinates alarm on {task.name}",
            evidence=f"coordinates alone reach {of['control:coordinates']:.3f} in {task.primary}, not below "
            f"{', '.join(beaten)}.",
            remedy="the split or the task rewards position; hold out patients, or blocks with a buffer.",
        )


def _undefined(table: pd.DataFrame, task: Task) -> Iterator[Finding]:
    primary = table[(table["metric"] == task.primary) & ~table["model"].str.startswith(CONTROL)]
    if primary.empty:
        return
    missing = primary.groupby("model")["value"].agg(lambda v: int(np.isnan(v).sum()))
    if missing.max():
        yield Finding(
            severity="info",
            check=f"undefined scores of {task.name}",
            evidence=f"{missing.max()} of {len(primary) // primary['model'].nunique()} values of {task.primary} are "
            "undefined (a gene without variance in a sample, a niche without markers) and left out of means.",
            remedy="read the table; the rows are there with value NaN.",
        )
