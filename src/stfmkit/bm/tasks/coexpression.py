"""Task: predict how genes correlate with each other."""

import numpy as np
import pandas as pd

from stfmkit import metrics
from stfmkit.bm.targets import TargetTask, TargetTruth
from stfmkit.bm.task import MetricKey, Scores
from stfmkit.evaluation.coexpression import WINDOW, coexpression_ceilings, score_coexpression


class Coexpression(TargetTask):
    """Score the co-expression structure of predictions, within a sample."""

    name = "coexpression"
    title = "Co-expression"
    question = "Do the predicted genes correlate with each other as the measured ones do?"
    primary = MetricKey("ssim_ordered", f"window={WINDOW}", "sample")

    def score(self, truth: TargetTruth, prediction: np.ndarray) -> Scores:
        """Return one row for every metric and sample; genes are ordered once, by their correlations in training."""
        seed = truth.study.protocol.rng
        return Scores(table=score_coexpression(truth.test, prediction, order=_order(truth), seed=seed))

    def ceiling(self, truth: TargetTruth) -> pd.DataFrame:
        """Return what the structure of one half of the molecules scores against that of the other."""
        return coexpression_ceilings(truth.test, order=_order(truth), seed=truth.study.protocol.rng)


def _order(truth: TargetTruth) -> np.ndarray:
    return metrics.coexpression_order(metrics.correlation(truth.train))


TASK = Coexpression()
