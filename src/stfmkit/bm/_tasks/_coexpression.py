"""Score the co-expression structure of predictions, within a sample."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from stfmkit import metrics
from stfmkit._core.random import stream
from stfmkit.bm._rows import Row, by_sample
from stfmkit.bm._study import Study
from stfmkit.bm._tasks._truth import FoldTruth

TASK = "coexpression"
_WINDOW = 7
_ORDERS = 100
_PERMUTATIONS = 199
CEILED = ("ssim_ordered", "ssim_permuted", "ssim_global", "offdiagonal_pearson")
"""Metrics that are 0 by chance, and so have a share of a ceiling."""


def score_coexpression(study: Study, truth: FoldTruth, predicted: np.ndarray) -> Iterator[Row]:
    """Yield one row for every metric and sample.

    Genes are ordered once, by the true correlations in training; genes without variance on either side are left
    out, and their share is a row of its own.
    """
    for metric, value, where in _compared(study, truth, truth.test, predicted):
        yield Row(metric=metric, value=value, **where)


def coexpression_ceilings(study: Study, truth: FoldTruth) -> Iterator[Row]:
    """Yield what the structure of one half of the molecules scores against that of the other.

    Both sides are noisier than the truth that models are judged by, so that these ceilings are on the low side, and a
    prediction that smooths noise away may pass them.
    """
    for metric, value, where in _compared(study, truth, *truth.halves):
        if metric in CEILED:
            yield Row(metric=f"{metric}_ceiling", value=value, **where)


def _compared(
    study: Study, truth: FoldTruth, true: np.ndarray, predicted: np.ndarray
) -> Iterator[tuple[str, float, dict[str, Any]]]:
    """Yield metric, value, and the facts of the row, for every sample."""
    fold = truth.fold
    order = metrics.coexpression_order(metrics.correlation(truth.train))
    for sample, at in by_sample(study.samples, fold.test):
        if len(at) < study.protocol.min_spots:
            continue
        patient = str(study.patients[fold.test[at[0]]])
        where = (fold.number, sample)  # the same permutations for every model
        streams = tuple(stream(study.protocol.rng, step, *where) for step in ("mantel", "ssim"))
        facts = {"task": TASK, "patient": patient, "sample": sample, "fold": fold.number}
        for metric, value in _scores(true[at][:, order], predicted[at][:, order], streams).items():
            yield metric, float(value), facts


def _scores(true: np.ndarray, predicted: np.ndarray, streams: tuple[np.random.Generator, ...]) -> dict[str, float]:
    """Return every score of two matrices (n_obs, n_genes) whose columns are in the fixed order."""
    n_genes = true.shape[1]
    defined = (np.ptp(true, axis=0) > 0) & (np.ptp(predicted, axis=0) > 0)
    kept = int(defined.sum())
    scores = {"share_undefined": 1 - kept / n_genes}
    names = ("ssim_ordered", "ssim_permuted", "ssim_global", "offdiagonal_pearson", "rv", "sign_agreement")
    if kept < _WINDOW:  # a constant prediction has no co-expression at all
        return {**dict.fromkeys(names, 0.0), "eigen_distance": np.nan, "mantel_p": 1.0, **scores}
    a, b = metrics.correlation(true[:, defined]), metrics.correlation(predicted[:, defined])
    r, p = metrics.mantel(a, b, n_permutations=_PERMUTATIONS, rng=streams[0])
    permuted, _ = metrics.ssim_permuted(a, b, n_orders=_ORDERS, rng=streams[1])
    return {
        "ssim_ordered": metrics.ssim_ordered(a, b, order=np.arange(kept)),
        "ssim_permuted": permuted,
        "ssim_global": metrics.ssim_global(a, b),
        "offdiagonal_pearson": r,
        "mantel_p": p,
        "rv": metrics.rv_coefficient(a, b),
        "eigen_distance": metrics.eigen_spectrum_distance(a, b),
        "sign_agreement": metrics.sign_agreement(a, b),
        **scores,
    }
