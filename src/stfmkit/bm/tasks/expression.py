"""Task: predict the expression of target genes in held-out observations."""

import numpy as np
import pandas as pd

from stfmkit.bm.targets import TargetTask, TargetTruth
from stfmkit.bm.task import MetricKey, Scores
from stfmkit.evaluation.expression import expression_ceilings, score_expression, spot_scores


class Expression(TargetTask):
    """Score predicted expression gene by gene, within a sample."""

    name = "expression"
    title = "Expression prediction"
    question = "Ridge predicts target genes of held-out observations; models never receive these genes."
    primary = MetricKey("pearson", "", "gene")

    def score(self, truth: TargetTruth, prediction: np.ndarray) -> Scores:
        """Return one row for every metric, sample and target gene, and the score of every observation for maps."""
        spots = spot_scores(truth.test.expression, prediction, train=truth.train)
        shown = pd.DataFrame({"row": truth.fold.test, "truth": "", "predicted": "", "score": spots})
        return Scores(table=score_expression(truth.test, prediction), observations=shown)

    def no_direction(self, key: MetricKey) -> str:
        """Return why a metric that smoothing raises above the truth itself ranks nothing here."""
        if key.metric == "bivariate_morans_i":
            return "A smooth prediction scores above the truth itself: a description here."
        return ""

    def ceiling(self, truth: TargetTruth) -> pd.DataFrame:
        """Return an upper bound of the Pearson correlation that a prediction can expect, by sample and target gene."""
        return expression_ceilings(truth.test)


TASK = Expression()
