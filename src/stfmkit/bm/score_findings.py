"""Findings that only the scores can show: alarms, uninformative metrics, undefined scores."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from stfmkit.bm.calibration import UNCHECKED, calibrate
from stfmkit.bm.contenders import Contender
from stfmkit.bm.finding import Finding
from stfmkit.bm.marks import CEILING, Mark, is_easy, marks_of
from stfmkit.bm.task import Task
from stfmkit.evaluation.contender_labels import BASELINE, CONTROL
from stfmkit.evaluation.metric_keys import KEY, MetricKey, facts_of, patient_values, rows_of
from stfmkit.splits.splitters import HoldsOut

if TYPE_CHECKING:
    from stfmkit.bm.finding import Severity

_POSITION = f"{CONTROL}coordinates"
_SKILL = 0.1
"""Share of the range between the other controls from which position alone shows skill."""
_REMEDIES = {
    "below controls": "read no skill into these scores: what knows nothing of the test observations scores as well.",
    "below baselines": "what training patients tell without the test observations scores as well; see the ranking.",
    "above the positive control": "leak alarm: the control knows the truth; look for labels or targets in what the "
    "contender was given or fitted on.",
    "above the ceiling": "a ceiling is an estimate; where it is passed by much, look for a leak.",
}


def findings_of_scores(
    table: pd.DataFrame,
    tasks: Sequence[Task],
    facts: Iterable[Mapping[str, Any]],
    contenders: Sequence[Contender],
    *,
    holds_out: HoldsOut,
) -> list[Finding]:
    """Return what the scores of contenders and controls say about the comparison itself.

    Parameters
    ----------
    facts
        What is known of every metric.
    contenders
        The contenders; those that may read expression should beat coordinates.
    holds_out
        What the split holds out.
    """
    facts = list(facts)
    readers = [c.label for c in contenders if c.role != "control" and c.reads_expression is not False]
    findings: list[Finding] = []
    for task in tasks:
        rows = table[table["task"] == task.name]
        if len(rows):
            findings += _calibrated(rows, task, facts)
            findings += _marked(rows, task, facts, contenders)
            findings += _easy(rows, task, facts)
            findings += _alarm(rows, task, readers, facts, holds_out=holds_out)
            findings += _undefined(rows, task)
    return findings


def written(key: MetricKey) -> str:
    """Return a metric as text: its name, and what tells it from others of this name."""
    more = [key.setting, "cohort" if key.scope == "cohort" else "", "" if key.status == "scored" else key.status]
    shown = ", ".join(part for part in more if part)
    return f"{key.metric} [{shown}]" if shown else key.metric


def _calibrated(rows: pd.DataFrame, task: Task, facts: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Name the metrics that the calibration calls uninformative, and those that it could not check."""
    found = calibrate(rows, {task.name: task.describe()}, facts)
    of_truth = rows[rows["contender"] == CONTROL + task.positive]
    found = found[found["metric"].isin(of_truth["metric"])]  # others are not for what the positive control gives
    unchecked = found["reason"] == UNCHECKED
    misled = {
        MetricKey(*row[:-1]): row[-1]
        for row in found.loc[~found["informative"] & ~unchecked, [*KEY, "reason"]].to_numpy()
    }
    if misled:
        named = [f"{written(key)} ({reason})" for key, reason in misled.items()]
        yield Finding(
            severity="warning" if task.primary in misled else "info",
            check=f"uninformative metrics of {task.name}",
            evidence=f"{', '.join(named)}.",
            remedy="do not judge contenders by these metrics on these data; Results.calibration() has the numbers.",
        )
    silent = [MetricKey(*row) for row in found.loc[unchecked, KEY].to_numpy()]
    if silent:
        yield Finding(
            severity="warning" if task.primary in silent else "info",
            check=f"unchecked metrics of {task.name}",
            evidence=f"{', '.join(map(written, silent))}: {CONTROL}{task.positive}, or every negative control, has no "
            "score.",
            remedy="do not judge contenders by these metrics; nothing shows that they tell good from bad here.",
        )


