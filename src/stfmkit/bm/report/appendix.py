"""Tables of the whole comparison: overview, controls, time, models, protocol, data."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from stfmkit.bm._reporting._cells import DASH, Cell, Column, Grid, flatten, numeric, plural, seconds, shade, word
from stfmkit.bm._reporting._facts import MetricFacts, TaskFacts
from stfmkit.bm._reporting._tables import head, means_by_model
from stfmkit.bm._rows import CONTROL

_ORDERED = "yes"
_CARD = (
    ("family", "Family"),
    ("summary", "What it is"),
    ("needs", "Reads"),
    ("fits", "Fits on the data"),
    ("uses_neighbors", "Uses neighbours"),
    ("dimension", "Dimension"),
    ("licence", "Licence"),
    ("commercial", "Commercial use"),
    ("source", "Source"),
    ("options", "Options"),
)


def overview_grid(table: pd.DataFrame, tasks: Sequence[TaskFacts]) -> Grid:
    """Return models × tasks: the primary metric, shaded within its column."""
    names = list(dict.fromkeys(m for t in tasks for m in t.models))
    means = [means_by_model(table, t.name, t.primary.name).reindex(names) for t in tasks]
    spot = names if not tasks else sorted(names, key=lambda n: _mean_place(tasks, n))
    rows = []
    for name in spot:
        cells = [head(name)]
        for task, column in zip(tasks, means, strict=True):
            flip = -1.0 if task.primary.higher is False else 1.0
            low, high = (flip * column).min(), (flip * column).max()
            top = flip * column[name] == high
            value = column[name]
            cells.append(numeric(value, shade=shade(flip * value, low=low, high=high), kind="strong" if top else ""))
        rows.append(cells)
    columns = [
        Column(text="Model"),
        *(Column(text=f"{t.title}: {t.primary.labelled}", numeric=True, note=t.primary.direction) for t in tasks),
    ]
    return Grid(
        caption="At a glance: primary metric of every task, mean over patients",
        columns=columns,
        rows=rows,
        notes=["Darker is better within a column. Bold: best mean; whether that means anything is said above."],
    )


def _mean_place(tasks: Sequence[TaskFacts], name: str) -> float:
    places = [t.models.index(name) for t in tasks if name in t.models]
    return float(np.mean(places)) if places else np.inf


def controls_grid(table: pd.DataFrame, tasks: Sequence[TaskFacts]) -> Grid:
    """Return, for every task and metric with a direction, whether the positive control is above the negative ones."""
    columns = [
        Column(text="Task"),
        Column(text="Metric"),
        Column(text="Positive control", numeric=True),
        Column(text="Best negative control", numeric=True),
        Column(text="Which"),
        Column(text="Ordered?"),
    ]
    rows, hidden = [], 0
    for task in tasks:
        for metric in (m for m in task.metrics if m.higher is not None):
            row = _control_row(table, task, metric)
            if row is not None and row[-1].text == _ORDERED and metric.size not in {"", task.primary.size}:
                hidden += 1
            elif row is not None:
                rows.append(row)
    notes = [
        (
            "A metric that does not put the positive control above every negative one says nothing about models on "
            "these data; do not rank by it."
        )
    ]
    if hidden:
        notes.append(f"{plural(hidden, 'metric')} of signatures of other sizes, all ordered, are left out here.")
    return Grid(
        caption="Is the positive control better than the negative ones?", columns=columns, rows=rows, notes=notes
    )


def _control_row(table: pd.DataFrame, task: TaskFacts, metric: MetricFacts) -> list[Cell] | None:
    means = means_by_model(table, task.name, metric.name)
    positive = means.get(task.positive, np.nan)
    negatives = means.reindex(list(task.negatives)).dropna()
    if means.reindex([task.positive, *task.negatives]).isna().all():
        return None
    if not np.isfinite(positive) or negatives.empty:
        gap = Cell(text=DASH, kind="num")
        shown = numeric(positive) if np.isfinite(positive) else gap
        said = word("not known: no score", kind="verdict open")
        return [word(task.title), word(metric.labelled), shown, gap, word(DASH), said]
    hardest = str(negatives.idxmax() if metric.higher else negatives.idxmin())
    ordered = positive > negatives[hardest] if metric.higher else positive < negatives[hardest]
    said = word(_ORDERED, kind="verdict good") if ordered else word("no: uninformative here", kind="verdict poor")
    return [
        word(task.title),
        word(metric.labelled),
        numeric(positive),
        numeric(negatives[hardest]),
        word(hardest.removeprefix(CONTROL)),
        said,
    ]


def seconds_grid(table: pd.DataFrame, tasks: Sequence[TaskFacts]) -> Grid:
    """Return models × tasks: seconds of the finished units (a model, a task, a fold)."""
    known = table.dropna(subset="seconds").astype({"model": str, "task": str})
    unit = known.groupby(["task", "model", "fold"], observed=True)["seconds"].max().reset_index()
    spent = unit.pivot_table(index="model", columns="task", values="seconds", aggfunc="sum")
    names = [n for n in dict.fromkeys(m for t in tasks for m in t.rows) if n in spent.index]
    shown = [t for t in tasks if t.name in spent.columns]
    rows = [
        [
            head(name),
            *(_time(float(spent[t.name][name])) for t in shown),
        ]
        for name in names
    ]
    columns = [Column(text="Model"), *(Column(text=t.title, numeric=True) for t in shown)]
    return Grid(
        caption="Time, summed over folds",
        columns=columns,
        rows=rows,
        notes=["Tasks that score the same predictions share their time; do not add columns up."],
    )


def _time(value: float) -> Cell:
    return Cell(text=seconds(value), value=float(value) if np.isfinite(value) else None, kind="num")


def cards_grid(models: Mapping[str, Mapping[str, Any]]) -> Grid:
    """Return the cards of the models."""
    used = [
        (key, title) for key, title in _CARD if any(card.get(key) not in (None, "", {}, []) for card in models.values())
    ]
    rows = [
        [head(str(name)), *(word(_card_text(key, card.get(key))) for key, _ in used)] for name, card in models.items()
    ]
    return Grid(caption="Model cards", columns=[Column(text="Model"), *(Column(text=t) for _, t in used)], rows=rows)


def _card_text(key: str, value: object) -> str:
    if value is None or value in ("", [], {}):
        return {"dimension": "depends", "commercial": "not known"}.get(key, "–")
    if isinstance(value, Mapping):
        return ", ".join(f"{k}={v}" for k, v in value.items())
    return flatten({key: value})[0][1]


def pairs_grid(facts: Mapping[str, Any], *, caption: str, first: str = "Choice") -> Grid:
    """Return a nested mapping as a table of two columns."""
    rows = [[word(key, kind="model"), word(text)] for key, text in flatten(facts)]
    return Grid(caption=caption, columns=[Column(text=first), Column(text="Value")], rows=rows)


def metrics_legend(tasks: Sequence[TaskFacts]) -> Grid:
    """Return what every metric means: direction, chance, source."""
    rows = []
    for task in tasks:
        alike: dict[str, list[MetricFacts]] = {}  # metrics that differ in the size of signatures only
        for m in task.metrics:
            alike.setdefault(m.name.replace(f"_{m.size}", "") if m.size else m.name, []).append(m)
        for family in alike.values():
            m = family[0]
            sizes = ", ".join(f"@{other.size}" for other in family)
            rows.append(
                [
                    word(task.title),
                    word(m.title.replace(f"@{m.size}", sizes) if m.size else m.title, kind="model"),
                    word(", ".join(other.name for other in family)),
                    word(m.direction),
                    word(m.chance or DASH),
                    word(m.summary or DASH),
                    word(m.source or DASH),
                ]
            )
    names = ("Task", "Metric", "Name in the table", "Direction", "Chance", "What it is", "Source")
    return Grid(caption="Metrics", columns=[Column(text=n) for n in names], rows=rows)
