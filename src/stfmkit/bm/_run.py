"""Compare contenders on held-out tasks."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from stfmkit._core.arguments import check_integer, listed
from stfmkit._core.errors import InputError
from stfmkit._core.files import digest
from stfmkit._core.store import Store
from stfmkit.bm._audit import accept, audit_study, check_allow, overrides
from stfmkit.bm._protocol import Protocol
from stfmkit.bm._results import Results
from stfmkit.bm.assemble import PooledTask, assemble
from stfmkit.bm.check_scores import raised_in
from stfmkit.bm.contender_findings import findings_of_labels
from stfmkit.bm.contenders import Contender
from stfmkit.bm.finding import Finding, by_severity
from stfmkit.bm.folder import FINISHED, as_path, check_output
from stfmkit.bm.model_contenders import control_names, from_registry
from stfmkit.bm.resolve_contenders import resolve_contenders
from stfmkit.bm.score_findings import findings_of_scores
from stfmkit.bm.score_table import metric_facts
from stfmkit.bm.study import Study, check_labels, load_study
from stfmkit.bm.task import Task
from stfmkit.bm.task_catalogue import check_sharing, choose_tasks
from stfmkit.bm.task_identity import task_definition, task_identity
from stfmkit.bm.work import Work, group_tasks
from stfmkit.evaluation.contender_labels import BASELINE, CONTROL

if TYPE_CHECKING:
    from stfmkit._data.view import Container

DEFINITIONS = 3
"""Counts up whenever a task, a control or a score is defined anew."""
_PACKAGES = ("stfmkit", "anndata", "numpy", "pandas", "scipy", "scikit-learn", "numba", "scanpy", "squidpy")


def run(
    data: "Container",
    contenders: object,
    *,
    protocol: Protocol,
    tasks: Sequence[str] | None = None,
    table_key: str | None = None,
    out: str | Path | None = None,
    allow: Sequence[str] = (),
    n_jobs: int = 1,
    show_progress: bool = True,
) -> Results:
    """Compare contenders on held-out patients.

    In every fold a registered model starts anew and is fitted on training observations only; probes are tuned inside
    training groups, where there are two or more (a finding says where not); target genes are chosen on training
    observations and never shown to a model that reads expression; training and test are embedded apart, so that no
    neighbour reaches across the split. The output of a contender is computed once for each fold and set of hidden
    genes, and read by all tasks.

    Niche signatures are those of `sk.tl.niche_signatures`, scored twice. Within every test patient, on the target genes
    of its fold: these scores rank contenders; one patient has no test, so that the truth passes thresholds on effects
    only. And for the whole cohort (rows of scope "cohort"): AUROC of truth and of out-of-fold predictions averaged over
    patients, the truth with a paired test on pseudobulks of three patients or more, on the genes that are targets of
    every fold; one number for all patients, which is not ranked.

    Rows of status "of ceiling" are the scores of a sample as a share of an upper bound: what two halves of the counts
    (binomial thinning) or two annotations agree on.

    Parameters
    ----------
    data
        AnnData or SpatialData with raw counts.
    contenders
        What is compared: a list, or a mapping from labels. A contender is the name of a registered model; a key of
        ``obsm`` (an embedding, or a table of proportions or predicted expression), a column of ``obs`` (labels, or
        clusters where none has the name of a label) or of ``var`` (scores of genes), a layer (predicted expression, on
        the scale of the protocol), or a method, which is given training observations as its reference. A name that
        stands for several things is refused; with a prefix, as in "model:hvg_pca", "method:annotate/knn", "obsm:X_pca",
        "obs:cluster", "layer:x" or "var:score", it never does. Models as objects may stand in the list, too;
        ``(name, options)``, arrays and tables need a label.
    protocol
        Every choice of the comparison.
    tasks
        Names of tasks (`sk.bm.list_tasks`); all that the protocol can serve by default.
    table_key
        Table of a SpatialData.
    out
        Folder where finished outputs and scores are kept: a run that was stopped continues there, and the results are
        saved. Results of other contenders and tasks by the same protocol that are there stay there.
    allow
        Names of checks of `sk.bm.audit` whose errors are accepted, such as "patient on both sides". The comparison
        then starts in spite of them, and the results and every table of the report say so.
    n_jobs
        Number of processes. The numbers do not depend on it.
    show_progress
        Show a progress bar where the work takes longer than two seconds.

    Returns
    -------
    The results; `data` is not changed.

    Raises
    ------
    InputError
        Something in the data, the contenders or the protocol cannot be used, or the audit finds an error that is not
        in `allow`; raised before any long work.

    Examples
    --------
    >>> import stfmkit as sk
    >>> cells = sk.datasets.synthetic_cohort(n_patients=3, size=300, as_="anndata")
    >>> protocol = sk.bm.Protocol(
    ...     patient_key="patient", sample_key="sample", label_key="niche", split=sk.pp.PatientKFold(3)
    ... )
    >>> results = sk.bm.run(cells, ["hvg_pca", "coordinates"], protocol=protocol, tasks=["domains"])
    >>> sorted(results.rank()["contender"])
    ['coordinates', 'hvg_pca']
    """
    start = perf_counter()
    check_integer(n_jobs, name="n_jobs", least=1)
    allowed = check_allow(allow)
    out = None if out is None else as_path(out, name="out")
    chosen = choose_tasks(tasks, protocol)
    check_sharing(chosen)
    study = load_study(data, protocol, table_key=table_key)
    compared = resolve_contenders(contenders, study)
    check_kinds(compared, chosen)
    check_labels(study, needed=any("label_key" in task.needs for task in chosen))
    identity = protocol_id(study)
    if out is not None:
        check_output(Path(out), identity)
    for contender in compared:
        contender.locate()
    findings = accept(audit_study(study, compared), allowed)
    for contender in compared:
        contender.computed_with()  # before the work, so that files which change meanwhile are noticed
    work = Work(
        study=study,
        contenders=[*compared, *_control_models(study, chosen)],
        groups=group_tasks(chosen, study),
        identity=identity,
        store=None if out is None else Store(Path(out) / FINISHED),
    )
    finished = work.done(n_jobs=n_jobs, show_progress=show_progress)
    pooled = [_pooled(task, study, work) for task in chosen]
    table, observations = assemble(study, pooled, finished, identity=identity)
    facts = metric_facts(table, chosen)
    findings += [finding for part in pooled for finding in _findings(part, study, work)]
    findings += findings_of_labels(study, observations, compared)
    findings += findings_of_scores(table, chosen, facts, compared, holds_out=protocol.split.holds_out)
    results = Results(
        table=table,
        observations=observations,
        protocol=protocol.describe(),
        meta=json.loads(
            json.dumps(
                {
                    "created": datetime.now(UTC).isoformat(timespec="seconds"),
                    "versions": {name: version(name) for name in _PACKAGES},
                    "data": study.facts(),
                    "contenders": {
                        c.label: {**c.describe(), "identity": _short(work.identities.get(c.label))} for c in compared
                    }
                    | _own_baselines(chosen),
                    "references": _references(compared),
                    "tasks": {p.task.name: _task_facts(p, study) for p in pooled},
                    "metrics": facts,
                    "folds": {str(number): facts for number, facts in sorted(work.facts.items())},
                    "allowed": overrides(findings),
                    "seconds_total": perf_counter() - start,
                }
            )
        ),
        findings=by_severity(list(dict.fromkeys(findings))),
        protocol_id=identity,
    )
    if out is not None:
        results.save(out)
    return results


def protocol_id(study: Study) -> str:
    """Return twelve hex digits that stand for every choice and for the data."""
    choices = {"protocol": study.protocol.describe(), "data": study.fingerprint, "definitions": DEFINITIONS}
    canonical = json.loads(json.dumps(choices), parse_int=float)  # 1650 and 1650.0 are one choice
    return digest(json.dumps(canonical, sort_keys=True).encode())[:12]


def check_kinds(contenders: Sequence[Contender], tasks: Sequence[Task]) -> None:
    """Refuse contenders whose kind of output no task accepts."""
    accepted = {kind for task in tasks for kind in task.accepts}
    for contender in contenders:
        if contender.kind not in accepted:
            raise InputError(
                f"the contender {contender.label!r} gives {contender.kind}, which none of the tasks "
                f"{listed(task.name for task in tasks)} accepts.",
                allowed=f"contenders that give {listed(sorted(accepted))}",
                remedy="leave it out, or choose a task that accepts it: sk.bm.list_tasks()['accepts'].",
            )


def _control_models(study: Study, tasks: Sequence[Task]) -> list[Contender]:
    labels = dict.fromkeys(label for task in tasks for label in task.control_labels)
    return [from_registry(label, label.removeprefix(CONTROL), {}, study) for label in labels]


def _own_baselines(tasks: Sequence[Task]) -> dict[str, dict[str, Any]]:
    """Return facts of the baselines that tasks bring, by label."""
    facts = {"kind": "prediction", "role": "baseline", "exposure": "training observations", "reads_expression": False}
    return {
        BASELINE + name: {**facts, "origin": f"task:{task.name}", "family": "baseline", "summary": text}
        for task in tasks
        for name, text in task.own_baselines.items()
    }


def _short(identity: str | None) -> str | None:
    return None if identity is None else digest(identity.encode())[:16]


def _references(contenders: Sequence[Contender]) -> dict[str, str | None]:
    """Return the label of every registered control that was compared; None for those that were not."""
    labels = {contender.origin: contender.label for contender in contenders}
    return {name: labels.get(f"model:{name}") for name in control_names()}


def _pooled(task: Task, study: Study, work: Work) -> PooledTask:
    with raised_in(task):
        return PooledTask(task=task, truth=task.pooled_truth(study, work.hidden(task)))


def _findings(pooled: PooledTask, study: Study, work: Work) -> list[Finding]:
    with raised_in(pooled.task):
        return list(pooled.task.findings(study, work.hidden(pooled.task), pooled.truth))


def _task_facts(pooled: PooledTask, study: Study) -> dict[str, Any]:
    task = pooled.task
    with raised_in(task):
        facts = {} if pooled.truth is None else task.pooled_facts(pooled.truth)
        code = task_definition(task)
        told = {
            "identity": _short(task_identity(task) or code.identity()),
            "computed_with": {"versions": code.versions},
        }
        return {**task.describe(), **task.ceiling_words(study), "pooled": facts, **told}
