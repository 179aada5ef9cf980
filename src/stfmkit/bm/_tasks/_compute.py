"""Compute the units of one contender in one fold."""

from collections.abc import Callable
from time import perf_counter

import numpy as np
import pandas as pd

from stfmkit._core.random import stream
from stfmkit.bm._rows import to_table
from stfmkit.bm._study import Study
from stfmkit.bm._tasks._coexpression import TASK as COEXPRESSION
from stfmkit.bm._tasks._coexpression import score_coexpression
from stfmkit.bm._tasks._domains import cluster, score_clusters
from stfmkit.bm._tasks._expression import TASK as EXPRESSION
from stfmkit.bm._tasks._expression import score_expression, spot_scores
from stfmkit.bm._tasks._niche_probe import predict_labels
from stfmkit.bm._tasks._niche_signatures import TASK as SIGNATURES
from stfmkit.bm._tasks._niche_signatures import judge_signatures, marker_table, score_signatures
from stfmkit.bm._tasks._truth import FoldTruth
from stfmkit.bm._units import Output
from stfmkit.evaluation.probes import ridge_probe
from stfmkit.splits.folds import Fold, inner_folds

Embed = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Takes the positions of hidden genes and returns the embeddings of training and test observations."""

_NO_GENES = np.empty(0, dtype=np.int64)
_SCORERS = {EXPRESSION: score_expression, COEXPRESSION: score_coexpression}


def labels_unit(study: Study, fold: Fold, embed: Embed) -> Output:
    """Predict labels with both probes; they are scored when all folds are there."""
    start = perf_counter()
    predicted = predict_labels(study, fold, *embed(_NO_GENES))
    return Output(rows=to_table([]), observations=predicted, seconds=perf_counter() - start)


def clusters_unit(study: Study, fold: Fold, embed: Embed) -> Output:
    """Cluster the test observations and score the clusters."""
    start = perf_counter()
    _, test = embed(_NO_GENES)
    clusters = cluster(study, fold, test)
    rows = to_table(score_clusters(study, fold, clusters))
    return Output(rows=rows, observations=clusters, seconds=perf_counter() - start)


def expression_unit(study: Study, truth: FoldTruth, embed: Embed, tasks: list[str]) -> Output:
    """Predict the target genes by nested ridge, and score the prediction in every task."""
    start = perf_counter()
    train, test = embed(truth.targets)
    fold, protocol = truth.fold, study.protocol
    inner = inner_folds(fold.train_groups, protocol.n_inner, stream(protocol.rng, "expression", "inner", fold.number))
    predicted, _ = ridge_probe(
        train.astype(np.float64),
        truth.train,
        test.astype(np.float64),
        grid=protocol.ridge_alpha,
        folds=inner,
        max_components=protocol.max_components,
    )
    return score_prediction(study, truth, predicted, tasks=tasks, start=start)


def score_prediction(
    study: Study, truth: FoldTruth, predicted: np.ndarray, *, tasks: list[str], start: float
) -> Output:
    """Score a prediction of the target genes in every task."""
    rows = [row for task in _SCORERS if task in tasks for row in _SCORERS[task](study, truth, predicted)]
    markers = pd.DataFrame()
    if SIGNATURES in tasks:
        judged = judge_signatures(study, truth, predicted)
        rows += score_signatures(truth, judged)
        markers = marker_table(truth, judged)
    spots = pd.DataFrame({"row": truth.fold.test, "score": spot_scores(truth, predicted)})
    return Output(rows=to_table(rows), observations=spots, seconds=perf_counter() - start, markers=markers)
