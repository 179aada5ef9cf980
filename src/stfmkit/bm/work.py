"""All work of a comparison: which contender is asked what in which fold, and in which process."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from stfmkit._core.processes import in_processes
from stfmkit._core.progress import progress
from stfmkit._core.store import Store
from stfmkit.bm.check_scores import raised_in
from stfmkit.bm.contenders import Contender
from stfmkit.bm.jobs import FinishedTask, Job, TaskGroup
from stfmkit.bm.model_contenders import shared_inputs
from stfmkit.bm.stage import Stage
from stfmkit.bm.study import Study
from stfmkit.bm.task import Task
from stfmkit.evaluation.contender_labels import CONTROL
from stfmkit.splits.folds import Fold


def group_tasks(tasks: Sequence[Task], study: Study) -> list[TaskGroup]:
    """Return the tasks in groups that share what is asked, with the genes that are hidden in every fold."""
    members: dict[str, list[Task]] = {}
    for task in tasks:
        members.setdefault(task.shares or task.name, []).append(task)
    return [
        TaskGroup(name=name, tasks=tuple(part), hidden={f.number: _hidden(part[0], study, f) for f in study.folds})
        for name, part in members.items()
    ]


def _hidden(task: Task, study: Study, fold: Fold) -> np.ndarray:
    with raised_in(task, fold):
        return task.hidden(study, fold)


@dataclass(frozen=True, kw_only=True, eq=False)
class Work:
    """All that is to be computed, and what becomes known of the folds on the way.

    Attributes
    ----------
    contenders
        Those of the caller, then the registered models that are controls.
    groups
        All groups of tasks.
    identity
        The protocol id.
    store
        Folder for finished outputs and scores.
    facts
        What tasks say of the truth of every fold, filled while the work is done.
    identities
        Identity of every contender by its label, filled where there is a store; None where it cannot be told.
    """

    study: Study
    contenders: Sequence[Contender]
    groups: Sequence[TaskGroup]
    identity: str
    store: Store | None
    facts: dict[int, dict[str, Any]] = field(default_factory=dict)
    identities: dict[str, str | None] = field(default_factory=dict)

    def hidden(self, task: Task) -> Mapping[int, np.ndarray]:
        """Return the hidden genes of a task by fold."""
        return next(group.hidden for group in self.groups if task in group.tasks)

    def done(self, *, n_jobs: int, show_progress: bool) -> list[FinishedTask]:
        """Return the scores of all contenders and controls in all folds."""
        same = self._same()
        alone = [contender for contender in self.contenders if contender.label not in same]
        stage = self._stage().with_shared(list(self._wanted(alone)), n_jobs=n_jobs, show_progress=show_progress)
        work = in_processes((job.run for job in self._jobs(stage, alone, same)), n_jobs=n_jobs, ordered=False)
        total = len(self.study.folds) * (len(alone) + 1)
        bar = progress(work, label="comparing", total=total, unit="unit", show=show_progress)
        return [finished for part in bar for finished in part]

    def _same(self) -> dict[str, str]:
        """Return the label of a contender by that of each control which is the same model with the same options."""
        own = [c for c in self.contenders if not c.label.startswith(CONTROL)]
        found: dict[str, str] = {}
        for control in (c for c in self.contenders if c.label.startswith(CONTROL)):
            alike = [c for c in own if c.origin == control.origin]
            known = control.identity() if alike else None
            same = [c.label for c in alike if known is not None and c.identity() == known]
            if same:
                found[control.label] = same[0]
        return found

    def _stage(self) -> Stage:
        known = {c.label: None if self.store is None else c.identity() for c in self.contenders}
        self.identities.update(known)
        return Stage(
            inputs=shared_inputs(self.study),
            n_obs=len(self.study.obs_names),
            data=self.study.fingerprint,
            store=self.store,
            identities=known,
        )

    def _groups_of(self, contender: Contender) -> Iterator[TaskGroup]:
        """Yield the groups in which a contender takes part; a control takes part in the tasks that name it."""
        own = contender.label.startswith(CONTROL)
        for group in self.groups:
            tasks = tuple(t for t in group.tasks if not own or contender.label in t.control_labels)
            if tasks and contender.kind in tasks[0].accepts:
                yield replace(group, tasks=tasks)

    def _wanted(self, contenders: Sequence[Contender]) -> Iterator[tuple[Contender, np.ndarray]]:
        """Yield every contender with every set of hidden genes that it is asked for, once for each fold."""
        for contender in contenders:
            for fold in self.study.folds:
                sets = [group.hidden[fold.number] for group in self._groups_of(contender)]
                yield from ((contender, genes) for genes in {genes.tobytes(): genes for genes in sets}.values())

    def _jobs(self, stage: Stage, contenders: Sequence[Contender], same: Mapping[str, str]) -> Iterator[Job]:
        """Yield the work, fold by fold; the truth of a fold lives no longer than its jobs."""
        for fold in self.study.folds:
            truths: dict[str, Any] = {}
            facts: dict[str, Any] = {}
            for group in self.groups:
                with raised_in(group.tasks[0], fold):
                    truths[group.name] = group.tasks[0].truth(self.study, fold, group.hidden[fold.number])
                for task in group.tasks:
                    with raised_in(task, fold), threadpool_limits(1):  # bits do not depend on the number of threads
                        facts |= task.facts(truths[group.name])
            self.facts[fold.number] = facts
            for contender in (None, *contenders):
                groups = self.groups if contender is None else self._groups_of(contender)
                yield Job(
                    fold=fold,
                    contender=contender,
                    controls=[] if contender is None else [c for c, label in same.items() if label == contender.label],
                    groups=[(group, truths[group.name]) for group in groups],
                    stage=stage.for_contender(contender),
                    identity=self.identity,
                    store=self.store,
                )
