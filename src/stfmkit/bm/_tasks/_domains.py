"""Task: find the labelled regions of a sample by clustering its embedding."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans

from stfmkit import metrics
from stfmkit._core.random import int_seed, stream
from stfmkit.bm._rows import Row, by_sample
from stfmkit.bm._study import Study
from stfmkit.bm._tasks._niche_probe import labelled
from stfmkit.splits.folds import Fold

TASK = "domains"
_STARTS = 10
_COMPACT_FROM = 12
"""Observations from which CHAOS and PAS (ten neighbours) are defined."""


def cluster(study: Study, fold: Fold, embedding: np.ndarray) -> pd.DataFrame:
    """Return the cluster of every labelled test observation; k-means within a sample, with as many clusters as it
    has labels.
    """  # noqa: D205
    at = labelled(study, fold.test)
    rows = fold.test[at]
    found = np.zeros(len(rows), dtype=np.int64)
    for sample, here in by_sample(study.samples, rows):
        codes = study.labels.codes[rows[here]]  # type: ignore[union-attr]
        values = embedding[at[here]].astype(np.float64)
        k = min(len(np.unique(codes)), len(np.unique(values, axis=0)))
        if k > 1:
            seed = int_seed(stream(study.protocol.rng, TASK, fold.number, sample))
            found[here] = KMeans(n_clusters=k, n_init=_STARTS, random_state=seed).fit_predict(values)
    return pd.DataFrame({"row": rows, "cluster": found})


def score_clusters(study: Study, fold: Fold, clusters: pd.DataFrame) -> Iterator[Row]:
    """Yield scores of every sample with two labels or more."""
    if study.labels is None:
        return
    rows = clusters["row"].to_numpy()
    for sample, here in by_sample(study.samples, rows):
        truth = study.labels.codes[rows[here]]
        if len(np.unique(truth)) < 2:
            continue
        found = clusters["cluster"].to_numpy()[here]
        patient = str(study.patients[rows[here[0]]])
        where: dict[str, Any] = {"task": TASK, "patient": patient, "sample": sample, "fold": fold.number}
        yield Row(metric="ari", value=metrics.ari(truth, found), **where)
        yield Row(metric="nmi", value=metrics.nmi(truth, found), **where)
        if len(here) >= _COMPACT_FROM:
            coords = study.coords[rows[here]]
            yield Row(metric="chaos", value=metrics.chaos(coords, found), **where)
            yield Row(metric="pas", value=metrics.pas(coords, found), **where)
