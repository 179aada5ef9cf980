"""The verdict in words. Names come from data, so they enter text through Markup.format only, which escapes them."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from markupsafe import Markup

from stfmkit.bm.ranking import ALPHA, TEST_FROM
from stfmkit.bm.report.formatting import number, p_value, plural
from stfmkit.bm.report.view_models import TaskView, expression_baselines, references


class Comparison(NamedTuple):
    """A contender against a reference, paired by patient; a positive difference is in favour of the contender."""

    contender: str
    reference: str
    difference: float
    low: float
    high: float
    wins: int
    n_patients: int
    p: float

    @property
    def verdict(self) -> str:
        """Return one of: ahead, behind, level (no test); beats, worse, not told apart (tested)."""
        if np.isnan(self.p):
            return "ahead" if self.difference > 0 else "behind" if self.difference < 0 else "level"
        if self.p < ALPHA and self.difference != 0:
            return "beats" if self.difference > 0 else "worse"
        return "not told apart"


def name(text: object) -> Markup:
    """Return an escaped name that stands out."""
    return Markup("<b class=name>{}</b>").format(str(text))


def phrase(parts: Iterable[Markup | str], *, joint: str = "and") -> Markup:
    """Join parts as a list in a sentence; strings are escaped."""
    items = list(parts)
    if len(items) < 2:
        return Markup("").join(items)
    return Markup("{} {} {}").format(Markup(", ").join(items[:-1]), joint, items[-1])


def task_verdict(task: TaskView) -> list[Markup]:
    """Return the sentences on one task: who leads, who cannot be told apart, who is worse."""
    rows = task.ranks
    scored = rows.loc[rows["n_patients"] > 0] if len(rows) else rows
    if not len(scored):
        return [Markup("No contender has a score of every patient that is needed for a ranking.")]
    n = int(scored["n_patients"].iloc[0])
    said = _untested(task, scored, n) if n < TEST_FROM else _tested(task, scored, n)
    silent = [name(m) for m in rows.loc[rows["n_patients"] == 0, "contender"]]
    if silent:
        said.append(Markup("Without any score: {}.").format(phrase(silent)))
    return said


def _mean(task: TaskView, row: Any, n: int) -> Markup:
    text = f"{task.primary.title}: mean {number(row.mean)}"
    if np.isfinite(row.low) and np.isfinite(row.high):
        text += f", 95 % interval {number(row.low)} to {number(row.high)}"
    return Markup("({}; {})").format(text, plural(n, "patient"))


def _untested(task: TaskView, rows: pd.DataFrame, n: int) -> list[Markup]:
    best = next(rows.itertuples())
    if len(rows) == 1:
        return [
            Markup("{} is the only contender {}; there is nothing to compare.").format(
                name(best.contender), _mean(task, best, n)
            )
        ]
    side = "lowest" if task.primary.higher is False else "highest"
    said = [
        Markup("{} has the {} score {}. With {}: cannot test. {}").format(
            name(best.contender),
            side,
            _mean(task, best, n),
            plural(n, "patient"),
            "The order describes this patient, nothing more."
            if n == 1
            else f"An exact test needs {TEST_FROM} patients; the order describes these {n} patients, nothing more.",
        )
    ]
    said.append(Markup("Behind it: {}.").format(_with_differences(rows.iloc[1:])))
    return said


def _tested(task: TaskView, rows: pd.DataFrame, n: int) -> list[Markup]:
    best = next(rows.itertuples())
    if len(rows) == 1:
        return [
            Markup("{} is the only contender {}; there is nothing to compare.").format(
                name(best.contender), _mean(task, best, n)
            )
        ]
    tests, least = len(rows) - 1, 2 / 2**n
    if least * tests >= ALPHA:
        return _powerless(task, rows, n)
    equal = rows.loc[rows["verdict"].str.startswith("indistinguishable")]
    worse = rows.loc[rows["verdict"].str.startswith("worse")]
    leads = Markup("{} has the best mean {}.") if len(equal) else Markup("{} is best {}.")
    said = [leads.format(name(best.contender), _mean(task, best, n))]
    if len(equal):
        verb = "is" if len(equal) == 1 else "are"
        said.append(Markup("{} {} indistinguishable from it.").format(_with_differences(equal), verb))
    if len(worse):
        said.append(Markup("Worse than best (Holm-adjusted p &lt; {}): {}.").format(ALPHA, _with_differences(worse)))
    return said


def _powerless(task: TaskView, rows: pd.DataFrame, n: int) -> list[Markup]:
    """Say that no test can tell the contenders apart, whatever the scores, and give the intervals instead."""
    best, rest = next(rows.itertuples()), rows.iloc[1:]
    apart = (rest["difference_low"] > 0) | (rest["difference_high"] < 0)
    said = [
        Markup("{} has the best mean {}.").format(name(best.contender), _mean(task, best, n)),
    ]
    if apart.any():
        said.append(
            Markup("By the 95 % interval of the paired difference it is ahead of {}.").format(
                _with_differences(rest.loc[apart])
            )
        )
    if not apart.all():
        said.append(Markup("The interval includes 0 for {}.").format(_with_differences(rest.loc[~apart])))
    said.append(
        Markup("No test: with {} and {} no p can fall below {} after Holm.").format(
            plural(n, "patient"), plural(len(rest), "comparison"), p_value(min(1.0, len(rest) * 2 / 2**n))
        )
    )
    return said


def _with_differences(rows: pd.DataFrame) -> Markup:
    return phrase(
        Markup("{} ({})").format(name(m), number(d, sign=True))
        for m, d in zip(rows["contender"], rows["difference"], strict=True)
    )


def _relation(p: float) -> str:
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"


def compare_references(results: Any, task: TaskView) -> list[Comparison]:
    """Compare every contender with the references that were run, on the primary metric of a task."""
    flip = -1.0 if task.primary.higher is False else 1.0
    found = []
    for reference, label in references(results.meta).items():
        if label is None or label not in task.contenders:
            continue
        for contender in (name for name in task.contenders if name != label):
            for row in _compared(results, task, contender, label).itertuples():
                low, high = sorted((flip * row.difference_low, flip * row.difference_high))
                turned = row if flip > 0 else next(_compared(results, task, label, contender).itertuples())
                found.append(
                    Comparison(
                        contender=contender,
                        reference=reference,
                        difference=flip * row.difference,
                        low=low,
                        high=high,
                        wins=int(turned.wins),
                        n_patients=int(row.n_patients),
                        p=row.p_value,
                    )
                )
    return found


def _compared(results: Any, task: TaskView, contender: str, other: str) -> pd.DataFrame:
    key = task.primary.key
    compared: pd.DataFrame = results.compare(
        contender, other, task=task.name, metric=key.metric, setting=key.setting, scope=key.scope, status=key.status
    )
    return compared


def reference_answer(
    comparisons: Sequence[Comparison], task: TaskView, meta: dict[str, Any], *, reference: str
) -> tuple[str, Markup]:
    """Answer "do baselines that read expression beat `reference`?" by a word and a sentence.

    The word is one of yes, some, no (none is ahead), open (cannot test, or not shown by the test), missing.
    """
    if references(meta).get(reference) not in task.contenders:
        return "missing", Markup("{} was not run.").format(name(reference))
    readers = expression_baselines(meta, task.contenders)
    mine = [c for c in comparisons if c.reference == reference and c.contender in readers]
    if not mine:
        return "missing", Markup("No baseline that reads expression was run.")
    evidence = phrase(
        Markup("{} {} in {} of {}{}").format(
            name(c.contender),
            number(c.difference, sign=True),
            c.wins,
            plural(c.n_patients, "patient"),
            "" if np.isnan(c.p) else f", p {_relation(c.p)}",
        )
        for c in mine
    )
    if any(np.isnan(c.p) for c in mine):
        ahead = sum(c.difference > 0 for c in mine)
        text = {0: "none is ahead", len(mine): "ahead" if len(mine) == 1 else "all are ahead"}.get(
            ahead, f"{ahead} of {len(mine)} are ahead"
        )
        return "open", Markup("Cannot test; {}: {}.").format(text, evidence)
    won = sum(c.verdict == "beats" for c in mine)
    if won == 0 and any(c.difference > 0 for c in mine):
        return "open", Markup("Not shown: {}.").format(evidence)
    word = "yes" if won == len(mine) else "some" if won else "no"
    head = {"yes": "Yes", "some": "Some do", "no": "No"}[word]
    return word, Markup("{}: {}.").format(head, evidence)
