"""Time `sk.bm.run` of eight contenders and five tasks against the sum of its parts, each computed once.

Usage: python benchmarks/bench_run.py [--patients 6] [--size 1500] [--genes 400] [--targets 100] [--repeats 1]

The parts are called one after the other, without any run around them: reading the data, the target genes and the truth
of every fold, every distinct output of a contender (a fold, and with or without the target genes), every distinct
prediction (labels by two probes, clusters, target genes by ridge), every score of contenders, controls and baselines of
the tasks, and those of predictions that are made worse to check the metrics. Values are compared with those of the run
first. Both use one process and one thread.
"""

import argparse
from collections import defaultdict
from time import perf_counter
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

import stfmkit as sk
from stfmkit.bm.model_contenders import shared_inputs
from stfmkit.bm.resolve_contenders import resolve_contenders
from stfmkit.bm.stage import NO_GENES
from stfmkit.bm.study import load_study
from stfmkit.bm.task_catalogue import choose_tasks

CONTENDERS = {
    "hvg_pca": "hvg_pca",
    "hvg_pca 100": ("hvg_pca", {"n_components": 100}),
    "neighbor_pca": "neighbor_pca",
    "library_size": "library_size",
    "coordinates": "coordinates",
    "random": "random",
    "random_smooth": "random_smooth",
    "given": "obsm:X_given",
}
TOLERANCE = 1e-9


class Clock:
    """Seconds by part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def __call__(self, part: str, function: Any, *args: Any, **options: Any) -> Any:
        """Call a function, and count its time to a part."""
        start = perf_counter()
        result = function(*args, **options)
        self.seconds[part] += perf_counter() - start
        return result


def parts(cells: Any, protocol: sk.bm.Protocol) -> tuple[dict[str, float], float]:
    """Return seconds by part, and the sum of all values that they score in folds."""
    clock, total = Clock(), 0.0
    study = clock("reading", load_study, cells, protocol)
    contenders = resolve_contenders(CONTENDERS, study)
    tasks = choose_tasks(None, protocol)
    inputs = shared_inputs(study)
    for fold in study.folds:
        groups: dict[str, list[sk.bm.Task]] = defaultdict(list)
        for task in tasks:
            groups[task.shares or task.name].append(task)
        outputs: dict[tuple[str, int], Any] = {}
        for members in groups.values():
            first = members[0]
            hidden = clock("target genes", first.hidden, study, fold)
            truth = clock("truth", first.truth, study, fold, hidden)
            predictions: dict[str, Any] = {}
            for contender in contenders:
                if contender.kind not in first.accepts:
                    continue
                genes = NO_GENES if contender.reads_expression is False else hidden
                key = (contender.label, len(genes))
                if key not in outputs:
                    outputs[key] = clock("outputs", contender.output, inputs, fold, hidden=genes)
                predictions[contender.label] = clock("predictions", first.predict, outputs[key], truth)
            for task in members:
                own = {**clock("controls", task.controls, truth), **clock("controls", task.baselines, truth)}
                for prediction in (*predictions.values(), *own.values()):
                    scores = clock(f"scores of {task.name}", task.score, truth, prediction)
                    total += float(np.nansum(scores.table["value"]))
                clock(f"scores of {task.name}", task.ceiling, truth)
                clock("facts", task.facts, truth)
                for how in task.degradations:  # of the model that checks the metrics, which is a contender as well
                    worse = clock("predictions made worse", task.degrade, predictions[task.degraded_model], truth, how)
                    clock(f"scores of {task.name}", task.score, truth, worse)
    return dict(clock.seconds), total


def main() -> None:
    """Print the parts, the run and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in {"patients": 6, "size": 1500, "genes": 400, "targets": 100, "repeats": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    chosen = parser.parse_args()
    cells = sk.datasets.synthetic_cohort(
        n_patients=chosen.patients, size=chosen.size, n_genes=chosen.genes, as_="anndata", show_progress=False
    )
    cells.obsm["X_given"] = np.random.default_rng(0).normal(size=(cells.n_obs, 32)).astype(np.float32)
    keys = {"patient_key": "patient", "sample_key": "sample", "label_key": "niche"}
    split = sk.pp.PatientKFold(min(5, chosen.patients))
    protocol = sk.bm.Protocol(**keys, split=split, n_target_genes=chosen.targets)  # type: ignore[arg-type]
    with threadpool_limits(1):
        parts(cells, protocol)  # compiled once
    sums, runs = [], []
    for _ in range(chosen.repeats):
        with threadpool_limits(1):  # as in a run, whose bits do not depend on the cores
            seconds, total = parts(cells, protocol)
        start = perf_counter()
        results = sk.bm.run(cells, CONTENDERS, protocol=protocol, show_progress=False)
        runs.append(perf_counter() - start)
        sums.append(sum(seconds.values()))
        table = results.table[(results.table["status"] == "scored") & (results.table["scope"] != "cohort")]
        again = {"control:hvg_pca", "control:coordinates"}  # the contenders of these names, under another one
        table = table[~table["contender"].isin(again) & ~table["contender"].str.contains(" + ", regex=False)]
        in_folds = table[(table["task"] != "niche_probe") & (table["metric"] != "signature_size")]
        difference = abs(float(in_folds["value"].sum()) - total)
        if not difference <= TOLERANCE * max(abs(total), 1.0):
            raise SystemExit(f"the scores differ by {difference:.3g}")
    for name, value in seconds.items():
        print(f"{name:<28} {value:8.2f} s")
    print(f"{'sum of the parts':<28} {np.median(sums):8.2f} s")
    print(f"{'sk.bm.run':<28} {np.median(runs):8.2f} s   {np.median(runs) / np.median(sums):.2f} x")


if __name__ == "__main__":
    main()
