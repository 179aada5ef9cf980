"""The tasks by name: those of this package, those of plug-ins, and those that are registered for a session."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import pandas as pd

from stfmkit._core.arguments import check_known, listed
from stfmkit._core.catalogue import NAME, Catalogue
from stfmkit._core.errors import InputError, InputTypeError
from stfmkit.bm._protocol import Protocol
from stfmkit.bm.contenders import KINDS
from stfmkit.bm.task import Task
from stfmkit.evaluation.metric_keys import MetricKey

_FACTS = ("name", "title", "question", "primary", "positive", "negatives")
_SHARED = ("hidden", "truth", "predict")


def list_tasks() -> pd.DataFrame:
    """Return one row for every task: what it asks, its primary metric, what it accepts and needs, its controls.

    Returns
    -------
    A table indexed by name.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.bm.list_tasks().loc["niche_probe", ["metric", "setting"]].tolist()
    ['macro_f1', 'probe=linear']
    """
    return pd.DataFrame(catalogue.rows(_row)).set_index("name")


def _row(task: Task) -> dict[str, Any]:
    primary = {"metric": task.primary.metric, "setting": task.primary.setting}
    facts = {"name": task.name, "title": task.title, "question": task.question, **primary}
    lists = {"accepts": task.accepts, "needs": task.needs, "positive": task.positive, "negatives": task.negatives}
    return facts | lists


def register_task(task: Task, *, overwrite: bool = False) -> None:
    """Add a task for this session, so that `sk.bm.run` can ask it by name.

    A package offers its tasks to every user through the entry-point group ``stfmkit.tasks``.

    Parameters
    ----------
    task
        An object of a subclass of `sk.bm.Task`.
    overwrite
        Replace a task of the same name.

    Raises
    ------
    InputTypeError
        It is not a task.
    InputError
        A fact is missing or makes no sense, or the name is taken.

    Examples
    --------
    >>> import stfmkit as sk
    >>> from stfmkit.bm.tasks.domains import Domains
    >>> sk.bm.register_task(Domains(), overwrite=True)
    >>> "domains" in sk.bm.list_tasks().index
    True
    """
    catalogue.add(task, overwrite=overwrite)


def choose_tasks(names: Sequence[str] | None, protocol: Protocol) -> list[Task]:
    """Return the tasks named, or all that the protocol can serve, in the order of the catalogue."""
    tasks = catalogue.entries()
    if names is None:
        served = set(catalogue.rows(lambda task: None if _lacking(task, protocol) else task.name))
        return [task for name, task in catalogue.entries().items() if name in served]
    if isinstance(names, str) or not names:
        raise InputError(f"tasks={names!r}.", allowed=f"a list out of {listed(tasks)}", remedy="pass a list of names.")
    for name in names:
        check_known(name, list(tasks), what="task", remedy="pass names out of these.")
    chosen = [task for name, task in tasks.items() if name in names]
    for task in chosen:
        lacking = _lacking(task, protocol)
        if lacking:
            raise InputError(
                f"the task {task.name!r} without a {' and a '.join(key.removesuffix('_key') for key in lacking)}.",
                allowed=f"Protocol({', '.join(f'{key}=...' for key in lacking)}) for this task",
                remedy=f"pass {' and '.join(lacking)}, or leave the task out.",
            )
    return chosen


def check_task_facts(task: Task) -> None:
    """Refuse what is not a task, or a task whose facts are missing or make no sense."""
    if not isinstance(task, Task):
        raise InputTypeError(
            f"a task of type {type(task).__name__}.",
            allowed="an object of a subclass of sk.bm.Task",
            remedy="pass an object, not its class.",
        )
    missing = [name for name in _FACTS if not getattr(type(task), name, None)]
    known = {field.name for field in fields(Protocol)}
    wrong = [kind for kind in task.accepts if kind not in KINDS] + [key for key in task.needs if key not in known]
    faults = [f"without {listed(missing)}"] if missing else list(_odd_facts(task))
    faults += [f"with the unknown {listed(wrong)}"] if wrong else []
    if faults:
        raise InputError(
            f"a task {type(task).__name__} {', '.join(faults)}.",
            allowed=f"a name of lower-case letters, the facts {listed(_FACTS)}, kinds out of {listed(KINDS)}, and "
            "fields of Protocol as needs",
            remedy="state them as attributes of the class; primary is a MetricKey.",
        )


def _odd_facts(task: Task) -> Iterator[str]:
    """Yield what cannot be a name, a primary metric or a control."""
    if not isinstance(task.name, str) or not NAME.fullmatch(task.name):
        yield f"with the name {task.name!r}"
    if not isinstance(task.primary, MetricKey):
        yield f"whose primary metric is {task.primary!r}, which is no MetricKey"
    if not isinstance(task.positive, str):
        yield f"whose positive control is {task.positive!r}"
    if isinstance(task.negatives, str) or not all(isinstance(name, str) for name in task.negatives):
        yield f"whose negative controls are {task.negatives!r}, not a tuple of names"
    elif task.positive in task.negatives:
        yield f"whose positive control {task.positive!r} is among the negative ones"


def check_sharing(tasks: Sequence[Task]) -> None:
    """Refuse tasks that say that they share their predictions, and do not."""
    first: dict[str, Task] = {}
    for task in (task for task in tasks if task.shares):
        other = first.setdefault(task.shares, task)
        differ = [name for name in _SHARED if getattr(type(task), name) is not getattr(type(other), name)]
        if differ or task.accepts != other.accepts:
            raise InputError(
                f"the tasks {task.name!r} and {other.name!r} share {task.shares!r}, and differ in {listed(differ)}.",
                allowed=f"the same {listed(_SHARED)} and accepts in both",
                remedy="inherit them from one class, or leave `shares` empty.",
            )


def _lacking(task: Task, protocol: Protocol) -> list[str]:
    return [key for key in task.needs if getattr(protocol, key) is None]


def _built_in() -> Iterator[Task]:
    """Yield the tasks of this package: what every file in its folder defines as ``TASK``."""
    package = import_module("stfmkit.bm.tasks")
    for module in sorted(iter_modules(package.__path__), key=lambda found: found.name):
        yield import_module(f"{package.__name__}.{module.name}").TASK


catalogue: Catalogue[Task] = Catalogue(
    what="task",
    group="stfmkit.tasks",
    built_in=_built_in,
    name_of=lambda task: task.name,
    check=check_task_facts,
    facts=lambda task: (_row(task), task.shares),
)
