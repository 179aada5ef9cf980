"""How reliable genes are: what independent halves of their counts agree on within samples."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from stfmkit._core.random import stream
from stfmkit._kernels._thinning import column_correlation, spearman_brown, thin

MIN_RELIABILITY = 0.1
"""Reliability in training from which a gene has signal, so that its scores have a share of a ceiling.

Simulated (log-normal rates, mean counts of .5 to 10, 300 spots and more, more than ten genes that count), the best
possible predictor reaches .93 to 1.03 of the ceiling with this threshold; with .05 more genes without signal count
(.88 to 1.03), and with .2 most genes with weak signal are lost (docs, "Ceilings").
"""
N_DRAWS = 5
"""Thinnings that the agreement of halves is averaged over."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Reliability:
    """What halves of the counts agree on, for the ceilings of some observations and genes.

    Attributes
    ----------
    agreement
        Correlation of two independent halves of the counts, by sample, for every gene (n_genes,); NaN where a half is
        constant.
    train
        Reliability of every gene in training (n_genes,), from `training_reliability`; None where no training
        observations are known, so that all genes count.
    """

    agreement: Mapping[str, np.ndarray]
    train: np.ndarray | None = None

    def has_signal(self, n_genes: int) -> np.ndarray:
        """Return which genes are reliable enough in training to count (n_genes,)."""
        if self.train is None:
            return np.ones(n_genes, dtype=bool)
        return np.nan_to_num(self.train) >= MIN_RELIABILITY


def half_agreement(
    counts: sparse.csr_array,
    groups: Mapping[str, np.ndarray],
    *,
    scaled: Callable[[sparse.csr_array], sparse.csr_array],
    seed: int,
    names: tuple[object, ...],
    n_draws: int = N_DRAWS,
) -> dict[str, np.ndarray]:
    """Return, by group of observations, how two halves of the counts of every gene correlate (n_genes,).

    The mean over several thinnings, which takes away most of the noise of the coin, but none of the noise of few
    observations. Thinning sees the noise of counting only: what else differs between two measurements of one tissue
    passes for signal.

    Parameters
    ----------
    counts
        Raw counts (n_obs, n_genes).
    groups
        Rows of every group, such as a sample.
    scaled
        Brings a half (n_obs, n_genes) to the scale of the expression.
    seed, names
        Of the coins; every draw has a stream of its own.
    n_draws
        Number of thinnings.

    Returns
    -------
    NaN where a half is constant in every draw.
    """
    total = {name: np.zeros(counts.shape[1]) for name in groups}
    times = {name: np.zeros(counts.shape[1]) for name in groups}
    for draw in range(n_draws):
        first, second = (scaled(half) for half in thin(counts, rng=stream(seed, *names, "halves", draw)))
        for name, rows in groups.items():
            r = column_correlation(first[rows], second[rows])
            known = ~np.isnan(r)
            total[name][known] += r[known]
            times[name] += known
    return {
        name: np.divide(total[name], times[name], out=np.full(len(total[name]), np.nan), where=times[name] > 0)
        for name in groups
    }


def training_reliability(agreement: Mapping[str, np.ndarray], n_obs: Mapping[str, int]) -> np.ndarray | None:
    """Return the reliability of every gene in training (n_genes,), from the agreement of halves in its samples.

    Samples are weighted by their observations; Spearman and Brown bring the mean agreement to the whole counts. NaN
    where no sample has an agreement; None without samples.
    """
    if not agreement:
        return None
    values = np.array(list(agreement.values()))
    weights = np.where(np.isnan(values), 0.0, np.array([n_obs[name] for name in agreement], dtype=np.float64)[:, None])
    mean = np.divide(
        (np.nan_to_num(values) * weights).sum(axis=0),
        weights.sum(axis=0),
        out=np.full(values.shape[1], np.nan),
        where=weights.sum(axis=0) > 0,
    )
    return spearman_brown(mean)
