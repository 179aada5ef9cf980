"""Whether a task keeps the contract that the benchmark relies on."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from stfmkit._core.arguments import listed
from stfmkit._core.blame import raised_by
from stfmkit._core.errors import InputError
from stfmkit.bm._protocol import Protocol
from stfmkit.bm.assemble import PooledTask, assemble
from stfmkit.bm.check_scores import scored
from stfmkit.bm.contenders import Contender, GivenContender
from stfmkit.bm.jobs import FinishedTask
from stfmkit.bm.model_contenders import from_registry, shared_inputs
from stfmkit.bm.score_table import metric_facts
from stfmkit.bm.stage import Stage
from stfmkit.bm.study import Study, load_study
from stfmkit.bm.task import Task
from stfmkit.bm.task_catalogue import catalogue, check_task_facts
from stfmkit.evaluation.contender_labels import BASELINE, CONTROL, JOINT
from stfmkit.evaluation.metric_keys import facts_of, patient_values, rows_of
from stfmkit.splits.folds import Fold
from stfmkit.splits.splitters import PatientKFold

if TYPE_CHECKING:
    from collections.abc import Callable

    from stfmkit._data.view import Container

_PERFECT, _CONSTANT, _TURNED = "perfect", "constant", "turned"
_WHERE = ["metric", "setting", "scope", "patient", "sample", "gene", "niche"]


def check_task(
    task: str | Task, *, data: "Container | None" = None, protocol: Protocol | None = None, table_key: str | None = None
) -> None:
    """Check that a task keeps the contract, and raise at the first promise that it breaks.

    The checks: the facts are complete; scores are tables of the schema, and every score without a value says why; the
    primary metric is described, with a direction, and has a score for every patient; a perfect prediction scores no
    worse than the positive control, and this better than every negative one and every baseline of the task, which has
    a score for every patient; the order of the test rows makes no difference; a perfect prediction that was made worse
    by noise, or by exchanging genes, scores lower, where the task says how that is done; an embedding that says nothing
    (all rows alike) is scored in as many rows as a perfect prediction; the global random state stays as it is.

    Parameters
    ----------
    task
        A task, or the name of one that is registered.
    data
        AnnData or SpatialData to check with; by default a small synthetic cohort.
    protocol
        Protocol for `data`; required with it.
    table_key
        Table of a SpatialData.

    Raises
    ------
    InputError
        The contract is broken; the text says where, and what to repair.
    InputTypeError
        `task` is neither a name nor a task.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.testing.check_task("domains")
    """
    checked = catalogue.find(task) if isinstance(task, str) else task
    check_task_facts(checked)
    study = _study(data, protocol, table_key)
    state = np.random.get_state()  # noqa: NPY002  the state that must not change
    with raised_by(f"the task {checked.name!r}"):
        table = _scores(checked, study)
    if not _same(state, np.random.get_state()):  # noqa: NPY002
        raise _broken(checked, "the global random state changed", "draw from stfmkit streams or local generators.")
    _check_table(checked, table)
    _check_nothing_is_dropped(checked, table)
    _check_order_of_controls(checked, table)
    _check_degradations(checked, table)
    _check_alike(checked, table)
    _check_baselines(checked, table)


def _study(data: "Container | None", protocol: Protocol | None, table_key: str | None) -> Study:
    if data is not None and protocol is not None:
        return load_study(data, protocol, table_key=table_key)
    if data is not None or protocol is not None:
        raise InputError("data without a protocol, or one without data.", allowed="both, or none", remedy="pass both.")
    from stfmkit.datasets import synthetic_cohort

    cells = synthetic_cohort(n_patients=3, size=400, as_="anndata", rng=0)
    keys = {"patient_key": "patient", "sample_key": "sample", "label_key": "niche"}
    quick = {"linear_c": (0.01,), "n_neighbors": (10,), "ridge_alpha": (100.0,), "n_target_genes": 30}
    return load_study(cells, Protocol(split=PatientKFold(3), selector="hvg", **keys, **quick))  # type: ignore[arg-type]


def _scores(task: Task, study: Study) -> pd.DataFrame:
    """Return the scores of controls and of made-up contenders in all folds."""
    models = [from_registry(CONTROL + name, name, {}, study) for name in task.control_models]
    finished = []
    hidden = {fold.number: task.hidden(study, fold) for fold in study.folds}
    stage = Stage(inputs=shared_inputs(study), n_obs=len(study.obs_names), data="")
    for fold in study.folds:
        truth = task.truth(study, fold, hidden[fold.number])
        controls = task.controls(truth)
        missing = [n for n in task.predicted_controls() if n not in controls]
        if missing:
            raise _broken(task, f"no control named {listed(missing)}", "return it from controls().")
        baselines = task.baselines(truth)
        if set(baselines) != set(task.own_baselines):
            raise _broken(
                task,
                f"the baselines {listed(baselines)}, described as {listed(task.own_baselines)}",
                "describe in own_baselines what baselines() returns.",
            )
        predictions: dict[str, Callable[[], Any]] = {
            **{CONTROL + name: partial(controls.__getitem__, name) for name in task.predicted_controls()},
            **{BASELINE + name: partial(baselines.__getitem__, name) for name in baselines},
            _PERFECT: partial(task.perfect, truth),
        }
        if "embedding" in task.accepts:
            for contender in (*models, _constant(study)):
                output = stage.output(contender, fold, hidden[fold.number])
                predictions[contender.label] = partial(task.predict, output, truth)
        finished += [_finished(task, label, truth, make()) for label, make in predictions.items()]
        for how in task.degradations:
            worse = task.degrade(task.perfect(truth), truth, how)
            finished.append(_finished(task, _PERFECT + JOINT + how, truth, worse))
        turned = task.truth(study, _turned(fold), hidden[fold.number])
        finished.append(_finished(task, _TURNED, turned, task.perfect(turned)))
    pooled = PooledTask(task=task, truth=task.pooled_truth(study, hidden))
    table, _ = assemble(study, [pooled], finished, identity="")
    return table


def _constant(study: Study) -> Contender:
    values = np.zeros((len(study.obs_names), 3))
    return GivenContender(
        label=_CONSTANT, kind="embedding", role="given", origin="array", exposure="nothing", values=values
    )


def _finished(task: Task, label: str, truth: Any, prediction: Any) -> FinishedTask:
    scores = scored(task, truth, prediction)
    return FinishedTask(label=label, task=task.name, fold=truth.fold.number, scores=scores, seconds=0.0)


def _turned(fold: Fold) -> Fold:
    return replace(fold, test=fold.test[::-1].copy())


def _check_table(task: Task, table: pd.DataFrame) -> None:
    primary = rows_of(table, task.name, task.primary)
    patients = set(primary["patient"]) - {""}
    if primary.empty or not patients:
        raise _broken(
            task,
            f"no score of {task.primary.metric!r} with setting {task.primary.setting!r} and scope "
            f"{task.primary.scope!r} for any patient",
            "score the primary metric, and name patients.",
        )
    facts = facts_of(metric_facts(table, [task]), task.primary)
    if facts.get("higher_is_better") is None:
        raise _broken(task, f"the primary metric {task.primary.metric!r} has no direction", "see describe_metric().")
    silent = table["value"].isna() & (table["reason"] == "")
    if silent.any():
        names = listed(table.loc[silent, "metric"].unique())
        raise _broken(task, f"scores of {names} without a value and without a reason", "say why in `reason`.")


def _check_order_of_controls(task: Task, table: pd.DataFrame) -> None:
    means = patient_values(table, task.name, task.primary).mean(axis=1)
    higher = facts_of(metric_facts(table, [task]), task.primary)["higher_is_better"]
    sign = 1.0 if higher else -1.0
    positive = CONTROL + task.positive
    if not sign * means[_PERFECT] >= sign * means[positive]:
        raise _broken(
            task,
            f"a perfect prediction scores {means[_PERFECT]:.3g}, the positive control {means[positive]:.3g}",
            "a sound metric puts what is perfect first.",
        )
    for name in task.negatives:
        if not sign * means[positive] > sign * means[CONTROL + name]:
            raise _broken(
                task,
                f"the positive control scores {means[positive]:.3g}, the negative control {name!r} "
                f"{means[CONTROL + name]:.3g}",
                "a sound metric puts the positive control first.",
            )


def _check_degradations(task: Task, table: pd.DataFrame) -> None:
    """Hold that the largest share of noise, and of exchanged genes, lowers the primary metric."""
    means = patient_values(table, task.name, task.primary).mean(axis=1)
    sign = 1.0 if facts_of(metric_facts(table, [task]), task.primary)["higher_is_better"] else -1.0
    for kind in ("noise", "genes"):
        steps = [how for how in task.degradations if how.partition("=")[0] == kind]
        if not steps:
            continue
        most = max(steps, key=lambda how: float(how.partition("=")[2]))
        value = means.get(_PERFECT + JOINT + most, np.nan)
        if not sign * value < sign * means[_PERFECT]:
            raise _broken(
                task,
                f"a perfect prediction scores {means[_PERFECT]:.3g}, and {value:.3g} after {most!r}",
                "a sound metric falls when a prediction is made worse; see degrade().",
            )


def _check_alike(task: Task, table: pd.DataFrame) -> None:
    """Compare the scores of a perfect prediction with those of the same rows in another order."""
    first, second = (_by_place(table, label) for label in (_PERFECT, _TURNED))
    if not first.index.equals(second.index) or not np.allclose(first, second, equal_nan=True, atol=1e-9):
        raise _broken(task, "scores depend on the order of the test rows", "compare rows by what they are.")


def _check_nothing_is_dropped(task: Task, table: pd.DataFrame) -> None:
    if "embedding" not in task.accepts:
        return
    own = rows_of(table, task.name, task.primary)
    perfect, constant = (_by_place(own, label) for label in (_PERFECT, _CONSTANT))
    missing = perfect.index.difference(constant.index)
    if len(missing):
        raise _broken(
            task,
            f"an embedding that says nothing has {len(missing)} fewer scores than a perfect prediction",
            "score it, or give rows without a value and with the reason.",
        )


def _check_baselines(task: Task, table: pd.DataFrame) -> None:
    """Hold that a baseline has a score for every patient, and is not above the positive control."""
    values = patient_values(table, task.name, task.primary)
    sign = 1.0 if facts_of(metric_facts(table, [task]), task.primary)["higher_is_better"] else -1.0
    for label in (BASELINE + name for name in task.own_baselines):
        if label not in values.index or not values.loc[_PERFECT].dropna().index.equals(
            values.loc[label].dropna().index
        ):
            raise _broken(task, f"{label!r} has no score of every patient", "predict all that is tested.")
        mean, top = values.loc[label].mean(), values.loc[CONTROL + task.positive].mean()
        if not sign * mean < sign * top:
            raise _broken(
                task,
                f"{label!r} scores {mean:.3g}, the positive control {top:.3g}",
                "a baseline knows training observations alone.",
            )


def _by_place(table: pd.DataFrame, label: str) -> pd.Series:
    rows = table[(table["contender"] == label) & table["status"].isin(["scored", "undefined"])]
    return rows.set_index(_WHERE)["value"].sort_index()


def _same(first: Mapping[str, Any] | tuple[Any, ...], second: Mapping[str, Any] | tuple[Any, ...]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def _broken(task: Task, evidence: str, remedy: str) -> InputError:
    return InputError(
        f"the task {task.name!r} breaks the contract: {evidence}.",
        allowed="what sk.bm.Task promises",
        remedy=remedy,
    )
