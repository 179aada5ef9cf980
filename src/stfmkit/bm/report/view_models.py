"""Facts that the report looks up again and again: tasks, metrics, contenders, controls, the split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from stfmkit.bm.finding import Finding
from stfmkit.bm.marks import NOT_ABOVE, marks_in
from stfmkit.bm.report.formatting import number
from stfmkit.bm.score_table import primary_of
from stfmkit.evaluation.contender_labels import CONTROL, JOINT
from stfmkit.evaluation.metric_keys import KEY, MetricKey, facts_of, keys_of

DAGGER = "†"
"""Beside the name of a metric that is not informative on these data."""


@dataclass(frozen=True, kw_only=True)
class MetricView:
    """What a reader must know of a metric.

    Attributes
    ----------
    about_data
        Whether it says something of the data only, as a ceiling does, so that no contender has a score.
    informative
        Whether it tells good predictions from bad ones on these data; None where that was not tried.
    """

    key: MetricKey
    title: str
    higher: bool | None
    chance: str = ""
    source: str = ""
    summary: str = ""
    about_data: bool = False
    informative: bool | None = None

    @property
    def arrow(self) -> str:
        """Return the direction as a sign."""
        return {True: "↑", False: "↓", None: ""}[self.higher]

    @property
    def labelled(self) -> str:
        """Return the title with the sign of its direction, and with a dagger where it tells nothing here."""
        signs = self.arrow + (DAGGER if self.informative is False else "")
        return f"{self.title}\N{NO-BREAK SPACE}{signs}" if signs else self.title

    @property
    def size(self) -> str:
        """Return the size of the signatures that are compared; empty for metrics without one."""
        sizes = [part.partition("=")[2] for part in self.key.setting.split(", ") if part.startswith("n=")]
        return sizes[0] if sizes else ""

    @property
    def of_cohort(self) -> bool:
        """Tell whether it scores all patients together."""
        return self.key.scope == "cohort"

    @property
    def direction(self) -> str:
        """Return the direction in words."""
        return {True: "higher is better", False: "lower is better", None: "descriptive"}[self.higher]


@dataclass(frozen=True, kw_only=True)
class TaskView:
    """A task of these results, with the order in which its contenders are shown.

    Attributes
    ----------
    ceiling_note, ceiling_remark
        What the mean ceiling of the primary metric is called, and what a reader of shares of ceilings must know.
    accused
        Errors of the audit that name a contender and were allowed, by contender.
    allowed
        All errors of the audit that were allowed.
    """

    name: str
    title: str
    question: str
    primary: MetricView
    metrics: Sequence[MetricView]
    contenders: Sequence[str]
    controls: Sequence[str]
    positive: str
    negatives: Sequence[str]
    ranks: pd.DataFrame
    ceiling_note: str = ""
    ceiling_remark: str = ""
    positive_note: str = ""
    accused: Mapping[str, Sequence[str]] = field(default_factory=dict)
    allowed: Sequence[str] = ()

    @property
    def marks(self) -> dict[str, list[str]]:
        """Return what is conspicuous about the mean of a contender, for those where something is."""
        if "mark" not in self.ranks:
            return {}
        return marks_in(self.ranks.to_dict("records"))

    @property
    def marked(self) -> set[str]:
        """Return the contenders with any mark, or with an error of the audit."""
        return set(self.marks) | set(self.accused)

    @property
    def suspect(self) -> set[str]:
        """Return those of the marked contenders that may owe their score to a leak."""
        above = {who for who, said in self.marks.items() if any(not text.startswith(NOT_ABOVE) for text in said)}
        return above | set(self.accused)

    @property
    def rows(self) -> list[str]:
        """Return contenders, the best first, then controls."""
        return [*self.contenders, *self.controls]

    def metric(self, key: MetricKey) -> MetricView | None:
        """Return the metric of a key; None where the task has no such scores."""
        return next((metric for metric in self.metrics if metric.key == key), None)


def metric_view(
    meta: Mapping[str, Any], key: MetricKey, *, about_data: bool = False, informative: bool | None = None
) -> MetricView:
    """Return what `meta` says about a metric."""
    facts = facts_of(meta.get("metrics", ()), key)
    higher, chance = facts.get("higher_is_better"), facts.get("chance")
    known = isinstance(chance, int | float) and not isinstance(chance, bool)
    return MetricView(
        key=key,
        title=str(facts.get("title") or key.metric.replace("_", " ")),
        higher=None if higher is None else bool(higher),
        chance=number(chance) if known else str(chance or ""),
        source=str(facts.get("source") or ""),
        summary=str(facts.get("summary") or ""),
        about_data=about_data,
        informative=informative,
    )


def task_views(results: Any, ranks: pd.DataFrame) -> list[TaskView]:
    """Return the tasks that have scores, in the order of ``meta``."""
    table, meta = results.table, results.meta
    present = list(dict.fromkeys(table["task"].astype(str)))
    order = [*(t for t in meta.get("tasks", {}) if t in present)]
    tells = results.calibration()
    return [_task(results, ranks, tells, name) for name in [*order, *(t for t in present if t not in order)]]


def _task(results: Any, ranks: pd.DataFrame, calibration: pd.DataFrame, name: str) -> TaskView:
    table, meta = results.table, results.meta
    about = meta.get("tasks", {}).get(name, {})
    part = table.loc[table["task"] == name]
    keys = keys_of(part)
    scored = set(keys_of(part[~part["contender"].str.startswith(CONTROL)]))
    primary = primary_of(meta, name)
    primary = primary if primary in keys else keys[0]
    mine = ranks.loc[ranks["task"] == name]
    contenders = list(dict.fromkeys(part["contender"].astype(str)))
    ranked = [str(m) for m in mine["contender"]]
    degraded = str(about.get("degraded") or CONTROL)  # these check the metrics, and are no controls of the task
    others = [m for m in contenders if not m.startswith(CONTROL) and m not in ranked]
    tells = {
        MetricKey(*(row[field] for field in KEY)): bool(row["informative"])
        for row in calibration[calibration["task"] == name].to_dict("records")
    }
    by_calibration = [key for key in tells if key in keys]  # those that tell best come first
    ordered = list(dict.fromkeys([primary, *by_calibration, *keys]))
    return TaskView(
        name=name,
        title=str(about.get("title") or name.replace("_", " ").capitalize()),
        question=str(about.get("question") or ""),
        primary=metric_view(meta, primary, informative=tells.get(primary)),
        metrics=[metric_view(meta, key, about_data=key not in scored, informative=tells.get(key)) for key in ordered],
        contenders=[*ranked, *others],
        controls=sorted(m for m in contenders if m.startswith(CONTROL) and m != degraded and JOINT not in m),
        positive=str(about.get("positive") or ""),
        negatives=list(about.get("negatives") or ()),
        ranks=mine,
        ceiling_note=str(about.get("ceiling_note") or ""),
        ceiling_remark=str(about.get("ceiling_remark") or ""),
        positive_note=str(about.get("positive_note") or ""),
        accused=_accused(results.findings),
        allowed=list(meta.get("allowed", ())),
    )


def _accused(findings: Sequence[Finding]) -> dict[str, list[str]]:
    """Return the errors that were allowed, by the contenders that they are about."""
    found: dict[str, list[str]] = {}
    for finding in (finding for finding in findings if finding.allowed):
        for contender in finding.contenders:
            found.setdefault(contender, []).append(finding.check)
    return found


def expression_baselines(meta: Mapping[str, Any], contenders: Sequence[str]) -> list[str]:
    """Return the baselines that read expression; controls such as library size are none."""
    cards = meta.get("contenders", {})
    return [
        name
        for name in contenders
        if cards.get(name, {}).get("role") == "baseline" and cards.get(name, {}).get("reads_expression")
    ]


def references(meta: Mapping[str, Any]) -> dict[str, str | None]:
    """Return what a representation must beat before it is worth anything: names of controls, and their labels here."""
    return dict(meta.get("references", {}))


def split_name(protocol: Mapping[str, Any]) -> str:
    """Return the name of the split."""
    split = protocol.get("split", "")
    return str(split.get("name", "") if isinstance(split, Mapping) else split)


def patient_held_out(meta: Mapping[str, Any]) -> bool:
    """Tell whether whole patients were held out."""
    return meta.get("data", {}).get("holds_out") == "patient"
