"""Score predicted expression, gene by gene within a sample."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit import metrics
from stfmkit.evaluation.molecules import Molecules
from stfmkit.evaluation.ridge_probe import Scaler
from stfmkit.evaluation.samples import SampleRows, sample_rows
from stfmkit.evaluation.scores import concat_scores, score_table
from stfmkit.metrics._arrays import constant

PATTERN = 0.05
"""Moran's I of the truth from which a ratio to it means anything."""
MIN_OBS = 20
"""Samples with fewer observations are not scored."""
SCALES = ("size_factor_log1p", "log1p", "counts", "as_is")
LOGGED = frozenset({"size_factor_log1p", "log1p"})

_CONSTANT = "the truth is constant in this sample"
_REASONS = {
    "partial_pearson": "library size explains the truth",
    "moran_ratio": f"Moran's I of the truth is below {PATTERN}, or the prediction is constant",
    "split_half_reliability": "a half of the counts is constant in this sample",
}
_ELSE = "undefined on these values"
_PAIRS = ("pearson", "spearman", "ccc", "r2", "nrmse", "rmse", "auroc_top", "variance_ratio")
"""Metrics that read truth and prediction, and nothing else."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ExpressionTruth:
    """True expression of observations that a predictor has not seen, and what scores read beside it.

    Attributes
    ----------
    expression
        True values (n_obs, n_genes) on the `scale`.
    genes
        Names (n_genes,).
    samples, patients
        Names of the sample and of the patient of every observation (n_obs,).
    scale
        One of `SCALES`: decides how the deviance is computed.
    graph
        Spatial weights (n_obs, n_obs) within samples, row-stochastic, such as `neighbor_graph`; None leaves out what
        needs places.
    train_mean
        Mean of every gene in training, on the same scale (n_genes,); None leaves out what needs it.
    log_depth
        log1p of the library size of every observation (n_obs,); None leaves out what needs it.
    halves
        Two independent halves of the counts, such as by binomial thinning, on the same scale; None where there are no
        counts.
    molecules
        The counts themselves, for what is compared without the noise of counting; None where there are none.
    min_obs
        Samples with fewer observations are not scored.
    fold
        Number of the fold that tests these observations; -1 where there is none.
    """

    expression: np.ndarray
    genes: np.ndarray
    samples: np.ndarray
    patients: np.ndarray
    scale: str = "size_factor_log1p"
    graph: sparse.csr_array | None = None
    train_mean: np.ndarray | None = None
    log_depth: np.ndarray | None = None
    halves: tuple[np.ndarray, np.ndarray] | None = None
    molecules: Molecules | None = None
    min_obs: int = MIN_OBS
    fold: int = -1

    def scored_samples(self) -> Iterator[SampleRows]:
        """Yield the samples with enough observations."""
        return sample_rows(self.samples, self.patients, min_obs=self.min_obs)


def score_expression(truth: ExpressionTruth, predicted: np.ndarray) -> pd.DataFrame:
    """Return one row for every metric, sample and gene.

    Metrics are computed within a sample, so that differences between samples do not count as skill. A gene whose truth
    is constant in a sample has no score there; its rows are "undefined" with the reason. A constant prediction has a
    correlation of 0.

    Parameters
    ----------
    predicted
        Prediction (n_obs, n_genes), finite, on the scale of the truth.

    Returns
    -------
    A table of scores, of ``scope="gene"``.
    """
    parts = []
    for sample in truth.scored_samples():
        found = _sample_scores(truth, sample.rows, predicted[sample.rows])
        parts.append(_rows(truth, sample, found, status="scored"))
    return concat_scores(parts)


def score_pearson(truth: ExpressionTruth, predicted: np.ndarray) -> pd.DataFrame:
    """Return the rows of `score_expression` for Pearson's r alone, such as of a control."""
    parts = []
    for sample in truth.scored_samples():
        found = {"pearson": metrics.pearson(truth.expression[sample.rows], predicted[sample.rows])}
        parts.append(_rows(truth, sample, found, status="scored"))
    return concat_scores(parts)