def _marked(
    rows: pd.DataFrame, task: Task, facts: Sequence[Mapping[str, Any]], contenders: Sequence[Contender]
) -> Iterator[Finding]:
    """Say which contenders are not above what knows nothing, and which are above what knows the truth."""
    higher = facts_of(facts, task.primary).get("higher_is_better")
    marks = marks_of(rows, task.name, task.primary, about=task.describe(), higher_is_better=higher)
    plain = {contender.label for contender in contenders if contender.role == "control"}
    kinds = {
        "below controls": [mark for mark in marks if mark.reference.startswith(CONTROL) and not mark.above],
        "below baselines": [mark for mark in marks if mark.reference.startswith(BASELINE)],
        "above the positive control": [m for m in marks if m.reference.startswith(CONTROL) and m.above],
        "above the ceiling": [mark for mark in marks if mark.reference == CEILING],
    }
    severities: dict[str, Severity] = {"above the positive control": "error", "below baselines": "info"}
    for kind, found in kinds.items():
        if found:
            severity = severities.get(kind, "warning")
            if kind == "below controls" and {mark.contender for mark in found} <= plain:
                severity = "info"  # position and depth alone need not beat anything
            if kind == "below controls" and not task.trained and {m.reference for m in found} == {_POSITION}:
                severity = "info"  # nothing is trained: regions lie together, so that position alone does well
            yield Finding(
                severity=severity,
                check=f"{kind} on {task.name}",
                evidence=f"{written(task.primary)}: {_in_words(found)}.",
                remedy=_REMEDIES[kind],
                contenders=tuple(dict.fromkeys(mark.contender for mark in found)),
                columns=("contender", "mean", "reference", "its mean", "patients above", "patients"),
                rows=tuple(
                    (m.contender, round(m.mean, 4), m.reference, round(m.limit, 4), m.n_above, m.n_patients)
                    for m in found
                ),
            )


def _in_words(marks: Sequence[Mark]) -> str:
    """Return marks as a list in which contenders with the same mark stand together."""
    said: dict[str, list[str]] = {}
    for mark in marks:
        said.setdefault(f"{mark.text} ({mark.limit:.3f})", []).append(f"{mark.contender} ({mark.mean:.3f})")
    return "; ".join(f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} {text}" for text, names in said.items())


def _easy(rows: pd.DataFrame, task: Task, facts: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Say that a task is too easy here for the positive control to tell a leak."""
    higher = facts_of(facts, task.primary).get("higher_is_better")
    values = patient_values(rows, task.name, task.primary) * (-1.0 if higher is False else 1.0)
    about = task.describe()
    if higher is None or about["positive"] not in values.index or not is_easy(values, about):
        return
    means = values.loc[[about["degraded"], about["positive"]]].mean(axis=1).abs()
    yield Finding(
        severity="info",
        check=f"easy task {task.name}",
        evidence=f"{about['degraded']} reaches {means.iloc[0]:.3f} in {written(task.primary)}, and "
        f"{about['positive']} {means.iloc[1]:.3f}: on these data honest models come near to what knows the truth.",
        remedy="look for leaks by the audit: scores cannot show them here, and hardly tell good from better.",
    )


def _alarm(
    rows: pd.DataFrame,
    task: Task,
    readers: Sequence[str],
    facts: Sequence[Mapping[str, Any]],
    *,
    holds_out: HoldsOut,
) -> Iterator[Finding]:
    """Say which contenders that may read expression do not beat position alone, where position alone has skill."""
    sign = -1.0 if facts_of(facts, task.primary).get("higher_is_better") is False else 1.0
    values = patient_values(rows, task.name, task.primary)
    means = sign * values.mean(axis=1)
    own = means[means.index.isin(readers)].dropna()
    others = [CONTROL + name for name in task.negatives if CONTROL + name != _POSITION]
    floor, top = means.reindex(others).max(), means.get(CONTROL + task.positive, np.nan)
    if _POSITION not in means.index or own.empty or means[_POSITION] - floor < _SKILL * (top - floor):
        return  # position alone knows no more than what knows nothing: contenders that are not above it are merely bad
    beaten = own[own <= means[_POSITION]].index.tolist()
    if beaten:
        leaks = task.trained and holds_out in ("observation", "block")
        remedy = "the split or the task rewards position; hold out patients, or blocks with a buffer."
        if not task.trained:
            remedy = (
                "nothing is trained here, so that no split can leak; regions lie together in space, as they should."
            )
        elif not leaks:
            remedy = "the same places mean the same in these patients; read as skill only what is above position."
        yield Finding(
            severity="info" if not task.trained else "error" if leaks and len(beaten) == len(own) else "warning",
            check=f"coordinates alarm on {task.name}",
            evidence=f"coordinates alone reach {sign * means[_POSITION]:.3f} in {written(task.primary)}, not below "
            f"{', '.join(beaten)}.",
            remedy=remedy,
        )


def _undefined(rows: pd.DataFrame, task: Task) -> Iterator[Finding]:
    primary = rows_of(rows, task.name, task.primary)
    primary = primary[~primary["contender"].str.startswith(CONTROL)]
    if primary.empty:
        return
    missing = primary.groupby("contender")["value"].agg(lambda v: int(np.isnan(v).sum()))
    if missing.max():
        yield Finding(
            severity="info",
            check=f"undefined scores of {task.name}",
            evidence=f"{missing.max()} of {len(primary) // primary['contender'].nunique()} values of "
            f"{written(task.primary)} are undefined (a gene without variance in a sample, a niche without markers) and "
            "left out of means.",
            remedy="read the table; the rows are there with value NaN, and with the reason.",
        )
