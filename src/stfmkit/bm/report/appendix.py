"""Tables of the whole comparison: overview, controls, time, contenders, protocol, data."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from stfmkit.bm.calibration import MOST_PATIENTS
from stfmkit.bm.finding import Finding
from stfmkit.bm.marks import SIGN
from stfmkit.bm.report.cautions import cautions_over
from stfmkit.bm.report.formatting import DASH, Cell, Column, Grid, flatten, numeric, plural, seconds, shade, word
from stfmkit.bm.report.task_tables import head, means_by_contender
from stfmkit.bm.report.view_models import MetricView, TaskView
from stfmkit.bm.score_findings import written
from stfmkit.evaluation.metric_keys import KEY, MetricKey

_CARD = (
    ("role", "Role"),
    ("origin", "From"),
    ("exposure", "What it may have seen"),
    ("family", "Family"),
    ("summary", "What it is"),
    ("needs", "Reads"),
    ("patches", "Patches of the image"),
    ("fits", "Fits on the data"),
    ("uses_neighbors", "Uses neighbours"),
    ("dimension", "Dimension"),
    ("licence", "Licence"),
    ("commercial", "Commercial use"),
    ("source", "Source"),
    ("options", "Options"),
)


def overview_grid(table: pd.DataFrame, tasks: Sequence[TaskView]) -> Grid:
    """Return contenders × tasks: the primary metric, shaded within its column."""
    names = list(dict.fromkeys(m for t in tasks for m in t.contenders))
    means = [means_by_contender(table, t.name, t.primary.key).reindex(names) for t in tasks]
    spot = names if not tasks else sorted(names, key=lambda n: _mean_place(tasks, n))
    rows = []
    for name in spot:
        cells = [head(name)]
        for task, column in zip(tasks, means, strict=True):
            flip = -1.0 if task.primary.higher is False else 1.0
            low, high = (flip * column).min(), (flip * column).max()
            top = flip * column[name] == high
            value = column[name]
            cell = numeric(value, shade=shade(flip * value, low=low, high=high), kind="strong" if top else "")
            cells.append(replace(cell, text=f"{cell.text} {SIGN}") if name in task.suspect else cell)
        rows.append(cells)
    columns = [Column(text="Contender"), *(_of_task(t) for t in tasks)]
    notes: list[str] = list(cautions_over(tasks, names))
    notes.append("Darker is better within a column. Bold: the best mean; whether it is better is said above.")
    notes.append(f"Primary metrics: {'; '.join(f'{t.title}, {t.primary.title}' for t in tasks)}.")
    if any(len(t.ranks) and t.ranks["n_left_out"].max() for t in tasks):
        notes.append("Means over all patients that a contender has scores of; rankings use patients complete for all.")
    return Grid(
        caption="At a glance: primary metric of every task, mean over patients",
        columns=columns,
        rows=rows,
        notes=notes,
    )


def _of_task(task: TaskView) -> Column:
    """Return a short head, which leaves room for all tasks on a small screen."""
    signs = task.primary.labelled.removeprefix(task.primary.title)
    return Column(text=f"{task.title}{signs}", numeric=True, note=f"{task.primary.title}, {task.primary.direction}")


def _mean_place(tasks: Sequence[TaskView], name: str) -> float:
    places = [t.contenders.index(name) for t in tasks if name in t.contenders]
    return float(np.mean(places)) if places else np.inf


def calibration_grid(calibration: pd.DataFrame, tasks: Sequence[TaskView]) -> Grid:
    """Return, for every task and metric with a direction, whether it tells good predictions from bad ones here."""
    columns = [
        Column(text="Task"),
        Column(text="Metric"),
        Column(text="Informative?"),
        Column(text="Positive control", numeric=True),
        Column(text="Best negative control", numeric=True),
        Column(text="Which"),
        Column(text="Patients needed", numeric=True, note="to tell these two apart with power 0.8"),
        Column(text="Falls with noise", note="mixed into the predictions of a baseline, step by step"),
        Column(text="Falls with genes exchanged", note="predictions of genes given to other genes"),
        Column(text="Smoothing adds", numeric=True, note="share of the range between the controls"),
    ]
    rows, hidden = [], 0
    for task in tasks:
        mine = calibration[calibration["task"] == task.name]
        for row in mine.to_dict("records"):
            metric = task.metric(MetricKey(*(row[name] for name in KEY)))
            if metric is None:
                continue
            if row["informative"] and metric.size not in {"", task.primary.size}:
                hidden += 1
            else:
                rows.append(_calibration_row(task, metric, row))
    notes = [
        (
            "The metrics of a task that tell best come first: those whose controls lie farthest apart, measured by how "
            "that varies over patients. A metric that is not informative says nothing about contenders on these data."
        ),
        (
            "The positive control of expression and co-expression shares molecules with the truth: its score is above "
            "any that a prediction can reach."
        ),
    ]
    if hidden:
        notes.append(f"{plural(hidden, 'metric')} of signatures of other sizes, all informative, are left out here.")
    return Grid(caption="Do the metrics tell good from bad on these data?", columns=columns, rows=rows, notes=notes)


def _calibration_row(task: TaskView, metric: MetricView, row: Mapping[Any, Any]) -> list[Cell]:
    said = word("yes", kind="verdict good")
    if not row["informative"]:
        said = word(f"no: {row['reason']}", kind="verdict poor")
    needed = float(row["patients_needed"])
    return [
        word(task.title),
        word(metric.labelled),
        said,
        numeric(row["positive"]),
        numeric(row["negative"]),
        word(str(row["best_negative"]) or DASH),
        _count(needed),
        word(_tried(row["falls_with_noise"])),
        word(_tried(row["falls_with_permuted_genes"])),
        numeric(row["change_with_smoothing"], sign=True),
    ]


def _count(patients: float) -> Cell:
    if np.isinf(patients):
        return Cell(text=f"> {MOST_PATIENTS:,}", value=float(MOST_PATIENTS + 1), kind="num")
    return numeric(patients if np.isnan(patients) else round(patients))


def _tried(value: object) -> str:
    return DASH if value is None or pd.isna(value) else "yes" if value else "no"


def seconds_grid(table: pd.DataFrame, tasks: Sequence[TaskView]) -> Grid:
    """Return contenders × tasks: seconds over all folds."""
    known = table.dropna(subset="seconds").astype({"contender": str, "task": str})
    once = known.groupby(["task", "contender", "fold"], observed=True)["seconds"].max().reset_index()
    whole = once.loc[once["fold"] < 0].set_index(["task", "contender"])["seconds"]
    spent = once.loc[once["fold"] >= 0].groupby(["task", "contender"], observed=True)["seconds"].sum()
    spent = spent.combine_first(whole).rename("seconds").reset_index()
    spent = spent.pivot_table(index="contender", columns="task", values="seconds")
    names = [n for n in dict.fromkeys(m for t in tasks for m in t.rows) if n in spent.index]
    shown = [t for t in tasks if t.name in spent.columns]
    rows = [[head(name), *(_time(float(spent[t.name][name])) for t in shown)] for name in names]
    columns = [Column(text="Contender"), *(Column(text=t.title, numeric=True) for t in shown)]
    return Grid(
        caption="Time, summed over folds",
        columns=columns,
        rows=rows,
        notes=["Outputs and predictions that several tasks share count in each of them; do not add columns up."],
    )


def _time(value: float) -> Cell:
    return Cell(text=seconds(value), value=float(value) if np.isfinite(value) else None, kind="num")


def cards_grid(contenders: Mapping[str, Mapping[str, Any]]) -> Grid:
    """Return what is known of the contenders."""
    used = [
        (key, title)
        for key, title in _CARD
        if any(card.get(key) not in (None, "", {}, []) for card in contenders.values())
    ]
    rows = [
        [head(str(name)), *(word(_card_text(key, card.get(key))) for key, _ in used)]
        for name, card in contenders.items()
    ]
    return Grid(caption="Contenders", columns=[Column(text="Contender"), *(Column(text=t) for _, t in used)], rows=rows)


def _card_text(key: str, value: object) -> str:
    if value is None or value in ("", [], {}):
        return {"dimension": "depends", "commercial": "not known"}.get(key, "–")
    if key == "patches" and isinstance(value, Mapping):
        return _patches_text(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{k}={v}" for k, v in value.items())
    return flatten({key: value})[0][1]


def _patches_text(facts: Mapping[str, Any]) -> str:
    length, size = facts.get("microns_per_pixel"), facts.get("size")
    pixel = "pixels of the image" if length is None else f"pixels of {length:g} µm"
    return (
        f"{size} × {size} {pixel}, from {plural(len(facts.get('images', ())), 'image')}; "
        f"{facts.get('padded_share', 0.0):.1%} of their area lies outside"
    )


def pairs_grid(facts: Mapping[str, Any], *, caption: str, first: str = "Choice") -> Grid:
    """Return a nested mapping as a table of two columns."""
    rows = [[word(key, kind="model"), word(text)] for key, text in flatten(facts)]
    return Grid(caption=caption, columns=[Column(text=first), Column(text="Value")], rows=rows)


def frame_grid(frame: pd.DataFrame, *, caption: str) -> Grid:
    """Return a table as it is; its index heads the rows, or its first column where rows are only numbered."""
    if isinstance(frame.index, pd.RangeIndex) and frame.index.name is None and len(frame.columns):
        frame = frame.set_index(frame.columns[0])
    columns = [Column(text=str(frame.index.name or ""))]
    columns += [Column(text=str(name), numeric=frame[name].dtype.kind in "iuf") for name in frame]
    rows = [
        [
            word(index),
            *(
                numeric(value) if column.numeric else word(value)
                for column, value in zip(columns[1:], values, strict=True)
            ),
        ]
        for index, values in zip(frame.index, frame.itertuples(index=False), strict=True)
    ]
    return Grid(caption=caption, columns=columns, rows=rows)


def evidence_grid(finding: Finding) -> Grid:
    """Return the rows of the evidence of a finding as a table."""
    frame = pd.DataFrame(list(finding.rows), columns=list(finding.columns)).set_index(finding.columns[0])
    return frame_grid(frame, caption=f"Evidence: {finding.check}")


def metrics_legend(tasks: Sequence[TaskView]) -> Grid:
    """Return what every metric means: direction, chance, source."""
    rows = []
    for task in tasks:
        alike: dict[tuple[str, ...], list[MetricView]] = {}  # metrics that differ in the size of signatures only
        for m in task.metrics:
            alike.setdefault((*m.key[:1], *m.key[2:], "" if m.size else m.key.setting), []).append(m)
        for family in alike.values():
            m = family[0]
            sizes = ", ".join(f"@{other.size}" for other in family)
            rows.append(
                [
                    word(task.title),
                    word(m.title.replace(f"@{m.size}", sizes) if m.size else m.title, kind="model"),
                    word(", ".join(written(other.key) for other in family)),
                    word(m.direction),
                    word(m.chance or DASH),
                    word(m.summary or DASH),
                    word(m.source or DASH),
                ]
            )
    names = ("Task", "Metric", "Name in the table", "Direction", "Chance", "What it is", "Source")
    return Grid(caption="Metrics", columns=[Column(text=n) for n in names], rows=rows)