def expression_ceilings(truth: ExpressionTruth) -> pd.DataFrame:
    """Return the largest Pearson correlation that any prediction can expect, for every sample and gene.

    The rows have ``status="ceiling"``: of ``pearson`` the ceiling, and of ``split_half_reliability`` the reliability
    that it is the root of.
    """
    if truth.halves is None:
        return concat_scores([])
    parts = []
    for sample in truth.scored_samples():
        first, second = (half[sample.rows] for half in truth.halves)
        reliability = metrics.split_half_reliability(first, second)
        limits = {"pearson": metrics.pearson_ceiling(reliability), "split_half_reliability": reliability}
        parts.append(_rows(truth, sample, limits, status="ceiling"))
    return concat_scores(parts)


def spot_scores(truth: np.ndarray, predicted: np.ndarray, *, train: np.ndarray) -> np.ndarray:
    """Return the correlation of truth and prediction across genes within every observation (n_obs,), for maps.

    Genes are first brought to mean 0 and variance 1 over training, so that a prediction of what is usual scores 0.

    Parameters
    ----------
    truth, predicted
        Values (n_obs, n_genes) on one scale.
    train
        True values of the training observations (n_train, n_genes) on the same scale.
    """
    scaler = Scaler(train)
    return np.asarray(metrics.pearson(scaler(truth).T, scaler(predicted).T))


def _sample_scores(truth: ExpressionTruth, rows: np.ndarray, predicted: np.ndarray) -> dict[str, np.ndarray]:
    """Return every metric (n_genes,) of one sample, by name."""
    true = truth.expression[rows]
    scores: dict[str, np.ndarray] = {name: getattr(metrics, name)(true, predicted) for name in _PAIRS}
    if truth.train_mean is not None:
        scores["q2"] = metrics.q2(true, predicted, train_mean=truth.train_mean)
        if truth.scale != "as_is":
            counts = (_as_counts(part, truth.scale) for part in (true, predicted, truth.train_mean))
            rate, expected, null = counts
            scores["deviance_explained"] = metrics.deviance_explained(rate, expected, null=null)
    if truth.log_depth is not None:
        scores["partial_pearson"] = metrics.partial_pearson(true, predicted, covariate=truth.log_depth[rows])
    if truth.graph is not None:
        graph = sparse.csr_array(truth.graph[rows][:, rows])
        scores["map_ssim"] = metrics.map_ssim(true, predicted, graph=graph)
        scores["bivariate_morans_i"] = metrics.bivariate_morans_i(true, predicted, graph=graph)
        patterned = np.flatnonzero(metrics.morans_i(true, graph) >= PATTERN)
        scores["moran_ratio"] = np.full(true.shape[1], np.nan)
        if len(patterned):
            both = true[:, patterned], predicted[:, patterned]
            scores["moran_ratio"][patterned] = metrics.moran_ratio(*both, graph=graph)
    return scores


def _as_counts(values: np.ndarray, scale: str) -> np.ndarray:
    """Return values on the scale of counts; what a linear model puts below 0 becomes 0."""
    positive = np.maximum(values, 0)
    return np.expm1(positive) if scale in LOGGED else positive


def _rows(truth: ExpressionTruth, sample: SampleRows, found: dict[str, np.ndarray], *, status: str) -> pd.DataFrame:
    """Return the rows of one sample: values (n_genes,) by metric, undefined where the truth is constant."""
    flat = constant(truth.expression[sample.rows])
    return score_table(
        metric=np.repeat(list(found), len(flat)),
        value=np.concatenate([np.where(flat, np.nan, values) for values in found.values()]),
        scope="gene",
        fold=truth.fold,
        gene=np.tile(truth.genes, len(found)),
        status=status,
        reason=np.concatenate([np.where(flat, _CONSTANT, _REASONS.get(metric, _ELSE)) for metric in found]),
        **sample.columns,
    )
