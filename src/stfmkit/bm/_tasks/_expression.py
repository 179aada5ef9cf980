"""Score predicted expression gene by gene, within a sample."""

from collections.abc import Iterator

import numpy as np

from stfmkit import metrics
from stfmkit.bm._rows import Row, by_sample
from stfmkit.bm._study import Study
from stfmkit.bm._tasks._truth import FoldTruth, ring_graph
from stfmkit.evaluation.probes import Scaler

TASK = "expression"
_PATTERN = 0.05
"""Moran's I of the truth from which a ratio to it means anything."""


def score_expression(study: Study, truth: FoldTruth, predicted: np.ndarray) -> Iterator[Row]:
    """Yield one row for every metric, sample and target gene.

    Parameters
    ----------
    predicted
        Predictions for the test observations (n_test, n_targets), on the scale of the protocol.
    """
    fold = truth.fold
    for sample, at in by_sample(study.samples, fold.test):
        if len(at) < study.protocol.min_spots:
            continue
        true, guess = truth.test[at], predicted[at]
        graph = ring_graph(study.coords[fold.test[at]])
        rate, expected = np.expm1(true), np.expm1(np.clip(guess, 0, None))
        patterned = metrics.morans_i(true, graph) >= _PATTERN
        scores = {
            "pearson": metrics.pearson(true, guess),
            "spearman": metrics.spearman(true, guess),
            "ccc": metrics.ccc(true, guess),
            "q2": metrics.q2(true, guess, train_mean=truth.train.mean(axis=0)),
            "deviance_explained": metrics.deviance_explained(rate, expected, null=np.expm1(truth.train.mean(axis=0))),
            "partial_pearson": metrics.partial_pearson(true, guess, covariate=truth.log_depth[at]),
            "auroc_top": metrics.auroc_top(true, guess),
            "map_ssim": metrics.map_ssim(true, guess, graph=graph),
            "bivariate_morans_i": metrics.bivariate_morans_i(true, guess, graph=graph),
            "variance_ratio": metrics.variance_ratio(true, guess),
            "moran_ratio": np.where(patterned, metrics.moran_ratio(true, guess, graph=graph), np.nan),
        }
        patient = str(study.patients[fold.test[at[0]]])
        for metric, values in scores.items():
            for gene, value in zip(truth.genes, values, strict=True):
                yield Row(
                    task=TASK,
                    metric=metric,
                    value=float(value),
                    patient=patient,
                    sample=sample,
                    fold=fold.number,
                    gene=gene,
                )


def ceilings(study: Study, truth: FoldTruth) -> Iterator[Row]:
    """Yield the largest Pearson correlation that any prediction can expect, for every sample and target gene."""
    fold = truth.fold
    for sample, at in by_sample(study.samples, fold.test):
        if len(at) < study.protocol.min_spots:
            continue
        ceiling = metrics.pearson_ceiling(metrics.split_half_reliability(truth.halves[0][at], truth.halves[1][at]))
        patient = str(study.patients[fold.test[at[0]]])
        for gene, value in zip(truth.genes, ceiling, strict=True):
            yield Row(
                task=TASK,
                metric="pearson_ceiling",
                value=float(value),
                patient=patient,
                sample=sample,
                fold=fold.number,
                gene=gene,
            )


def spot_scores(truth: FoldTruth, predicted: np.ndarray) -> np.ndarray:
    """Return the correlation of truth and prediction across target genes within every observation (n_test,), for maps.

    Genes are first brought to mean 0 and variance 1 over training, so that a prediction of what is usual scores 0.
    """
    scaler = Scaler(truth.train)
    return metrics.pearson(scaler(truth.test).T, scaler(predicted).T)
