"""Facts that the report looks up again and again: tasks, metrics, models, controls, the split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from stfmkit.bm._ceilings import CEILING, OF_CEILING, is_ceiling
from stfmkit.bm._reporting._cells import number
from stfmkit.bm._rows import CONTROL
from stfmkit.bm._tasks._cohort_signatures import COHORT
from stfmkit.bm._tasks._registry import TASKS

REFERENCES = ("coordinates", "library_size")
"""What a representation must beat before it is worth anything: where a spot is, and how deep it was sequenced."""


@dataclass(frozen=True, kw_only=True)
class MetricFacts:
    """What a reader must know of a metric."""

    name: str
    title: str
    higher: bool | None
    chance: str
    source: str
    summary: str

    @property
    def arrow(self) -> str:
        """Return the direction as a sign."""
        return {True: "↑", False: "↓", None: ""}[self.higher]

    @property
    def labelled(self) -> str:
        """Return the title with the sign of its direction."""
        return f"{self.title}\N{NO-BREAK SPACE}{self.arrow}" if self.arrow else self.title

    @property
    def size(self) -> str:
        """Return the size of the signatures that are compared; empty for metrics without one."""
        plain = self.name.removesuffix(OF_CEILING).removesuffix(CEILING)
        last = plain.rpartition("_")[2]
        return last if last.isdigit() else ""

    @property
    def of_cohort(self) -> bool:
        """Tell whether it scores all patients together."""
        return self.name.startswith(COHORT)

    @property
    def about_data(self) -> bool:
        """Tell whether it says something of the data only: a ceiling, or how many genes there are to be found."""
        return is_ceiling(self.name) or self.name.removeprefix(COHORT).startswith("n_true_")

    @property
    def direction(self) -> str:
        """Return the direction in words."""
        return {True: "higher is better", False: "lower is better", None: "descriptive"}[self.higher]


@dataclass(frozen=True, kw_only=True)
class TaskFacts:
    """A task of these results, with the order in which its models are shown."""

    name: str
    title: str
    summary: str
    primary: MetricFacts
    metrics: Sequence[MetricFacts]
    models: Sequence[str]
    controls: Sequence[str]
    positive: str
    negatives: Sequence[str]
    ranks: pd.DataFrame

    @property
    def rows(self) -> list[str]:
        """Return models, the best first, then controls."""
        return [*self.models, *self.controls]


def metric_facts(meta: Mapping[str, Any], name: str) -> MetricFacts:
    """Return what `meta` says about a metric."""
    facts = meta.get("metrics", {}).get(name, {})
    higher, chance = facts.get("higher_is_better"), facts.get("chance")
    known = isinstance(chance, int | float) and not isinstance(chance, bool)
    return MetricFacts(
        name=name,
        title=str(facts.get("title") or name.replace("_", " ")),
        higher=None if higher is None else bool(higher),
        chance=number(chance) if known else str(chance or ""),
        source=str(facts.get("source") or ""),
        summary=str(facts.get("summary") or ""),
    )


def task_facts(results: Any, ranks: pd.DataFrame) -> list[TaskFacts]:
    """Return the tasks that have scores, in the order of ``meta``."""
    table, meta = results.table, results.meta
    present = list(dict.fromkeys(table["task"].astype(str)))
    order = [*(t for t in meta.get("tasks", {}) if t in present)]
    return [_task(table, meta, ranks, name) for name in [*order, *(t for t in present if t not in order)]]


def _task(table: pd.DataFrame, meta: Mapping[str, Any], ranks: pd.DataFrame, name: str) -> TaskFacts:
    about, known = meta.get("tasks", {}).get(name, {}), TASKS.get(name)
    part = table.loc[table["task"] == name]
    metrics = list(dict.fromkeys(part["metric"].astype(str)))
    primary = about.get("primary") if about.get("primary") in metrics else metrics[0]
    mine = ranks.loc[(ranks["task"] == name) & (ranks["metric"] == primary)]
    models = list(dict.fromkeys(part["model"].astype(str)))
    ranked = [str(m) for m in mine["model"]]
    others = [m for m in models if not m.startswith(CONTROL) and m not in ranked]
    controls = sorted(m for m in models if m.startswith(CONTROL))
    return TaskFacts(
        name=name,
        title=str(about.get("title") or (known.title if known else name.replace("_", " ").capitalize())),
        summary=str(about.get("summary") or (known.summary if known else "")),
        primary=metric_facts(meta, primary),
        metrics=[metric_facts(meta, m) for m in [primary, *(m for m in metrics if m != primary)]],
        models=[*ranked, *others],
        controls=controls,
        positive=str(about.get("positive") or (known.positive if known else "")),
        negatives=list(about.get("negatives") or (known.negatives if known else ())),
        ranks=mine,
    )


def reads_expression(meta: Mapping[str, Any], model: str) -> bool | None:
    """Tell whether a model sees counts; None where its card does not say."""
    needs = meta.get("models", {}).get(model, {}).get("needs")
    return None if needs is None else "counts" in needs


def expression_baselines(meta: Mapping[str, Any], models: Sequence[str]) -> list[str]:
    """Return the baselines that read expression, library size apart."""
    cards = meta.get("models", {})
    return [
        m
        for m in models
        if m not in REFERENCES and cards.get(m, {}).get("family") == "baseline" and reads_expression(meta, m)
    ]


def split_name(protocol: Mapping[str, Any]) -> str:
    """Return the name of the split."""
    split = protocol.get("split", "")
    return str(split.get("name", "") if isinstance(split, Mapping) else split)


def patient_held_out(protocol: Mapping[str, Any]) -> bool:
    """Tell whether whole patients were held out."""
    return split_name(protocol).startswith("Patient")
