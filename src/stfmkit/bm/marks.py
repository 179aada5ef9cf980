"""Marks beside a score: which controls a contender does not beat, or beats where nothing honest can."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from stfmkit.evaluation.averages import per_patient
from stfmkit.evaluation.contender_labels import BASELINE, CONTROL
from stfmkit.evaluation.metric_keys import MetricKey, patient_values, rows_of
from stfmkit.evaluation.t_intervals import INTERVAL_FROM, mean_interval

CEILING = "its ceiling"
NEAR = 0.1
"""Share of the range between the controls that an honest model may lack where a task is called easy."""
NOT_ABOVE = "not above "
"""How the marks of what lacks skill begin; all others are of what is better than anything honest can be."""
_JOINT = "; "
SIGN = "⚠"
"""Stands in reports beside a contender with a mark."""


class Mark(NamedTuple):
    """What is conspicuous about the mean of one contender.

    Attributes
    ----------
    contender
        Its label.
    reference
        The control, or baseline of the task, that it is compared with; `CEILING` for what the noise of data allows.
    above
        Whether it is above the reference, where it should not be; else it is not above, where it should be.
    mean, limit
        Means of both over the patients that both have.
    n_above, n_patients
        In how many of these patients the contender is above.
    """

    contender: str
    reference: str
    above: bool
    mean: float
    limit: float
    n_above: int
    n_patients: int

    @property
    def text(self) -> str:
        """The mark in words."""
        return f"{'above ' if self.above else NOT_ABOVE}{self.reference}"


def marks_of(
    table: pd.DataFrame, task: str, key: MetricKey, *, about: Mapping[str, Any], higher_is_better: bool | None
) -> list[Mark]:
    """Return the marks of all contenders of a task on one metric; none where the metric has no direction.

    A contender should be above every negative control and every baseline of the task, below the positive control, and
    not above the ceiling, each by the mean over patients. Above the positive control counts from half of the patients
    on, and only where an honest model as plain as the one whose predictions are made worse stays far below: where a
    task is easy, all come near to the best score (`is_easy`). A ceiling is an estimate: above it is what lies above it
    by more than chance, with 95 % confidence (paired t; in half of the patients where there are fewer than three).

    Parameters
    ----------
    table
        The long table.
    about
        What `Task.describe` says: its controls and baselines.
    """
    if higher_is_better is None:
        return []
    sign = 1.0 if higher_is_better else -1.0
    values = sign * patient_values(table, task, key)
    limits = rows_of(table, task, key._replace(status="ceiling")) if key.status == "scored" else table[:0]
    highest = sign * per_patient(limits).groupby("patient")["value"].max() if len(limits) else pd.Series(dtype=float)
    if key.status == "of ceiling":
        highest = pd.Series(1.0, index=values.columns)
    floors, positive = [*about.get("negatives", ()), *about.get("baselines", ())], about.get("positive", "")
    tops = [] if is_easy(values, about) else [positive]
    found = []
    for name in (name for name in values.index if not name.startswith(CONTROL)):
        own = values.loc[name]
        lower = [r for r in floors if r in values.index and r not in (name, CONTROL + name)]
        if name.startswith(BASELINE):
            lower = [r for r in lower if r.startswith(CONTROL)]
        found += [_mark(name, r, own, values.loc[r], above=False, sign=sign) for r in lower]
        found += [_mark(name, r, own, values.loc[r], above=True, sign=sign) for r in tops if r in values.index]
        found.append(_mark(name, CEILING, own, highest, above=True, sign=sign))
    return [mark for mark in found if mark is not None]


def is_easy(values: pd.DataFrame, about: Mapping[str, Any]) -> bool:
    """Tell whether a plain honest model comes as near to the positive control as `NEAR` says.

    Parameters
    ----------
    values
        Scores (contenders, patients) of which higher is better.
    about
        What `Task.describe` says.
    """
    means = values.mean(axis=1)
    plain, positive = means.get(about.get("degraded") or ""), means.get(about.get("positive", ""))
    known = [means[name] for name in about.get("negatives", ()) if pd.notna(means.get(name))]
    if plain is None or positive is None or not known or pd.isna(plain) or pd.isna(positive):
        return False
    return bool(positive - plain <= NEAR * max(positive - max(known), 0.0) or plain >= positive)


def with_marks(ranks: pd.DataFrame, marks: Sequence[Mark]) -> pd.DataFrame:
    """Return a ranking with the column ``mark``: the marks of every contender in words, empty where there is none."""
    said = {name: [mark.text for mark in marks if mark.contender == name] for name in ranks["contender"]}
    return ranks.assign(mark=[_JOINT.join(said[name]) for name in ranks["contender"]])


def marks_in(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the marks of a ranking, by contender, for those that have some."""
    return {str(row["contender"]): row["mark"].split(_JOINT) for row in rows if row["mark"]}


def _mark(
    contender: str, reference: str, values: pd.Series, limit: pd.Series, *, above: bool, sign: float
) -> Mark | None:
    """Return the mark of a comparison over common patients, where one is due."""
    both = pd.DataFrame({"own": values, "limit": limit}).dropna()
    if both.empty:
        return None
    mean, other = (float(both[column].mean()) for column in ("own", "limit"))
    if (mean > other) is not above:
        return None
    n_above = int((both["own"] > both["limit"]).sum())
    if above and reference == CEILING and len(both) >= INTERVAL_FROM:
        if mean_interval((both["own"] - both["limit"]).to_numpy())[0] <= 0:
            return None
    elif above and 2 * n_above < len(both):
        return None
    return Mark(contender, reference, above, sign * mean, sign * other, n_above, len(both))
