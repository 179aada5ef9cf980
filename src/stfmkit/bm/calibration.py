"""Whether a metric tells good from bad on these data: range, noise, and whether worse predictions score lower."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from stfmkit.evaluation.averages import per_patient
from stfmkit.evaluation.contender_labels import CONTROL, JOINT
from stfmkit.evaluation.detectable import detectable_difference
from stfmkit.evaluation.metric_keys import KEY, facts_of, keys_of
from stfmkit.evaluation.sign_flips import TEST_FROM

TOLERANCE = 0.05
"""A score may rise by this share of the range between the controls before a step counts as wrong."""
UNCHECKED = "a control has no score"
"""Why nothing can be said of a metric."""
MOST_PATIENTS = 1_000
"""More than this are never at hand."""
_MOST = 0.75
COLUMNS = [
    "task", *KEY, "positive", "negative", "best_negative", "range", "noise", "patients_needed", "undegraded",
    "falls_with_noise", "falls_with_permuted_genes", "change_with_smoothing", "informative", "reason",
]  # fmt: skip


def calibrate(
    table: pd.DataFrame, tasks: Mapping[str, Mapping[str, Any]], facts: Sequence[Mapping[str, Any]]
) -> pd.DataFrame:
    """Return one row for every metric with a direction, those that tell best first within a task.

    Parameters
    ----------
    table
        Scores of controls and of predictions that were made worse on purpose, among others.
    tasks
        For every task its "positive" and "negatives", as labels, and "degraded", the label of the model whose
        predictions were made worse, or "".
    facts
        What is known of every metric.

    Returns
    -------
    A table with these columns, after task and metric:

    positive, negative, best_negative
        Mean over patients of the positive control and of the best negative one, and which that is.
    range
        How far the positive control is ahead; below 0 where it is behind.
    noise
        Standard deviation of that over patients; NaN with one patient, and for scores of the whole cohort.
    patients_needed
        Patients from which a paired test tells the two controls apart with power 0.8; NaN where it never does.
    undegraded
        Mean of the model as it is.
    falls_with_noise, falls_with_permuted_genes
        Whether every step of making its predictions worse lowers the score; None where it was not tried.
    change_with_smoothing
        What averaging its predictions over neighbours adds to the score, as a share of the range. A metric that is
        above 0 here rewards smooth predictions.
    informative, reason
        The verdict, and why not.
    """
    rows = [row for task, about in tasks.items() for row in _of_task(table[table["task"] == task], task, about, facts)]
    found = pd.DataFrame(rows, columns=[*COLUMNS, "_order"])
    places = {task: i for i, task in enumerate(tasks)}
    found = found.assign(_task=found["task"].map(places))
    found = found.sort_values(["_task", "informative", "_order"], ascending=[True, False, False], kind="stable")
    return found[COLUMNS].reset_index(drop=True)


def _of_task(
    rows: pd.DataFrame, task: str, about: Mapping[str, Any], facts: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    controls = per_patient(rows[rows["contender"].str.startswith(CONTROL)])
    scores = dict(iter(controls.groupby(KEY, observed=True, sort=False)))
    for key in keys_of(rows):
        higher = facts_of(facts, key).get("higher_is_better")
        if higher is None or key.status != "scored" or tuple(key) not in scores:
            continue
        wide = scores[tuple(key)].pivot_table(index="patient", columns="contender", values="value")
        yield {"task": task, **key._asdict(), **_judged(wide if higher else -wide, about, sign=1.0 if higher else -1.0)}


def _judged(wide: pd.DataFrame, about: Mapping[str, Any], *, sign: float) -> dict[str, Any]:
    """Return the facts of one metric from values (patients, contenders) of which higher is better."""
    means = wide.mean()
    positive, negatives = about["positive"], [name for name in about["negatives"] if pd.notna(means.get(name))]
    ladder = _ladder(wide, str(about.get("degraded") or ""))
    out: dict[str, Any] = dict.fromkeys(COLUMNS[1 + len(KEY) :], np.nan)
    out |= {"best_negative": "", "falls_with_noise": None, "falls_with_permuted_genes": None, "_order": -np.inf}
    if pd.isna(means.get(positive)) or not negatives:
        return out | {"informative": False, "reason": UNCHECKED}
    best = max(negatives, key=lambda name: means[name])
    paired = (wide[positive] - wide[best]).dropna()
    distance = float(means[positive] - means[best])
    noise = float(paired.std(ddof=1)) if len(paired) > 1 else np.nan
    out |= {
        "positive": sign * means[positive],
        "negative": sign * means[best],
        "best_negative": best.removeprefix(CONTROL),
        "range": distance,
        "noise": noise,
        "patients_needed": patients_needed(distance, noise) if distance > 0 else np.nan,
        "_order": distance / noise if noise > 0 else distance,
    }
    slack = TOLERANCE * abs(distance)
    if ladder:
        start = float(ladder["undegraded"][0.0].mean())
        out["undegraded"] = sign * start
        out["falls_with_noise"] = _falls(ladder, "noise", slack)
        out["falls_with_permuted_genes"] = _falls(ladder, "genes", slack)
        if "smoothing" in ladder and distance > 0:
            out["change_with_smoothing"] = (max(v.mean() for v in ladder["smoothing"].values()) - start) / distance
    reasons = []
    if distance <= 0:
        reasons.append(f"{positive.removeprefix(CONTROL)} is not ahead of {out['best_negative']}")
    elif out["patients_needed"] > max(len(paired), TEST_FROM):
        reasons.append(f"its controls need {_many(out['patients_needed'])} to be told apart; {len(paired)} are there")
    if out["falls_with_noise"] is False:
        reasons.append("noise in a prediction raises it")
    if out["falls_with_permuted_genes"] is False:
        reasons.append("it does not fall when genes change places")
    return out | {"informative": not reasons, "reason": "; ".join(reasons)}


def _many(patients: float) -> str:
    return f"{patients:,.0f} patients" if np.isfinite(patients) else f"more than {MOST_PATIENTS:,} patients"


def _ladder(wide: pd.DataFrame, model: str) -> dict[str, dict[float, pd.Series]]:
    """Return values by patient, by what was done and by how much; empty where the model has no score."""
    if model not in wide or wide[model].isna().all():
        return {}
    steps: dict[str, dict[float, pd.Series]] = {"undegraded": {0.0: wide[model]}}
    for name in wide.columns:
        head, _, done = str(name).partition(JOINT)
        kind, _, amount = done.partition("=")
        if head == model and amount and wide[name].notna().any():
            steps.setdefault(kind, {})[float(amount)] = wide[name]
    return steps


def _falls(ladder: Mapping[str, Mapping[float, pd.Series]], kind: str, slack: float) -> bool | None:
    """Tell whether no step raises the score, and all of them together lower it; None where it was not tried.

    A rise counts where it is more than `slack` on average, and is there in most patients: at least three of four.
    """
    if kind not in ladder:
        return None
    steps = [ladder["undegraded"][0.0], *(ladder[kind][amount] for amount in sorted(ladder[kind]))]
    for before, after in pairwise(steps):
        change = (after - before).dropna()
        if change.mean() > slack and (change > 0).mean() >= _MOST:
            return False
    return bool(steps[-1].mean() < steps[0].mean())


def patients_needed(difference: float, sd: float) -> float:
    """Return the least number of patients for a test of two contenders to see a difference with power 0.8."""
    if not sd > 0:
        return float(TEST_FROM) if sd == 0 else np.nan
    low, high = TEST_FROM, MOST_PATIENTS + 1
    while low < high:  # halve the range: what can be detected falls with every patient
        middle = (low + high) // 2
        seen = detectable_difference(sd, n_patients=middle, n_contenders=2) <= difference
        low, high = (low, middle) if seen else (middle + 1, high)
    return float(low) if low <= MOST_PATIENTS else np.inf
