"""Score predicted labels within a sample."""

from typing import Any

import numpy as np
import pandas as pd

from stfmkit import metrics
from stfmkit.evaluation.samples import sample_rows
from stfmkit.evaluation.scores import Score, to_table


def score_labels(
    truth: np.ndarray,
    predicted: np.ndarray,
    *,
    samples: np.ndarray,
    patients: np.ndarray,
    folds: np.ndarray | None = None,
    setting: str = "",
) -> pd.DataFrame:
    """Return macro-F1 and balanced accuracy of every sample, and the F1 of every label in it.

    A sample is scored as a whole, also where several folds test parts of it.

    Parameters
    ----------
    truth, predicted
        Names of the labels (n_obs,); every observation has both.
    samples, patients
        Names of the sample and of the patient of every observation (n_obs,).
    folds
        Number of the fold that tests every observation (n_obs,); a row names it where it is one fold.
    setting
        What made the prediction, such as "probe=linear".

    Returns
    -------
    A table of scores: ``macro_f1`` and ``balanced_accuracy`` of ``scope="sample"``, ``class_f1`` of ``scope="niche"``.
    """
    numbers = np.full(len(truth), -1) if folds is None else np.asarray(folds)
    truth, predicted = np.asarray(truth).astype(str), np.asarray(predicted).astype(str)
    found = []
    for sample in sample_rows(samples, patients):
        true, guess = truth[sample.rows], predicted[sample.rows]
        inside = np.unique(numbers[sample.rows])
        where: dict[str, Any] = {"setting": setting, "fold": int(inside[0]) if len(inside) == 1 else -1}
        where |= sample.columns
        found += [
            Score(metric=metric, value=getattr(metrics, metric)(true, guess), scope="sample", **where)
            for metric in ("macro_f1", "balanced_accuracy")
        ]
        found += [
            Score(metric="class_f1", value=value, scope="niche", niche=str(label), **where)
            for label, value in metrics.class_f1(true, guess).items()
        ]
    return to_table(found)
