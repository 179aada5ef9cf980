"""Niche signatures of the whole cohort: all patients together, when the predictions of all folds are there.

Every fold chooses its target genes on its own training patients, so that only the genes that are targets of every fold
have been predicted in every patient. The cohort is scored on these: as one panel, chance and all.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit._core.random import stream
from stfmkit._kernels._normalize import median_total, size_factor_log1p
from stfmkit._kernels._thinning import thin
from stfmkit.bm._rows import Row
from stfmkit.bm._study import Study
from stfmkit.bm._tasks._niche_signatures import MIN_OBS, TASK, THRESHOLDS, sizes_for
from stfmkit.evaluation.signatures import ALL_GENES, agreement_rows, choose_signatures, halves_ceiling
from stfmkit.metrics._signature_patients import MIN_PATIENTS, Means, PatientStatistics

COHORT = "cohort_"
"""How the names of these metrics begin."""
_LEAST = 2
"""Fewest patients of a cohort."""


def shared_targets(study: Study, targets: Mapping[int, np.ndarray]) -> np.ndarray:
    """Return the positions of the genes that are targets of every fold that tests labelled observations, sorted."""
    if study.labels is None:
        return np.empty(0, dtype=np.int64)
    used = [targets[f.number] for f in study.folds if (study.labels.codes[f.test] >= 0).any()]
    shared = set.intersection(*({int(g) for g in t} for t in used)) if used else set()
    return np.array(sorted(shared), dtype=np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Cohort:
    """The truth about all tested patients, on the genes that every fold predicts.

    The truth holds what `sk.tl.niche_signatures` would find in these observations and genes: AUROC by patient, then
    averaged, and from three patients a paired test on pseudobulks. It is scaled by the median library size of all
    tested observations; nothing is predicted from it.

    Attributes
    ----------
    genes
        Positions of the shared genes among all genes (n_shared,).
    patients
        Names, in the order of `statistics`.
    statistics
        Of the truth.
    halves
        The same of two independent halves of the counts.
    """

    genes: np.ndarray
    patients: list[str]
    statistics: PatientStatistics
    halves: list[PatientStatistics]

    @classmethod
    def of(cls, study: Study, targets: Mapping[int, np.ndarray]) -> Self | None:
        """Read the truth; None where there are no labels, too few patients, or too few shared genes."""
        genes = shared_targets(study, targets)
        if study.labels is None or not sizes_for(len(genes)):
            return None
        rows = np.unique(np.concatenate([fold.test for fold in study.folds]))
        rows = rows[study.labels.codes[rows] >= 0]
        niche = np.asarray(study.labels)[rows].astype(str)
        patient = np.asarray(study.patients)[rows].astype(str)
        inside = pd.crosstab(niche, patient)
        usable = ((inside >= MIN_OBS) & (inside.sum(axis=0) - inside >= MIN_OBS)).any(axis=1)
        if inside.shape[1] < _LEAST or not usable.any():
            return None
        niches = inside.index.to_numpy(dtype=str)[usable.to_numpy()]

        def statistics(counts: sparse.csr_array, share: float) -> PatientStatistics:
            values = _scaled(study, counts, rows, share=share)
            return PatientStatistics.of(values, niche, patient, niches=niches, min_obs=MIN_OBS)

        counts = study.counts[rows][:, genes]
        halves = thin(counts, rng=stream(study.protocol.rng, TASK, "cohort thinning"))
        return cls(
            genes=genes,
            patients=[str(name) for name in inside.columns],
            statistics=statistics(counts, 1.0),
            halves=[statistics(half, 0.5) for half in halves],
        )

    def score(self, markers: pd.DataFrame) -> Iterator[Row]:
        """Yield one row for every metric and niche, without patient and fold.

        Parameters
        ----------
        markers
            Statistics of one prediction in every fold, with the columns of `marker_table`. A patient that several
            folds test (blocks of one tissue) counts with the mean over these folds.
        """
        sizes = sizes_for(len(self.genes))
        found = choose_signatures(self.statistics, self._predicted(markers), most=max(sizes), thresholds=THRESHOLDS)
        for k, niche in enumerate(self.statistics.niches.tolist()):
            for n, metric, value in agreement_rows(found, k, sizes):
                name = metric if n == ALL_GENES else f"{metric}_{n}"
                yield Row(task=TASK, metric=COHORT + name, value=value, patient="", sample="", niche=niche)

    def ceilings(self) -> Iterator[Row]:
        """Yield the adjusted Jaccard index of two halves of the counts, and the sizes of the true signatures."""
        sizes = sizes_for(len(self.genes))
        limits = halves_ceiling(self.halves, sizes, thresholds=THRESHOLDS)
        found = choose_signatures(self.statistics, None, most=max(sizes), thresholds=THRESHOLDS)
        for niche in self.statistics.niches.tolist():
            for n in sizes:
                values = {f"adjusted_jaccard_{n}_ceiling": limits[niche, n], f"n_true_{n}": len(found.up[niche][:n])}
                for name, value in values.items():
                    yield Row(task=TASK, metric=COHORT + name, value=float(value), patient="", sample="", niche=niche)

    def facts(self, genes: pd.Index) -> dict[str, Any]:
        """Return what a reader must know of these scores, ready for JSON."""
        known = self.statistics.usable.sum(axis=1)
        return {
            "n_patients": len(self.patients),
            "n_niches": len(known),
            "n_niches_tested": int((known >= MIN_PATIENTS).sum()),
            "genes": genes[self.genes].astype(str).tolist(),
        }

    def _predicted(self, markers: pd.DataFrame) -> PatientStatistics:
        """Return the statistics of the prediction by niche, patient and shared gene."""
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


def _scaled(study: Study, counts: sparse.csr_array, rows: np.ndarray, *, share: float) -> sparse.csr_array:
    """Return counts on the scale of the protocol; halves hold a `share` of the library."""
    if study.protocol.target != "size_factor_log1p":
        return sparse.csr_array(np.log1p(counts.astype(np.float64)))
    depth = study.depth[rows]
    return sparse.csr_array(size_factor_log1p(counts, depth=depth * share, target=median_total(depth)))
