"""Ceilings of tasks on labels: what a second annotation, or a stated share of wrong labels, leaves to be reached."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from stfmkit._core.random import stream
from stfmkit.evaluation.bounds import annotation_bound
from stfmkit.evaluation.samples import sample_rows

N_DRAWS = 20
"""Draws of wrong labels that a ceiling is averaged over."""
NO_COMMON_NAME = "the two annotations have no name in common"


def right_labels(labels: np.ndarray, samples: np.ndarray, *, label_noise: float, seed: int) -> list[np.ndarray]:
    """Return draws of what the right labels may be (n_obs,), where a share of those that are written is wrong.

    A label is wrong with the same probability everywhere; the right one is then another label of the sample, drawn by
    frequency. Real annotators err at borders and in rare labels, so this is a model and no measurement. A sample of one
    label has no other, and stays.

    Parameters
    ----------
    labels
        Names (n_obs,); empty text where there is none.
    samples
        Name of the sample of every observation (n_obs,).
    label_noise
        Share of the labels that is wrong, above 0 and below 1.
    seed
        Of the draws; every draw has a stream of its own.
    """
    drawn = []
    for draw in range(N_DRAWS):
        rng = stream(seed, "label noise", draw)
        right = labels.copy()
        for _, _, rows in sample_rows(samples, samples):
            own = rows[labels[rows] != ""]
            names, codes, counts = np.unique(labels[own], return_inverse=True, return_counts=True)
            wrong = np.flatnonzero(rng.random(len(own)) < label_noise)
            if len(names) > 1:
                weights = np.tile(counts.astype(np.float64), (len(names), 1))
                np.fill_diagonal(weights, 0)
                ends = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
                at = (rng.random(len(wrong))[:, None] >= ends[codes[wrong]]).sum(axis=1)
                right[own[wrong]] = names[np.minimum(at, len(names) - 1)]
        drawn.append(right)
    return drawn


def label_ceilings(tables: Sequence[pd.DataFrame], metrics: Sequence[str], *, annotations: int) -> pd.DataFrame:
    """Return the mean of several tables of scores, of the same rows, as ceilings of some metrics.

    Two annotations hold the errors of both (`annotation_bound`); draws of right labels are held against the labels
    themselves.

    Parameters
    ----------
    tables
        Scores of what a second annotation, or a draw of `right_labels`, says against the labels; of these metrics the
        same rows.
    metrics
        Names of the metrics that have a ceiling.
    annotations
        How many annotations with errors were compared: 2, or 1 where right labels were drawn.
    """
    own = [part[part["metric"].isin(list(metrics))].reset_index(drop=True) for part in tables]
    agreement = np.mean([part["value"].to_numpy() for part in own], axis=0)
    value = annotation_bound(agreement) if annotations == 2 else agreement
    return own[0].assign(value=value, status="ceiling")
