"""Statistics of every niche, patient and gene, before they are averaged over patients."""

from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from scipy import sparse, stats

from stfmkit._kernels._ranks import group_sums
from stfmkit.metrics._auroc import auroc_of
from stfmkit.metrics._rank_sum_test import normal_score, shares

MIN_PATIENTS = 3
"""Fewest patients for a test."""

_ROUNDING = 1e-12
_TINY = 1e-9  # scanpy's guard against division by zero in fold changes


class Means(NamedTuple):
    """Mean expression and share of observations with the gene, (n_niches, n_patients, n_genes) inside and outside."""

    mean_in: np.ndarray
    mean_out: np.ndarray
    pct_in: np.ndarray
    pct_out: np.ndarray

    def table(self, k: int, *, use: np.ndarray, auroc: np.ndarray, niche: Any) -> pd.DataFrame:
        """Return the statistics of niche number `k` over the patients in `use`."""
        mean_in, mean_out = self.mean_in[k, use], self.mean_out[k, use]
        p = _paired_p(np.log1p(mean_in) - np.log1p(mean_out))
        change = np.log2((mean_in.mean(axis=0) + _TINY) / (mean_out.mean(axis=0) + _TINY))
        change[np.abs(change) < _ROUNDING] = 0.0  # a constant prediction has none, and no ranks of them
        return pd.DataFrame(
            {
                "niche": niche,
                "gene": np.arange(mean_in.shape[1]),
                "auroc": auroc,
                "log2fc": change,
                "pct_in": self.pct_in[k, use].mean(axis=0),
                "pct_out": self.pct_out[k, use].mean(axis=0),
                "n_patients": int(use.sum()),
                "p_value": p,
                "p_adj": p if np.isnan(p).any() else stats.false_discovery_control(p),
            }
        )


class PatientStatistics(NamedTuple):
    """What is known of every gene in every niche of every patient.

    Attributes
    ----------
    niches
        Names (n_niches,), sorted.
    usable
        Which patient has enough observations inside and outside a niche (n_niches, n_patients); patients sorted.
    auroc
        (n_niches, n_patients, n_genes), NaN where not usable.
    means
        Expression and detection, of the same shape.
    patients
        Names (n_patients,), sorted.
    z
        Rank-sum score with ties accounted for, of the shape of `auroc`, NaN where not usable. Observations within a
        patient are no replicates.
    """

    niches: np.ndarray
    usable: np.ndarray
    auroc: np.ndarray
    means: Means
    patients: np.ndarray
    z: np.ndarray

    @classmethod
    def of(
        cls,
        values: np.ndarray | sparse.csr_array,
        niche: np.ndarray,
        patient: np.ndarray,
        *,
        niches: np.ndarray | None = None,
        min_obs: int = 2,
    ) -> Self:
        """Rank and average within every patient.

        Parameters
        ----------
        values
            Expression (n_obs, n_genes). Fold changes take it for log1p, and values below 0, which a prediction may
            have, for 0.
        niche, patient
            Of every observation (n_obs,).
        niches
            Niches to score, all by default; observations of the others remain part of the rest. A niche that no
            patient has is usable nowhere.
        min_obs
            Fewest observations inside and outside a niche for which a patient counts.
        """
        inside = pd.crosstab(niche, patient)
        wanted = np.unique(niche) if niches is None else np.asarray(niches)
        sizes = inside.reindex(wanted, fill_value=0).to_numpy()
        usable = (sizes >= min_obs) & (inside.to_numpy().sum(axis=0) - sizes >= min_obs)
        codes, n_codes = pd.Index(wanted).get_indexer(pd.Index(niche)), len(wanted) + 1
        codes[codes < 0] = len(wanted)
        shape = (*usable.shape, values.shape[1])
        auroc, z = np.full(shape, np.nan), np.full(shape, np.nan)
        means = Means(*(np.zeros(shape) for _ in Means._fields))
        for column, who in enumerate(inside.columns):
            rows = np.flatnonzero(patient == who)
            sums = group_sums(values[rows], codes=codes[rows], n_groups=n_codes, amounts=True)
            size = np.bincount(codes[rows], minlength=n_codes).astype(np.float64)
            for place, part in zip(means, shares(sums, size), strict=True):
                place[:, column] = part[:-1]
            use = usable[:, column]
            score = auroc_of(sums.ranks, size)
            auroc[use, column] = score[:-1][use]
            z[use, column] = normal_score(score, size, sums.ties)[:-1][use]
        return cls(wanted, usable, auroc, means, inside.columns.to_numpy(), z)

    def mean_auroc(self, k: int, use: np.ndarray | None = None) -> np.ndarray:
        """Return the AUROC of niche number `k`, averaged over its patients or those in `use`; NaN without any."""
        keep = self.usable[k] if use is None else use
        if not keep.any():
            return np.full(self.auroc.shape[2], np.nan)
        return np.asarray(np.where(keep[:, None], self.auroc[k], 0.0).sum(axis=0) / keep.sum())

    def scores(self) -> np.ndarray:
        """Return the AUROC averaged over patients (n_niches, n_genes)."""
        return np.stack([self.mean_auroc(k) for k in range(len(self.niches))])

    def of_niche(self, k: int, use: np.ndarray | None = None) -> pd.DataFrame:
        """Return the statistics of niche number `k` over its patients, or those in `use`."""
        keep = self.usable[k] if use is None else use
        return self.means.table(k, use=keep, auroc=self.mean_auroc(k, keep), niche=self.niches.tolist()[k])

    def within(self) -> pd.DataFrame:
        """Return the rank-sum test of every niche, patient and gene, where it can be made."""
        k, who = np.nonzero(self.usable)
        n_genes, z = self.auroc.shape[2], self.z[k, who]
        return pd.DataFrame(
            {
                "niche": np.repeat(self.niches[k].astype(object), n_genes),
                "patient": np.repeat(self.patients[who].astype(object), n_genes),
                "gene": np.tile(np.arange(n_genes), len(k)),
                "auroc": self.auroc[k, who].ravel(),
                "z": z.ravel(),
                "p_value": np.minimum(2 * stats.norm.sf(np.abs(z)), 1.0).ravel(),
            }
        )

    def table(self) -> pd.DataFrame:
        """Return one row per niche and gene, averaged over patients; niches without a patient are left out."""
        known = np.flatnonzero(self.usable.any(axis=1))
        return pd.concat([self.of_niche(int(k)) for k in known], ignore_index=True)


def _paired_p(difference: np.ndarray) -> np.ndarray:
    """Return two-sided p-values of a paired t-test over the rows; NaN with too few of them."""
    n = len(difference)
    if n < MIN_PATIENTS:
        return np.full(difference.shape[1], np.nan)
    mean = difference.mean(axis=0)
    error = difference.std(axis=0, ddof=1) / np.sqrt(n)
    exact = error <= 1e-12 * np.abs(mean)  # all patients agree to the last digit, or the gene is nowhere
    t = np.abs(mean) / np.where(exact, 1.0, error)
    p = 2 * stats.t.sf(t, df=n - 1)
    p[exact] = np.where(mean[exact] == 0, 1.0, 0.0)
    return np.asarray(p)
