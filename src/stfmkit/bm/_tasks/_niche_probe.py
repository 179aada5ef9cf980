"""Task: predict the label of held-out observations by frozen probes."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from stfmkit import metrics
from stfmkit._core.random import stream
from stfmkit.bm._rows import Row
from stfmkit.bm._study import Study
from stfmkit.evaluation.probes import knn_probe, linear_probe
from stfmkit.splits.folds import Fold, inner_folds

TASK = "niche_probe"
PROBES = ("linear", "knn")


def labelled(study: Study, rows: np.ndarray) -> np.ndarray:
    """Return the positions, within `rows`, of observations with a label."""
    if study.labels is None:
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(study.labels.codes[rows] >= 0)


def predict_labels(study: Study, fold: Fold, train: np.ndarray, test: np.ndarray) -> pd.DataFrame:
    """Return the label codes that the probes predict for the labelled test observations of a fold."""
    protocol = study.protocol
    at_train, at_test = labelled(study, fold.train), labelled(study, fold.test)
    rows = fold.test[at_test]
    if not len(rows):
        return pd.DataFrame({"row": rows, "linear": rows, "knn": rows})
    codes = study.labels.codes.astype(np.int64)  # type: ignore[union-attr]
    known = codes[fold.train[at_train]]
    inner = inner_folds(fold.train_groups[at_train], protocol.n_inner, stream(protocol.rng, TASK, "inner", fold.number))
    x, z = train[at_train].astype(np.float64), test[at_test].astype(np.float64)
    linear, _ = linear_probe(x, known, z, grid=protocol.linear_c, folds=inner)
    knn, _ = knn_probe(x, known, z, grid=protocol.knn_k, folds=inner)
    return pd.DataFrame({"row": rows, "linear": linear, "knn": knn})


def score_labels(study: Study, predicted: pd.DataFrame) -> Iterator[Row]:
    """Yield scores of every sample, over the out-of-fold predictions of all folds together."""
    if study.labels is None:
        return
    categories = study.labels.categories
    fold_of = np.full(len(study.depth), -1)
    for fold in study.folds:
        fold_of[fold.test] = fold.number
    samples = study.sample_codes[predicted["row"]]
    for code in np.unique(samples):
        part = predicted[samples == code]
        rows = part["row"].to_numpy()
        truth = study.labels.codes[rows]
        folds = np.unique(fold_of[rows])
        where: dict[str, Any] = {
            "task": TASK,
            "patient": str(study.patients[rows[0]]),
            "sample": str(study.samples.categories[code]),
            "fold": int(folds[0]) if len(folds) == 1 else -1,
        }
        for probe in PROBES:
            guess = part[probe].to_numpy()
            yield Row(metric=f"macro_f1_{probe}", value=metrics.macro_f1(truth, guess), **where)
            yield Row(metric=f"balanced_accuracy_{probe}", value=metrics.balanced_accuracy(truth, guess), **where)
            for niche, value in metrics.class_f1(truth, guess).items():
                yield Row(metric=f"class_f1_{probe}", value=float(value), niche=str(categories[niche]), **where)
