"""Compare representations on held-out tasks."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from stfmkit._core.arguments import check_integer
from stfmkit._core.files import digest
from stfmkit._core.progress import progress
from stfmkit.bm._after import findings_of_scores
from stfmkit.bm._assemble import assemble
from stfmkit.bm._audit import audit_study
from stfmkit.bm._checks import check_labels, check_output
from stfmkit.bm._job import Job, Outputs
from stfmkit.bm._protocol import Protocol
from stfmkit.bm._results import Results
from stfmkit.bm._sources import Source, find_sources, shared_block
from stfmkit.bm._study import Study, load_study
from stfmkit.bm._tasks._cohort_signatures import Cohort, shared_targets
from stfmkit.bm._tasks._metric_facts import metric_facts
from stfmkit.bm._tasks._niche_signatures import TASK as SIGNATURES
from stfmkit.bm._tasks._registry import Task, choose_tasks
from stfmkit.bm._tasks._truth import choose_targets, fold_truth
from stfmkit.bm._units import UnitStore

if TYPE_CHECKING:
    from stfmkit._data.view import Container

Targets = dict[int, np.ndarray]
DEFINITIONS = 2
"""Counts up whenever a task, a control or a score is defined anew."""
_PACKAGES = ("stfmkit", "anndata", "numpy", "pandas", "scipy", "scikit-learn", "numba", "scanpy", "squidpy")


def run(
    data: "Container",
    *,
    models: object,
    protocol: Protocol,
    tasks: Sequence[str] | None = None,
    table_key: str | None = None,
    out: str | Path | None = None,
    n_jobs: int = 1,
    show_progress: bool = True,
) -> Results:
    """Compare representations on held-out patients.

    In every fold a registered model starts anew and is fitted on training observations only; probes are tuned inside
    training groups; target genes are chosen on training observations and never shown to a model that reads
    expression; training and test are embedded apart, so that no neighbour reaches across the split.

    Niche signatures are those of `sk.tl.niche_signatures`, scored twice. Within every test patient, on the target genes
    of its fold: these scores rank models; one patient has no test, so that the truth passes thresholds on effects only.
    And for the whole cohort (metrics that begin with ``cohort_``): AUROC of truth and of out-of-fold predictions
    averaged over patients, the truth with a paired test on pseudobulks of three patients or more, on the genes that are
    targets of every fold; one number for all patients, which is not ranked.

    Metrics that end in ``_of_ceiling`` are scores as a share of what two halves of the counts allow (binomial
    thinning).

    Parameters
    ----------
    data
        AnnData or SpatialData with raw counts.
    models
        A list of registry names, ``obsm`` keys (embeddings computed elsewhere) and `EmbeddingModel` objects, or a
        mapping from labels to these, to arrays (n_obs, d), or to ``(name, options)``.
    protocol
        Every choice of the comparison.
    tasks
        Names out of "niche_probe", "domains", "expression", "niche_signatures", "coexpression"; all that the
        protocol can serve by default.
    table_key
        Table of a SpatialData.
    out
        Folder where finished units are kept: a run that was stopped continues there, and the results are saved.
    n_jobs
        Processes. The numbers do not depend on it.
    show_progress
        Show a bar for work above two seconds.

    Returns
    -------
    The results; `data` is not changed.

    Raises
    ------
    InputError
        Something in the data, the models or the protocol cannot be used; raised before any long work.

    Examples
    --------
    >>> import stfmkit as sk
    >>> cells = sk.datasets.synthetic_cohort(n_patients=3, size=300, as_="anndata")
    >>> protocol = sk.bm.Protocol(
    ...     patient_key="patient", sample_key="sample", label_key="niche", split=sk.pp.PatientKFold(3)
    ... )
    >>> results = sk.bm.run(cells, models=["hvg_pca", "coordinates"], protocol=protocol, tasks=["domains"])
    >>> sorted(results.rank()["model"])
    ['coordinates', 'hvg_pca']
    """
    start = perf_counter()
    check_integer(n_jobs, name="n_jobs", least=1)
    chosen = choose_tasks(None if tasks is None else list(tasks), label_key=protocol.label_key)
    study = load_study(data, protocol, table_key=table_key)
    sources = [source.checked() for source in find_sources(models, study)]
    check_labels(study, chosen)
    identity = protocol_id(study)
    store = None
    if out is not None:
        check_output(Path(out), identity)
        store = UnitStore(Path(out) / "units")
    findings = audit_study(study, sources)
    contenders = [*sources, Source(label="control:coordinates", name="coordinates")]
    outputs, targets = _run_jobs(
        study, chosen, contenders, store=store, identity=identity, n_jobs=n_jobs, show=show_progress
    )
    cohort = Cohort.of(study, targets) if SIGNATURES in [task.name for task in chosen] else None
    table, observations = assemble(study, chosen, outputs, identity=identity, cohort=cohort)
    facts = metric_facts(table["metric"].unique().tolist())
    better = {name: fact["higher_is_better"] for name, fact in facts.items()}
    sizes = [len(t) for t in targets.values()]
    readers = [s.label for s in sources if s.name != "library_size" and (s.array is not None or s.reads_expression)]
    wanted = protocol.n_target_genes if protocol.target_genes is None else 0
    asked = SIGNATURES in [task.name for task in chosen]
    n_shared = len(shared_targets(study, targets)) if asked and cohort is None else None
    findings += findings_of_scores(
        table, chosen, better, readers=readers, n_target_genes=sizes, wanted=wanted, n_shared=n_shared
    )
    meta: dict[str, Any] = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {name: version(name) for name in _PACKAGES},
        "data": study.facts(),
        "models": {source.label: source.describe() for source in sources},
        "tasks": {task.name: vars_of(task) for task in chosen},
        "metrics": facts,
        "target_genes": {str(k): study.genes[t].astype(str).tolist() for k, t in targets.items()},
        **({} if cohort is None else {"cohort": cohort.facts(study.genes)}),
        "seconds_total": perf_counter() - start,
    }
    results = Results(
        table=table,
        observations=observations,
        protocol=protocol.describe(),
        meta=json.loads(json.dumps(meta)),
        findings=[finding.as_dict() for finding in findings],
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


def vars_of(task: Task) -> dict[str, Any]:
    """Return the facts of a task, ready for JSON."""
    return {name: list(v) if isinstance(v, tuple) else v for name, v in vars(task).items()}


def _run_jobs(study: Study, tasks: list[Task], sources: list[Source], **options: Any) -> tuple[Outputs, Targets]:
    """Return the outputs of all units, and the target genes of every fold."""
    from joblib import Parallel, delayed

    units: dict[str, list[str]] = {}
    for task in tasks:
        units.setdefault(task.unit, []).append(task.name)
    targets: Targets = {}
    jobs = _jobs(study, units, sources, targets, store=options["store"], identity=options["identity"])
    total = len(study.folds) * (len(sources) + 1)
    parallel = Parallel(
        n_jobs=options["n_jobs"], return_as="generator_unordered", pre_dispatch=options["n_jobs"], batch_size=1
    )
    outputs: Outputs = {}
    work = parallel(delayed(job.run)() for job in jobs)
    for found in progress(work, label="comparing", total=total, unit="unit", show=options["show"]):
        outputs |= found
    return outputs, targets


def _jobs(
    study: Study,
    units: dict[str, list[str]],
    sources: list[Source],
    targets: Targets,
    *,
    store: UnitStore | None,
    identity: str,
) -> Iterator[Job]:
    """Yield the work, fold by fold, and note the target genes of every fold on the way."""
    block = shared_block(study, sources)
    lean = replace(study, adata=study.adata[:0, :0].copy(), counts=study.counts[:0])  # processes need no more
    for fold in study.folds:
        truth = None
        if "expression" in units:
            targets[fold.number] = choose_targets(study, fold)
            truth = fold_truth(study, fold, targets[fold.number])
        for source in (None, *sources):
            yield Job(
                study=lean,
                fold=fold,
                truth=truth,
                units=units,
                source=source,
                block=block,
                store=store,
                identity=identity,
            )
