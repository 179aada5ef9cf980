"""Score predicted expression, gene by gene within a sample."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit import metrics
from stfmkit._kernels._thinning import spearman_brown
from stfmkit.evaluation.bounds import joint_bounds
from stfmkit.evaluation.molecules import Molecules
from stfmkit.evaluation.reliability import MIN_RELIABILITY, Reliability
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
}
_ELSE = "undefined on these values"
_HALF = "a half of the counts is constant in this sample"
_NO_SIGNAL = f"no signal in training: a reliability below {MIN_RELIABILITY}"
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
    reliability
        What halves of the counts agree on within every sample, and in training; None where there are no counts.
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
    reliability: Reliability | None = None
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
    """Return the rows of `reliability_ceilings` for every sample."""
    if truth.reliability is None:
        return concat_scores([])
    return concat_scores(
        reliability_ceilings(truth.reliability, truth.genes, len(sample.rows), fold=truth.fold, **sample.columns)
        for sample in truth.scored_samples()
    )


def reliability_ceilings(
    reliability: Reliability, genes: np.ndarray, n_obs: int, *, sample: str, **where: Any
) -> pd.DataFrame:
    """Return an upper bound of the Pearson correlation that any prediction can expect, for every gene of a sample.

    A gene without signal in training has no bound, and the reason: whether it counts is never decided on the sample
    that is tested.

    Parameters
    ----------
    genes
        Names (n_genes,).
    n_obs
        Number of observations of the sample.
    sample
        One that `reliability` knows.
    where
        Other columns of the rows, such as fold and patient.

    Returns
    -------
    A table of scores with ``status="ceiling"``: of ``pearson`` the bound (`joint_bounds` of the genes that count), of
    ``split_half_reliability`` the reliability.
    """
    agreement, counts = reliability.agreement[sample], reliability.has_signal(len(genes))
    limits = {
        "pearson": joint_bounds(np.where(counts, agreement, np.nan), n_obs),
        "split_half_reliability": spearman_brown(agreement),
    }
    flat = np.isnan(agreement)
    return score_table(
        metric=np.repeat(list(limits), len(genes)),
        value=np.concatenate(list(limits.values())),
        scope="gene",
        gene=np.tile(genes, len(limits)),
        sample=sample,
        status="ceiling",
        reason=np.concatenate([np.where(counts | flat, _HALF, _NO_SIGNAL), np.full(len(genes), _HALF)]),
        **where,
    )


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
