"""Task: predict how genes correlate with each other."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from stfmkit import metrics
from stfmkit._core.random import int_seed, stream
from stfmkit.bm.targets import TargetTask, TargetTruth
from stfmkit.bm.task import MetricKey, Scores, Section
from stfmkit.evaluation.coexpression import (
    LATENT,
    RAW,
    coexpression_ceilings,
    latent_truths,
    score_coexpression,
    uncorrelated,
)
from stfmkit.evaluation.controls import covariance_draws
from stfmkit.evaluation.molecules import PredictedStructure


class Coexpression(TargetTask):
    """Score the co-expression structure of predictions, within a sample.

    A prediction is expression of the target genes, whose correlations are scored, or a `PredictedStructure`. The truth
    that ranks is the latent correlation of the test sample; raw correlations stand beside it.
    """

    name = "coexpression"
    title = "Co-expression"
    question = "Do the predicted genes correlate as the measured ones do once the noise of counting is taken out?"
    primary = MetricKey("offdiagonal_correlation", LATENT, "sample")
    positive = "rehalved"
    positive_note: ClassVar[str] = "the molecules of the truth, halved by other coins; no prediction can reach it"
    beside: ClassVar[tuple[str, ...]] = ("thinned",)
    negatives: ClassVar[tuple[str, ...]] = ("mean", "shuffled", "coordinates", "train_covariance")
    own_baselines: ClassVar[Mapping[str, str]] = {
        "train_coexpression": "latent correlations of the training patients; no observation of the test patient is seen"
    }

    def score(self, truth: TargetTruth, prediction: np.ndarray | PredictedStructure) -> Scores:
        """Return one row for every metric and sample; genes are ordered once, by their correlations in training."""
        table = score_coexpression(
            truth.test, prediction, order=_order(truth), seed=truth.study.protocol.rng, latent=truth.latent
        )
        return Scores(table=table)

    def controls(self, truth: TargetTruth) -> Mapping[str, Any]:
        """Return those of all tasks on target genes, and two of this task.

        "rehalved" are the latent correlations of the molecules of the truth itself, halved by other coins: no
        prediction reaches them. "train_covariance" are draws with mean and covariance of the training observations.
        """
        known, test, seed = super().controls(truth), truth.test, truth.study.protocol.rng
        rng = stream(seed, "control:train_covariance", truth.fold.number)
        again = latent_truths(test, seed=int_seed(stream(seed, "control:rehalved")), min_z=0.0)
        return {
            **known,
            "rehalved": PredictedStructure(by_sample=again),
            "train_covariance": covariance_draws(truth.train, len(test.expression), rng=rng),
        }

    def baselines(self, truth: TargetTruth) -> Mapping[str, PredictedStructure]:
        """Return the latent correlations within the training samples, the same for every test sample."""
        rng = stream(truth.study.protocol.rng, "baseline:train_coexpression", truth.fold.number)
        learned = truth.train_molecules.latent_correlation(rng, groups=truth.train_samples)
        everywhere = {sample.sample: learned for sample in truth.test.scored_samples()}
        return {"train_coexpression": PredictedStructure(by_sample=everywhere)}

    def perfect(self, truth: TargetTruth) -> PredictedStructure:
        """Return the correlations that rank predictions."""
        return PredictedStructure(by_sample=truth.latent)

    def degrade(self, prediction: Any, truth: TargetTruth, how: str) -> Any:
        """Return a prediction made worse; correlations are mixed with those of genes exchanged at random.

        Correlations have no observations to smooth over.
        """
        if not isinstance(prediction, PredictedStructure):
            return super().degrade(prediction, truth, how)
        kind, _, amount = how.partition("=")
        share = 0.0 if kind == "smoothing" else float(amount)
        n = len(truth.targets)
        order = stream(truth.study.protocol.rng, "degraded", "correlations", truth.fold.number).permutation(n)
        mixed = {
            sample: (1 - share) * matrix + share * matrix[np.ix_(order, order)]
            for sample, matrix in ((name, uncorrelated(m)) for name, m in prediction.by_sample.items())
        }
        return PredictedStructure(by_sample=mixed)

    def ceiling(self, truth: TargetTruth) -> pd.DataFrame:
        """Return what the structure of one half of the molecules scores against that of the other."""
        return coexpression_ceilings(truth.test, order=_order(truth), seed=truth.study.protocol.rng)

    def facts(self, truth: TargetTruth) -> dict[str, Any]:
        """Return the target genes, and those without a latent correlation by sample."""
        silent = {
            sample: truth.test.genes[np.isnan(np.diagonal(matrix))].tolist() for sample, matrix in truth.latent.items()
        }
        return {**super().facts(truth), "without_latent_correlation": silent}

    def no_direction(self, key: MetricKey) -> str:
        """Return why a metric that noise in a prediction raises ranks nothing here."""
        raised = {"frobenius_error", "mean_absolute_difference", "eigen_spectrum_distance"}
        if RAW in key.setting:
            raised |= {"ssim_ordered", "ssim_permuted", "ssim_global"}
        return "Noise in a prediction improves it: a description here." if key.metric in raised else ""

    def section(self, results: Any) -> Section:
        """List the genes that have no latent correlation, and are left out for all contenders alike."""
        rows = sorted(
            (str(sample), len(genes), ", ".join(genes))
            for fold in results.meta.get("folds", {}).values()
            for sample, genes in fold.get("without_latent_correlation", {}).items()
            if genes
        )
        if not rows:
            return Section()
        text = (
            "Some target genes vary no more than the noise of counting explains. They have no latent correlation, and "
            "are left out for all contenders alike."
        )
        frame = pd.DataFrame(rows, columns=["Sample", "Genes left out", "Their names"]).set_index("Sample")
        return Section(text=(text,), tables={"Genes without a latent correlation": frame})


def _order(truth: TargetTruth) -> np.ndarray:
    return metrics.coexpression_order(metrics.correlation(truth.train))


TASK = Coexpression()
