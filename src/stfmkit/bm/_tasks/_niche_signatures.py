"""Score niche signatures in every test patient: whether the prediction names the genes that mark a niche there."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from stfmkit.bm._rows import Row
from stfmkit.bm._study import Study
from stfmkit.bm._tasks._truth import FoldTruth
from stfmkit.evaluation.signatures import (
    ALL_GENES,
    Signatures,
    Thresholds,
    agreement_rows,
    choose_signatures,
    halves_ceiling,
)
from stfmkit.metrics._signature_patients import PatientStatistics

TASK = "niche_signatures"
SIZES = (10, 20, 50)
THRESHOLDS = Thresholds()
MIN_OBS = 3
"""Fewest observations inside and outside a niche for which a patient counts for it."""
MARKERS = {
    "fold": "int64",
    "patient": "str",
    "niche": "str",
    "gene": "int64",
    "auroc": "float64",
    "mean_in": "float64",
    "mean_out": "float64",
}
"""What is kept of every prediction, by which the whole cohort is scored when all folds are there."""


class Tested(NamedTuple):
    """The niches of one test patient, and where they are."""

    patient: str
    sample: str
    at: np.ndarray
    niche: np.ndarray
    niches: np.ndarray

    def statistics(self, values: np.ndarray) -> PatientStatistics:
        """Return the statistics of every niche; `values` are those of all test observations (n_test, n_targets)."""
        who = np.zeros(len(self.at), dtype=np.int64)
        return PatientStatistics.of(values[self.at], self.niche, who, niches=self.niches, min_obs=MIN_OBS)


class Judged(NamedTuple):
    """A test patient with the signatures of truth and prediction, and the statistics of the prediction."""

    tested: Tested
    found: Signatures
    guess: PatientStatistics


def sizes_for(n_genes: int) -> list[int]:
    """Return the sizes of signatures that half of the genes can hold; with more, chance alone shares most of them."""
    return [n for n in SIZES if n <= n_genes // 2]


def judge_signatures(study: Study, truth: FoldTruth, predicted: np.ndarray) -> list[Judged]:
    """Find the true and the predicted signatures of every test patient of a fold.

    Niches are those of the annotation, never of the prediction; definitions are those of `sk.tl.niche_signatures`. One
    patient alone tests nothing, so that its true signature passes the thresholds on effects only: see
    `stfmkit.bm._tasks._cohort_signatures` for signatures of all patients, with the test.
    """
    sizes = sizes_for(len(truth.genes))
    if not sizes:
        return []
    judged = []
    for tested in _tested(study, truth):
        guess = tested.statistics(predicted)
        own = tested.statistics(truth.test)
        judged.append(Judged(tested, choose_signatures(own, guess, most=max(sizes), thresholds=THRESHOLDS), guess))
    return judged


def score_signatures(truth: FoldTruth, judged: Sequence[Judged]) -> Iterator[Row]:
    """Yield one row for every metric, patient and niche; NaN where no gene marks a niche."""
    sizes = sizes_for(len(truth.genes))
    for tested, found, _ in judged:
        for k, niche in enumerate(tested.niches):
            for n, metric, value in agreement_rows(found, k, sizes):
                name = metric if n == ALL_GENES else f"{metric}_{n}"
                yield Row(metric=name, value=value, niche=str(niche), **_where(tested, truth))


def signature_ceilings(study: Study, truth: FoldTruth) -> Iterator[Row]:
    """Yield the adjusted Jaccard index of two halves of the counts, and the sizes of the true signatures."""
    sizes = sizes_for(len(truth.genes))
    if not sizes:
        return
    for tested in _tested(study, truth):
        halves = [tested.statistics(half) for half in truth.halves]
        limits = halves_ceiling(halves, sizes, thresholds=THRESHOLDS)
        found = choose_signatures(tested.statistics(truth.test), None, most=max(sizes), thresholds=THRESHOLDS)
        for niche in map(str, tested.niches):
            for n in sizes:
                where = {"niche": niche, **_where(tested, truth)}
                yield Row(metric=f"adjusted_jaccard_{n}_ceiling", value=limits[niche, n], **where)
                yield Row(metric=f"n_true_{n}", value=float(len(found.up[niche][:n])), **where)


def marker_table(truth: FoldTruth, judged: Sequence[Judged]) -> pd.DataFrame:
    """Return the statistics of the prediction with the columns `MARKERS`, genes as positions among all genes."""
    n_genes = len(truth.targets)
    parts = []
    for tested, _, guess in judged:
        n = len(tested.niches)
        columns: dict[str, Any] = {
            "fold": truth.fold.number,
            "patient": tested.patient,
            "niche": np.repeat(tested.niches, n_genes),
            "gene": np.tile(truth.targets, n),
            "auroc": guess.auroc[:, 0].ravel(),
            "mean_in": guess.means.mean_in[:, 0].ravel(),
            "mean_out": guess.means.mean_out[:, 0].ravel(),
        }
        parts.append(pd.DataFrame(columns))
    return (pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(MARKERS))).astype(MARKERS)


def _tested(study: Study, truth: FoldTruth) -> Iterator[Tested]:
    """Yield the test patients in whom some niche can be scored."""
    if study.labels is None:
        return
    test = truth.fold.test
    codes, patients = study.labels.codes[test], study.patient_codes[test]
    for patient in np.unique(patients):
        at = np.flatnonzero((patients == patient) & (codes >= 0))
        niche = np.asarray(study.labels)[test[at]].astype(str)
        names, sizes = np.unique(niche, return_counts=True)
        scored = names[(sizes >= MIN_OBS) & (len(at) - sizes >= MIN_OBS)]
        if len(scored):
            samples = np.unique(study.samples.codes[test[at]])
            sample = "+".join(str(study.samples.categories[s]) for s in samples)
            yield Tested(str(study.patients.categories[patient]), sample, at, niche, scored)


def _where(tested: Tested, truth: FoldTruth) -> dict[str, Any]:
    return {"task": TASK, "patient": tested.patient, "sample": tested.sample, "fold": truth.fold.number}
