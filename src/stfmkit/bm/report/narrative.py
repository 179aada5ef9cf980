"""The verdict in words. Names come from data, so they enter text through Markup.format only, which escapes them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from markupsafe import Markup

from stfmkit.bm.report.cautions import cautions, cautions_over, in_spite, signed
from stfmkit.bm.report.formatting import name, number, p_value, phrase, plural
from stfmkit.bm.report.view_models import TaskView, expression_baselines, references
from stfmkit.evaluation.contender_labels import BASELINE
from stfmkit.evaluation.sign_flips import ALPHA, TEST_FROM


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
    detectable: float

    @property
    def verdict(self) -> str:
        """Return one of: higher, lower, level (no test); beats, worse, not shown (tested)."""
        if np.isnan(self.p):
            return "higher" if self.difference > 0 else "lower" if self.difference < 0 else "level"
        if self.p < ALPHA and self.difference != 0:
            return "beats" if self.difference > 0 else "worse"
        return "not shown"


def task_verdict(task: TaskView) -> list[Markup]:
    """Return the sentences on one task: who leads, who may be the best, who is worse, and what the mean is worth."""
    rows = task.ranks
    scored = rows.loc[rows["n_patients"] > 0] if len(rows) else rows
    if not len(scored):
        return [Markup("No contender has a score of every patient that is needed for a ranking.")]
    best = next(scored.itertuples())
    n = int(best.n_patients)
    chosen = [str(best.contender)]
    if len(scored) == 1:
        text = Markup("{} is the only contender {}; there is nothing to compare.")
        said = [text.format(signed(best.contender, task.marked), _mean(task, best, n))]
    else:
        said = _untested(task, scored, n) if n < TEST_FROM else _tested(task, scored, n)
        said += winners_curse(task)
        chosen += [] if n < TEST_FROM else scored.loc[scored["in_best_set"], "contender"].astype(str).tolist()
    said[1:1] = cautions(task, weak=chosen) + in_spite(task.allowed)
    if best.n_left_out:
        verb = "lacks" if best.n_left_out == 1 else "lack"
        text = Markup("{} {} a score of some contender and {} left out.")
        was = "is" if best.n_left_out == 1 else "are"
        said.append(text.format(plural(int(best.n_left_out), "patient"), verb, was))
    silent = [name(m) for m in rows.loc[rows["n_patients"] == 0, "contender"]]
    if silent:
        said.append(Markup("Without any score: {}.").format(phrase(silent)))
    return said


def _mean(task: TaskView, row: Any, n: int) -> Markup:
    text = f"{task.primary.title}: mean {number(row.mean)}"
    if np.isfinite(row.low) and np.isfinite(row.high):
        text += f", 95 % interval {number(row.low)} to {number(row.high)}"
    return Markup("({}; {})").format(text, plural(n, "patient"))


def _side(task: TaskView) -> str:
    return "lowest" if task.primary.higher is False else "highest"


def _untested(task: TaskView, rows: pd.DataFrame, n: int) -> list[Markup]:
    best, rest = next(rows.itertuples()), rows.iloc[1:]
    whose = "this patient" if n == 1 else f"these {n} patients"
    why = "The order" if n == 1 else f"An exact test needs {TEST_FROM} patients; the order"
    lead = Markup("{} has the {} mean {}. With {}: cannot test. {} describes {}, nothing more.")
    return [
        lead.format(
            signed(best.contender, task.marked),
            _side(task),
            _mean(task, best, n),
            plural(n, "patient"),
            why,
            whose,
        ),
        Markup("Differences to it: {}.").format(phrase(_with_difference(task, row) for row in rest.itertuples())),
    ]


def _tested(task: TaskView, rows: pd.DataFrame, n: int) -> list[Markup]:
    best, rest = next(rows.itertuples()), rows.iloc[1:]
    open_, worse = rest.loc[rest["in_best_set"]], rest.loc[~rest["in_best_set"]]
    lead, mean = signed(best.contender, task.marked), _mean(task, best, n)
    if len(open_):
        text = Markup("{} has the {} mean {}, but was not shown to be better than all.")
        said = [text.format(lead, _side(task), mean)]
        shown = [Markup("{} ({})").format(lead, _ranks(best)), *(_not_shown(task, row) for row in open_.itertuples())]
        said.append(Markup("The best set, any of which may be the best: {}.").format(phrase(shown)))
    elif best.contender in task.marked:  # a leader that the run itself marks is not called the best
        text = Markup("{} has the {} mean {}; the means of all others were shown to be worse.")
        said = [text.format(lead, _side(task), mean)]
    else:
        said = [Markup("{} is the best {}: all others were shown to be worse.").format(lead, mean)]
    if len(worse):
        shown = [_with_difference(task, row, _ranks(row)) for row in worse.itertuples()]
        said.append(Markup("Shown to be worse than the leader: {}.").format(phrase(shown)))
    return said


def winners_curse(task: TaskView) -> list[Markup]:
    """Say what the mean of the leader, and its correction, are worth; nothing where too few patients can tell."""
    best = next(task.ranks.itertuples())
    if (task.ranks["n_patients"] > 0).sum() < 2 or not np.isfinite(best.mean_corrected):
        return []
    wrong = "low" if task.primary.higher is False else "high"
    same = np.isclose(best.mean_corrected, best.mean, rtol=1e-9, atol=0)
    text = Markup("Corrected for having been chosen as the {}, the mean of the leader is {}{}.")
    worth = " (right on average over many comparisons, not in each)"
    if same:
        worth = (
            f", the same, and may still be too {wrong} (the correction is right on average over many comparisons, not "
            "in each)"
        )
    return [text.format(_side(task), number(best.mean_corrected), worth)]


def _not_shown(task: TaskView, row: Any) -> Markup:
    limit = f"; detectable from {number(row.detectable)}" if np.isfinite(row.detectable) else ""
    return _with_difference(task, row, f"{_ranks(row)}{limit}")


def _ranks(row: Any) -> str:
    return f"rank {row.rank_low}" if row.rank_low == row.rank_high else f"rank {row.rank_low} to {row.rank_high}"


def _with_difference(task: TaskView, row: Any, more: str = "") -> Markup:
    difference = number(row.difference, sign=True)
    text = f"{difference}; {more}" if more else difference
    return Markup("{} ({})").format(signed(row.contender, task.marked), text)


def over_tasks_verdict(table: pd.DataFrame, tasks: Sequence[TaskView]) -> list[Markup]:
    """Return the sentences on mean ranks over all tasks, for what `Results.rank_over_tasks` returned."""
    best, rest = next(table.itertuples()), table.iloc[1:]
    titles = {task.name: task.title for task in tasks}
    compared = [task for task in tasks if task.name in best.tasks.split(", ")]
    suspect = {who for task in compared for who in task.suspect}
    text = Markup("Ranks by the primary metrics of {} ({}), averaged within each of {}.")
    listed = phrase(titles.get(task, task) for task in best.tasks.split(", "))
    said = [text.format(plural(best.n_tasks, "task"), listed, plural(best.n_patients, "patient"))]
    said += cautions_over(compared, table["contender"]) + in_spite(tasks[0].allowed)
    differ = "Contenders differ" if best.friedman_p < ALPHA else "It is not shown that any contenders differ"
    said.append(Markup("{} (p {} in the permutation test of Friedman).").format(differ, _relation(best.friedman_p)))
    level, worse = rest.loc[rest["in_best_set"]], rest.loc[~rest["in_best_set"]]
    lead = Markup("{} has the best mean rank ({}).")
    said.append(lead.format(signed(best.contender, suspect), f"{best.mean_rank:.2f}"))
    for words, rows in (("Not shown to be worse", level), ("Shown to be worse", worse)):
        if len(rows):
            ranks = [(signed(row.contender, suspect), f"{row.mean_rank:.2f}") for row in rows.itertuples()]
            shown = phrase(Markup("{} ({})").format(*pair) for pair in ranks)
            said.append(Markup("{}: {}.").format(words, shown))
    return said + _left_out(table.attrs.get("left_out", {}), titles)


def _left_out(lacks: Mapping[str, Sequence[str]], titles: Mapping[str, str]) -> list[Markup]:
    """Name the contenders that are not in the ranking, and the tasks that they lack."""
    own = [who for who in lacks if who.startswith(BASELINE)]  # these are made for one task, and lack all others
    text = Markup("{}, which takes no part in {}")
    said = [
        text.format(name(who), phrase(titles.get(task, task) for task in tasks))
        for who, tasks in lacks.items()
        if who not in own
    ]
    if own:
        said.append(Markup("{}, made for one task").format(phrase(map(name, own))))
    return [Markup("Left out: {}.").format(Markup("; ").join(said))] if said else []


def _relation(p: float) -> str:
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"


def compare_references(results: Any, task: TaskView) -> list[Comparison]:
    """Compare every contender with the references that were run, on the primary metric of a task.

    p and intervals are those of all pairs of the task together, so that they hold whichever comparison is looked at.
    """
    flip = -1.0 if task.primary.higher is False else 1.0
    pairs = results.pairs(task.name)
    found = []
    for reference, label in references(results.meta).items():
        mine = pairs.loc[pairs["other"] == label].set_index("contender")
        for contender in (own for own in task.contenders if own in mine.index):
            row = mine.loc[contender]
            low, high = sorted((flip * row["difference_low"], flip * row["difference_high"]))
            found.append(
                Comparison(
                    contender=contender,
                    reference=reference,
                    difference=flip * row["difference"],
                    low=low,
                    high=high,
                    wins=int(row["wins"]),
                    n_patients=int(row["n_patients"]),
                    p=float(row["p_value"]),
                    detectable=float(row["detectable"]),
                )
            )
    return found


def reference_answer(
    comparisons: Sequence[Comparison], task: TaskView, meta: dict[str, Any], *, reference: str
) -> tuple[str, Markup]:
    """Answer "do baselines that read expression beat `reference`?" by a word and a sentence.

    The word is one of yes, some, no (all are shown to be worse), open (cannot test, or not shown by the test), missing.
    """
    if references(meta).get(reference) not in task.contenders:
        return "missing", Markup("{} was not run.").format(name(reference))
    readers = expression_baselines(meta, task.contenders)
    mine = [c for c in comparisons if c.reference == reference and c.contender in readers]
    if not mine:
        return "missing", Markup("No baseline that reads expression was run.")
    tested = not any(np.isnan(c.p) for c in mine)
    evidence = phrase(_evidence(c) for c in mine)
    if not tested:
        higher = sum(c.difference > 0 for c in mine)
        text = {0: "none has the better mean", len(mine): "it has" if len(mine) == 1 else "all have"}.get(
            higher, f"{higher} of {len(mine)} have"
        )
        return "open", Markup("Cannot test; {}: {}.").format(f"{text} the better mean" if higher else text, evidence)
    won, lost = (sum(c.verdict == word for c in mine) for word in ("beats", "worse"))
    word = "yes" if won == len(mine) else "some" if won else "no" if lost == len(mine) else "open"
    head = {"yes": "Yes", "some": "Some do", "no": "No", "open": "Not shown"}[word]
    return word, Markup("{}: {}.").format(head, evidence)


def _evidence(c: Comparison) -> Markup:
    """Return difference, patients and p; what could have been seen, where nothing was shown."""
    more = "" if np.isnan(c.p) else f", p {_relation(c.p)}"
    if c.verdict == "not shown" and np.isfinite(c.detectable):
        more += f" (detectable from {number(c.detectable)})"
    return Markup("{} {} in {} of {}{}").format(
        name(c.contender), number(c.difference, sign=True), c.wins, plural(c.n_patients, "patient"), more
    )
