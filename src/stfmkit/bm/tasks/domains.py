"""Task: find the labelled regions of a sample by clustering its embedding."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pandas as pd

from stfmkit.bm.contenders import Kind, Output
from stfmkit.bm.study import Study
from stfmkit.bm.task import MetricKey, Scores, Task
from stfmkit.bm.tasks.niche_probe import (
    DEGRADATIONS,
    LabelTruth,
    NicheProbe,
    annotations_of,
    as_output,
    degraded_labels,
    label_ceiling_words,
    label_embedding,
    other_labels,
)
from stfmkit.evaluation.clusters import cluster_samples, score_clusters
from stfmkit.evaluation.label_ceilings import label_ceilings
from stfmkit.evaluation.scores import to_table
from stfmkit.splits.folds import Fold


class Domains(Task):
    """Cluster an embedding within samples, or take labels as clusters, whatever their names."""

    name = "domains"
    title = "Domains"
    question = "k-means on the embedding of a held-out sample, with as many clusters as the sample has labels."
    primary = MetricKey("ari", "", "sample")
    accepts: ClassVar[tuple[Kind, ...]] = ("embedding", "labels", "clusters")
    needs = ("label_key",)
    positive = "truth"
    negatives = ("shuffled", "mean", "coordinates")
    control_models = ("coordinates",)
    trained = False
    positive_note = "clusters of the labels themselves, with some noise"
    degraded_model = "hvg_pca"
    degradations = DEGRADATIONS

    def truth(self, study: Study, fold: Fold, hidden: np.ndarray) -> LabelTruth:
        """Return the labels."""
        return NicheProbe().truth(study, fold, hidden)

    def predict(self, output: Output, truth: LabelTruth) -> pd.DataFrame:
        """Return the cluster of every labelled test observation."""
        at = np.flatnonzero(truth.codes[truth.fold.test] >= 0)
        rows = truth.fold.test[at]
        if output.kind != "embedding":
            clusters = np.unique(output.test[at], return_inverse=True)[1]
        else:
            clusters = cluster_samples(
                output.test[at],
                truth.codes[rows],
                np.asarray(truth.study.samples)[rows].astype(str),
                seed=truth.study.protocol.rng,
                fold=truth.fold.number,
            )
        return pd.DataFrame({"row": rows, "cluster": clusters})

    def score(self, truth: LabelTruth, prediction: pd.DataFrame) -> Scores:
        """Return scores of every sample with two labels or more."""
        rows, study = prediction["row"].to_numpy(dtype=np.int64), truth.study
        table = score_clusters(
            truth.codes[rows],
            prediction["cluster"].to_numpy(dtype=np.int64),
            samples=np.asarray(study.samples)[rows].astype(str),
            patients=np.asarray(study.patients)[rows].astype(str),
            coords=study.coords[rows],
            fold=truth.fold.number,
        )
        return Scores(table=table)

    def ceiling(self, truth: LabelTruth) -> pd.DataFrame:
        """Return what two annotations, or draws of right labels, let right clusters score."""
        study, rows = truth.study, truth.fold.test
        opinions = [np.unique(other[rows], return_inverse=True) for other in other_labels(study)]
        if not opinions:
            return to_table(())
        names, codes = opinions[0]
        rows_known = np.flatnonzero((truth.codes[rows] >= 0) & (names[codes] != ""))
        at = rows[rows_known]
        where = {"samples": np.asarray(study.samples)[at].astype(str), "patients": np.asarray(study.patients)[at]}
        tables = [
            score_clusters(truth.codes[at], codes[rows_known], **where, fold=truth.fold.number) for _, codes in opinions
        ]
        return label_ceilings(tables, ("ari", "nmi"), annotations=annotations_of(study))

    def ceiling_words(self, study: Study) -> dict[str, str]:
        """Say what the ceiling of labels comes from."""
        return label_ceiling_words(study)

    def controls(self, truth: LabelTruth) -> Mapping[str, pd.DataFrame]:
        """Return clusters of noisy true labels, of labels permuted within samples, and one cluster of everything."""
        embedded = {
            name: self.predict(as_output(label_embedding(truth.study, truth.codes, name), truth.fold), truth)
            for name in ("truth", "shuffled")
        }
        return {**embedded, "mean": embedded["truth"].assign(cluster=0)}

    def no_direction(self, key: MetricKey) -> str:
        """Return why coherence in space ranks nothing here."""
        if key.metric in {"chaos", "pas"}:
            return "It rewards smoothing, and position alone is ahead of the true regions: a description here."
        return ""

    def degrade(self, prediction: pd.DataFrame, truth: LabelTruth, how: str) -> pd.DataFrame:
        """Return clusters of which a share changed places, or the most frequent ones among neighbours."""
        return degraded_labels(prediction, truth, how)

    def perfect(self, truth: LabelTruth) -> pd.DataFrame:
        """Return the labels as clusters."""
        rows = truth.fold.test[truth.codes[truth.fold.test] >= 0]
        return pd.DataFrame({"row": rows, "cluster": truth.codes[rows]})


TASK = Domains()
