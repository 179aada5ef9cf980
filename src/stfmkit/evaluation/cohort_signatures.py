"""Niche signatures of the whole cohort: all patients together, when the predictions of all folds are there.

Every fold may choose its genes on its own training patients, so that only the genes that every fold predicts are known
in every patient. The cohort is scored on these: as one panel, chance and all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit.evaluation.scores import concat_scores
from stfmkit.evaluation.signatures import (
    MIN_OBS,
    SIZES,
    THRESHOLDS,
    Thresholds,
    ceiling_rows,
    choose_signatures,
    halves_ceiling,
    score_agreement,
    score_sizes,
    sizes_for,
)
from stfmkit.metrics._signature_patients import MIN_PATIENTS, Means, PatientStatistics

Values: TypeAlias = np.ndarray | sparse.csr_array
_FEWEST_PATIENTS = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class CohortTruth:
    """The true signatures of all patients together, on the genes that every fold predicts.

    They are what `sk.tl.niche_signatures` finds in these observations and genes: AUROC by patient, then averaged, and
    from three patients a paired test on pseudobulks.

    Attributes
    ----------
    genes
        Names (n_genes,).
    statistics
        Of the truth, by niche, patient and gene.
    halves
        The same of two independent halves of the counts; empty where there are none.
    sizes, thresholds
        Of the signatures.
    """

    genes: np.ndarray
    statistics: PatientStatistics
    halves: tuple[PatientStatistics, ...]
    sizes: Sequence[int]
    thresholds: Thresholds

    @classmethod
    def of(
        cls,
        values: Values,
        *,
        genes: np.ndarray,
        niches: np.ndarray,
        patients: np.ndarray,
        halves: Sequence[Values] = (),
        sizes: Sequence[int] = SIZES,
        thresholds: Thresholds = THRESHOLDS,
        min_obs: int = MIN_OBS,
    ) -> Self | None:
        """Read the truth; None where fewer than two patients have niches, or there are too few genes for a signature.

        Parameters
        ----------
        values
            True log expression of all tested observations (n_obs, n_genes).
        genes
            Names (n_genes,).
        niches, patients
            Niche (empty text where there is none) and patient of every observation (n_obs,).
        halves
            Two independent halves of the counts on the same scale.
        sizes
            Sizes of signatures; larger ones than half of the genes are left out.
        """
        usable_sizes = sizes_for(len(genes), sizes)
        labels = np.asarray(niches).astype(str)
        rows = np.flatnonzero(labels != "")
        if not usable_sizes or not len(rows):
            return None
        niche, patient = labels[rows], np.asarray(patients)[rows].astype(str)
        inside = pd.crosstab(niche, patient)
        usable = ((inside >= min_obs) & (inside.sum(axis=0) - inside >= min_obs)).any(axis=1)
        if inside.shape[1] < _FEWEST_PATIENTS or not usable.any():
            return None
        scored = inside.index.to_numpy(dtype=str)[usable.to_numpy()]
        own, *parts = (
            PatientStatistics.of(part[rows], niche, patient, niches=scored, min_obs=min_obs)
            for part in (values, *halves)
        )
        return cls(
            genes=np.asarray(genes).astype(str),
            statistics=own,
            halves=tuple(parts),
            sizes=usable_sizes,
            thresholds=thresholds,
        )

    @property
    def patients(self) -> list[str]:
        """Names of the patients, in the order of the statistics."""
        return [str(name) for name in self.statistics.patients]

    def score(self, markers: pd.DataFrame) -> pd.DataFrame:
        """Return one row for every metric, size and niche, of ``scope="cohort"``, without patient and fold.

        Parameters
        ----------
        markers
            Statistics of one prediction in every fold: the columns of `stfmkit.evaluation.signatures.marker_table`. A
            patient that several folds test (blocks of one tissue) counts with the mean over these folds.
        """
        predicted = self._predicted(markers)
        found = choose_signatures(self.statistics, predicted, most=max(self.sizes), thresholds=self.thresholds)
        return score_agreement(found, self.sizes, scope="cohort")

    def ceilings(self) -> pd.DataFrame:
        """Return upper bounds from two halves of the counts as ceilings, and sizes of true signatures."""
        parts = []
        if self.halves:
            limits = halves_ceiling(self.halves, self.sizes, thresholds=self.thresholds)
            parts.append(ceiling_rows(limits, scope="cohort"))
        found = choose_signatures(self.statistics, None, most=max(self.sizes), thresholds=self.thresholds)
        return concat_scores([*parts, score_sizes(found, self.sizes, scope="cohort")])

    def facts(self) -> dict[str, Any]:
        """Return what a reader must know of these scores, ready for JSON."""
        n_patients = self.statistics.usable.sum(axis=1)
        return {
            "n_patients": len(self.patients),
            "n_niches": len(n_patients),
            "n_niches_tested": int((n_patients >= MIN_PATIENTS).sum()),
            "genes": self.genes.tolist(),
        }

    def _predicted(self, markers: pd.DataFrame) -> PatientStatistics:
        """Return the statistics of the prediction by niche, patient and gene."""
        names = self.statistics.niches.tolist()
        shape = (len(names), len(self.patients), len(self.genes))
        keys = ["niche", "patient", "gene"]
        index = pd.MultiIndex.from_product([names, self.patients, self.genes.tolist()], names=keys)
        mean = markers.groupby(keys, observed=True)[["auroc", "mean_in", "mean_out"]].mean().reindex(index)
        auroc, mean_in, mean_out = (mean[name].to_numpy().reshape(shape) for name in mean)
        known = ~np.isnan(auroc).any(axis=2)
        share = np.full(shape, np.nan)  # a prediction is ranked, and passes no threshold
        means = Means(np.nan_to_num(mean_in), np.nan_to_num(mean_out), share, share)
        unknown = np.full(shape, np.nan)  # a prediction is not tested within a patient
        return PatientStatistics(self.statistics.niches, known, auroc, means, self.statistics.patients, unknown)
