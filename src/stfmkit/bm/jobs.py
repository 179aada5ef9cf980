"""One contender, or the controls, in one fold: the piece of work that is handed to a process."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from stfmkit._core.blame import raised_by
from stfmkit._core.store import Store
from stfmkit.bm.check_scores import control_of, scored
from stfmkit.bm.contenders import Contender
from stfmkit.bm.stage import Stage
from stfmkit.bm.task import Scores, Task
from stfmkit.bm.task_identity import task_identity
from stfmkit.evaluation.averages import sample_means
from stfmkit.evaluation.contender_labels import BASELINE, CONTROL, JOINT
from stfmkit.evaluation.scores import concat_scores
from stfmkit.splits.folds import Fold


@dataclass(frozen=True, kw_only=True, eq=False)
class TaskGroup:
    """Tasks that share their hidden genes, truth and predictions; most are on their own.

    Attributes
    ----------
    name
        What they share, or the name of the one task.
    tasks
        The tasks.
    hidden
        Positions of the genes that contenders must not see, by number of the fold.
    """

    name: str
    tasks: tuple[Task, ...]
    hidden: Mapping[int, np.ndarray]


@dataclass(frozen=True, kw_only=True, eq=False)
class FinishedTask:
    """The scores of one contender in one task and fold."""

    label: str
    task: str
    fold: int
    scores: Scores
    seconds: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    """Everything that one contender, or the controls, need in one fold.

    Attributes
    ----------
    contender
        The contender; None for the controls that are predictions.
    controls
        Labels of controls that are this contender: it is scored once, and its scores stand under each name.
    groups
        Groups of tasks that accept it, each with its truth.
    identity
        Text that tells protocol and data from others.
    store
        Folder for finished scores.
    """

    fold: Fold
    contender: Contender | None
    controls: Sequence[str] = ()
    groups: Sequence[tuple[TaskGroup, Any]]
    stage: Stage
    identity: str
    store: Store | None

    def run(self) -> list[FinishedTask]:
        """Score all tasks, or read scores that are finished; in one thread, so that the bits do not depend on it."""
        who = "controls" if self.contender is None else f"contender {self.contender.label!r}"
        asked = ", ".join(repr(task.name) for group, _ in self.groups for task in group.tasks)
        with threadpool_limits(1), raised_by(f"the {who}, fold {self.fold.number}, tasks {asked}"):
            return [
                finished
                for group, truth in self.groups
                for finished in (
                    self._controls(group, truth) if self.contender is None else self._contender(group, truth)
                )
            ]

    def _contender(self, group: TaskGroup, truth: Any) -> Iterator[FinishedTask]:
        """Yield the scores of the contender; output and prediction are made when the first task needs them.

        The predictions of the model that checks the metrics are also scored after they were made worse.
        """
        contender = self.contender
        if contender is None:
            return
        known = self.stage.identities.get(contender.label)
        made: list[tuple[Any, float]] = []

        def prediction() -> tuple[Any, float]:
            if not made:
                output = self.stage.output(contender, self.fold, group.hidden[self.fold.number])
                start = perf_counter()
                made.append((group.tasks[0].predict(output, truth), output.seconds + perf_counter() - start))
            return made[0]

        def finish(task: Task, label: str, how: str = "") -> FinishedTask:
            name = self._name(task, label, known)
            held = self._read(name)
            if held is None:
                predicted, spent = prediction()
                start = perf_counter()
                scores = scored(task, truth, task.degrade(predicted, truth, how) if how else predicted)
                if how:  # only means of them are read
                    scores = Scores(table=sample_means(scores.table), kept=scores.kept)
                held = (scores, spent + perf_counter() - start)
                self._write(name, *held)
            return FinishedTask(label=label, task=task.name, fold=self.fold.number, scores=held[0], seconds=held[1])

        for task in group.tasks:
            finished = finish(task, contender.label)
            yield finished
            twins = [name for name in self.controls if name in task.control_labels]
            yield from (replace(finished, label=name) for name in twins)
            model = CONTROL + task.degraded_model
            if model in (contender.label, *twins):
                yield from (finish(task, model + JOINT + how, how) for how in task.degradations)

    def _controls(self, group: TaskGroup, truth: Any) -> Iterator[FinishedTask]:
        """Yield the scores of the controls of every task, and of the baselines that it brings."""
        for task in group.tasks:
            made = {CONTROL: cache(partial(task.controls, truth)), BASELINE: cache(partial(task.baselines, truth))}
            names = {CONTROL: task.predicted_controls(), BASELINE: list(task.own_baselines)}
            for prefix, own in ((prefix, own) for prefix, part in names.items() for own in part):
                label = prefix + own
                name = self._name(task, label, prefix)
                held = self._read(name)
                if held is None:
                    start = perf_counter()
                    scores = scored(task, truth, control_of(task, made[prefix](), own))
                    if label == CONTROL + task.positive:
                        table = concat_scores([scores.table, task.ceiling(truth)])
                        scores = Scores(table=table, kept=scores.kept, observations=scores.observations)
                    held = (scores, perf_counter() - start)
                    self._write(name, *held)
                yield FinishedTask(label=label, task=task.name, fold=self.fold.number, scores=held[0], seconds=held[1])

    def _name(self, task: Task, label: str, contender: str | None) -> str | None:
        """Return the identity of finished scores; None where contender or task cannot be told from others."""
        made_by = task_identity(task)
        if self.store is None or contender is None or made_by is None:
            return None
        return f"scores {self.identity} {self.stage.data} {label} {contender} {task.name} {made_by} {self.fold.number}"

    def _read(self, name: str | None) -> tuple[Scores, float] | None:
        entry = None if self.store is None or name is None else self.store.get(name)
        if entry is None:
            return None
        tables = {key: value for key, value in entry.items() if isinstance(value, pd.DataFrame)}
        return Scores(**tables), float(np.asarray(entry["seconds"])[0])

    def _write(self, name: str | None, scores: Scores, seconds: float) -> None:
        if self.store is not None and name is not None:
            tables = {key: value for key, value in vars(scores).items() if value is not None}
            self.store.put(name, {**tables, "seconds": np.array([seconds])})
