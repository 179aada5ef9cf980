"""Hold what a task returns to what its class promises, so that an error names the task."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from stfmkit._core.arguments import listed
from stfmkit._core.blame import raised_by
from stfmkit._core.errors import InputError
from stfmkit.bm.task import Scores, Task
from stfmkit.evaluation.scores import SCHEMA
from stfmkit.splits.folds import Fold


def raised_in(task: Task, fold: Fold | None = None) -> raised_by:
    """Return a block that names the task, and the fold if there is one, in an unexpected error of its code."""
    return raised_by(f"the task {task.name!r}" + ("" if fold is None else f", fold {fold.number}"))


def scored(task: Task, truth: Any, prediction: Any) -> Scores:
    """Return the scores of a prediction, if they are scores.

    Raises
    ------
    InputError
        `score` returned something else.
    """
    scores = task.score(truth, prediction)
    if not isinstance(scores, Scores) or not isinstance(scores.table, pd.DataFrame):
        kind = type(scores.table if isinstance(scores, Scores) else scores).__name__
        raise _broken(task, f"score() returned a {kind}", "Scores(table=...), with a table of evaluation.scores")
    lacking = [name for name in SCHEMA if name not in scores.table]
    if lacking:
        raise _broken(task, f"scores without the columns {listed(lacking)}", "a table built with evaluation.scores")
    return scores


def control_of(task: Task, controls: Any, name: str) -> Any:
    """Return the prediction of a control.

    Raises
    ------
    InputError
        `controls` did not return it.
    """
    if not isinstance(controls, Mapping) or name not in controls:
        there = listed(controls) if isinstance(controls, Mapping) else f"a {type(controls).__name__}"
        raise _broken(
            task,
            f"controls() or baselines() returned {there}, without {name!r}",
            "a prediction for `positive` and all `negatives`",
        )
    return controls[name]


def _broken(task: Task, found: str, allowed: str) -> InputError:
    return InputError(
        f"the task {task.name!r} breaks the contract: {found}.",
        allowed=allowed,
        remedy=f"correct the task; sk.testing.check_task({task.name!r}) shows what the contract wants.",
    )
