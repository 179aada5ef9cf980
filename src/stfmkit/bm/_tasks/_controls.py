"""Controls that are no embedding: what a sound metric must put first, and what it must put last."""

from dataclasses import replace
from time import perf_counter

import numpy as np
import pandas as pd

from stfmkit._core.random import stream
from stfmkit.bm._rows import to_table
from stfmkit.bm._study import Study
from stfmkit.bm._tasks._coexpression import TASK as COEXPRESSION
from stfmkit.bm._tasks._coexpression import coexpression_ceilings
from stfmkit.bm._tasks._compute import clusters_unit, labels_unit, score_prediction
from stfmkit.bm._tasks._expression import TASK as EXPRESSION
from stfmkit.bm._tasks._expression import ceilings
from stfmkit.bm._tasks._niche_signatures import TASK as SIGNATURES
from stfmkit.bm._tasks._niche_signatures import signature_ceilings
from stfmkit.bm._tasks._truth import FoldTruth, shuffled
from stfmkit.bm._units import Output
from stfmkit.splits.folds import Fold

CONTROLS = {
    "labels": ("control:truth", "control:shuffled", "control:mean"),
    "clusters": ("control:truth", "control:shuffled"),
    "expression": ("control:thinned", "control:mean", "control:shuffled"),
}
"""Controls of every unit; `control:coordinates` is an embedding and runs like one."""
_CEILINGS = {EXPRESSION: ceilings, SIGNATURES: signature_ceilings, COEXPRESSION: coexpression_ceilings}
_NOISE = 0.25
"""Standard deviation of the noise on the one-hot labels that stand for the truth."""


def label_control(study: Study, fold: Fold, label: str, unit: str) -> Output:
    """Return a control of the tasks on labels: noisy labels, labels mixed up within samples, or the majority."""
    codes = study.labels.codes.astype(np.int64)  # type: ignore[union-attr]
    if label == "control:mean":
        return _majority(fold, codes)
    rng = stream(study.protocol.rng, label)  # the same features in every fold
    known = codes.copy()
    if label == "control:shuffled":
        for sample in np.unique(study.sample_codes):
            rows = np.flatnonzero((study.sample_codes == sample) & (codes >= 0))
            known[rows] = rng.permutation(codes[rows])
    features = np.eye(codes.max() + 2)[known, :-1] + rng.normal(0, _NOISE, size=(len(codes), codes.max() + 1))

    def embed(_: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return features[fold.train], features[fold.test]

    return labels_unit(study, fold, embed) if unit == "labels" else clusters_unit(study, fold, embed)


def expression_control(study: Study, truth: FoldTruth, label: str, tasks: list[str]) -> Output:
    """Return a control of the expression tasks: half of the molecules, the training mean, or genes mixed up."""
    start = perf_counter()
    if label == "control:mean":
        predicted = np.tile(truth.train.mean(axis=0), (len(truth.test), 1))
        return score_prediction(study, truth, predicted, tasks=tasks, start=start)
    if label == "control:shuffled":
        rng = stream(study.protocol.rng, label, truth.fold.number)
        predicted = shuffled(truth.test, study.sample_codes[truth.fold.test], rng)
        return score_prediction(study, truth, predicted, tasks=tasks, start=start)
    found = score_prediction(study, truth, truth.halves[0], tasks=tasks, start=start)
    limits = [to_table(_CEILINGS[task](study, truth)) for task in tasks]
    return replace(found, rows=pd.concat([found.rows, *limits], ignore_index=True), seconds=perf_counter() - start)


def _majority(fold: Fold, codes: np.ndarray) -> Output:
    rows = fold.test[codes[fold.test] >= 0]
    train = codes[fold.train]
    guess = np.full(len(rows), np.bincount(train[train >= 0]).argmax())
    return Output(
        rows=to_table([]), observations=pd.DataFrame({"row": rows, "linear": guess, "knn": guess}), seconds=0.0
    )
