"""Upper bounds of scores, from what two independent halves of the counts agree on.

A bound is no goal. Halves of the counts, by binomial thinning, show the noise of counting alone; what else differs
between two measurements of one tissue passes for signal there, and lowers what can be reached.
"""

import numpy as np
from numpy.typing import ArrayLike

from stfmkit._kernels._thinning import spearman_brown

_FEWEST_SHARING = 4
"""Genes from which a spread between genes tells noise from differences."""
_ALMOST_ONE = 1 - 1e-9


def upper_bound(agreement: ArrayLike) -> np.ndarray:
    """Return the most that a prediction can correlate with the truth, from the correlation of two halves of the counts.

    Spearman and Brown bring the correlation of halves to the reliability ``ρ = 2r / (1 + r)`` of the whole; a perfect
    prediction has ``√ρ`` (Spearman 1904, Am J Psychol 15:72). For scores that are correlations: Pearson's r, and the
    agreement of correlation matrices. 0 where the halves do not agree.

    Parameters
    ----------
    agreement
        Scores of one half against the other; NaN stays NaN.
    """
    return np.asarray(np.sqrt(spearman_brown(np.asarray(agreement, dtype=np.float64))))


def annotation_bound(agreement: ArrayLike) -> np.ndarray:
    """Return about the most that right labels can agree with an annotation, from the agreement of two annotations.

    What two annotations agree on holds the errors of both, right labels meet those of one: with errors that know
    nothing of each other their score is about the root of the agreement, as √ρ bounds a correlation (docs, "Ceilings").
    0 where the annotations agree no better than by chance.

    Parameters
    ----------
    agreement
        Scores of one annotation against the other; NaN stays NaN.
    """
    return np.asarray(np.sqrt(np.maximum(np.asarray(agreement, dtype=np.float64), 0.0)))


def overlap_bound(agreement: ArrayLike) -> np.ndarray:
    """Return the most that a prediction can overlap with the truth, from the overlap of two halves of the counts.

    For sets and rankings of genes: what a second measurement as deep as the whole would reach, ``2a / (1 + a)``. A root
    as for correlations would be far above what the truth without noise reaches. In simulations this one is passed by a
    predictor that knows the noise by at most 5 % on average, in shallow data; single patients can lie above it
    (docs, "Ceilings").

    Parameters
    ----------
    agreement
        Scores of one half against the other; NaN stays NaN.
    """
    return np.asarray(spearman_brown(np.asarray(agreement, dtype=np.float64)))


def joint_bounds(agreement: ArrayLike, n_obs: int) -> np.ndarray:
    """Return the upper bounds of many genes of one sample, from the correlations of two halves of their counts.

    A root flattens noise, so that the `upper_bound` of a gene in few observations is too low on average. Correlations
    are first drawn to their mean by the share of noise in their spread (on Fisher's scale, noise ``1 / (n - 3)``;
    empirical Bayes, Efron & Morris 1975, J Am Stat Assoc 70:311). With many observations hardly anything moves.

    Parameters
    ----------
    agreement
        Correlation of the halves of every gene (n_genes,), signed; NaN stays NaN and counts for nothing.
    n_obs
        Number of observations behind every correlation.

    Returns
    -------
    Bounds in [0, 1] (n_genes,).
    """
    z = np.arctanh(np.clip(np.asarray(agreement, dtype=np.float64), -_ALMOST_ONE, _ALMOST_ONE))
    known = ~np.isnan(z)
    n_genes = int(known.sum())
    if n_genes >= _FEWEST_SHARING:
        spread, mean = z[known].var(ddof=1), z[known].mean()
        noise = (n_genes - 3) / (n_genes - 1) / max(n_obs - 3, 1)
        z = mean + max(0.0, 1 - noise / spread if spread > 0 else 0.0) * (z - mean)
    return upper_bound(np.tanh(z))
