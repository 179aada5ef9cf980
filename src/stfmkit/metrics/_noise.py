"""Reliability of genes, and the noise ceiling of scores."""

import numpy as np
from numpy.typing import ArrayLike

from stfmkit._core.errors import InputError
from stfmkit.metrics._arrays import number
from stfmkit.metrics._expression import expression
from stfmkit.metrics._expression_correlation import pearson
from stfmkit.metrics._metric import metric


@metric(
    title="Reliability ρ",
    label="Reliability",
    family="noise",
    higher_is_better=True,
    bounds=(0, 1),
    chance=0,
    source="Spearman 1910; Brown 1910",
    summary="Reliability of a gene from two independent halves of its counts.",
)
def split_half_reliability(half_a: ArrayLike, half_b: ArrayLike) -> np.ndarray:
    """Return the reliability of every gene from two independent halves of its counts.

    Pearson's r between the halves, brought to the full length by Spearman and Brown: ``ρ = 2 r / (1 + r)``. Binomial
    thinning of Poisson counts gives independent halves (Neufeld et al. 2022); normalise and log each half as the
    full data.

    Parameters
    ----------
    half_a, half_b
        Values (n_obs, n_genes) of the same observations, of one slide.

    Returns
    -------
    ρ in [0, 1] per gene (n_genes,); 0 where the halves do not agree, NaN where a half is constant.

    Raises
    ------
    InputError
        If shapes differ, a value is not finite, or there are fewer than two rows.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.split_half_reliability([[0.0], [1], [2], [3]], [[0.0], [2], [1], [3]]).round(3)
    array([0.889])
    """
    both = expression(half_a, half_b, names=("half_a", "half_b"))
    r = np.clip(pearson(both.truth, both.predicted), 0, 1)
    r[both.flat_truth | both.flat_predicted] = np.nan
    return np.asarray(2 * r / (1 + r))


@metric(
    title="Ceiling of Pearson r",
    family="noise",
    higher_is_better=None,
    bounds=(0, 1),
    chance=None,
    source="Spearman 1904, Am J Psychol 15:72",
    summary="The highest correlation with noisy truth that a perfect prediction can have.",
)
def pearson_ceiling(reliability: ArrayLike) -> np.ndarray:
    """Return the highest Pearson's r that can be reached against noisy truth: ``√ρ``.

    A perfect prediction of the noise-free expression correlates this well with the measured values.

    Parameters
    ----------
    reliability
        ρ of every gene, in [0, 1], such as `split_half_reliability`; NaN stays NaN.

    Returns
    -------
    Ceilings, in the shape of `reliability`.

    Raises
    ------
    InputError
        If a value lies outside [0, 1].

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.pearson_ceiling([0.81, 0.25])
    array([0.9, 0.5])
    """
    rho = number(reliability, name="reliability").astype(np.float64)
    if ((rho < 0) | (rho > 1)).any():
        raise InputError(
            f"reliabilities from {np.nanmin(rho):g} to {np.nanmax(rho):g}.",
            allowed="values in [0, 1]",
            remedy="pass the result of `sk.metrics.split_half_reliability`.",
        )
    return np.asarray(np.sqrt(rho))


@metric(
    title="Share of the ceiling",
    family="noise",
    higher_is_better=True,
    bounds=(None, None),
    chance=0,
    source="stfmkit documentation",
    summary="A score on the scale from chance (0) to the ceiling (1).",
)
def ceiling_normalized(value: ArrayLike, *, ceiling: ArrayLike, chance: ArrayLike = 0.0) -> np.ndarray:
    """Return scores on the scale from chance (0) to the ceiling (1).

    ``(value - chance) / (ceiling - chance)``. Where the ceiling is not above chance nothing can be learned from the
    data, and the result is NaN.

    Parameters
    ----------
    value
        Scores.
    ceiling
        The best that can be reached, such as `pearson_ceiling` or the score of thinned truth.
    chance
        The score of an uninformative prediction.

    Returns
    -------
    Scaled scores, in the common shape; above 1 where a score beats its estimated ceiling.

    Raises
    ------
    InputTypeError
        If something is not numeric.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.ceiling_normalized([0.45, 0.45], ceiling=[0.9, 0.0])
    array([0.5, nan])
    """
    score = number(value, name="value").astype(np.float64)
    low = number(chance, name="chance").astype(np.float64)
    room = number(ceiling, name="ceiling") - low
    out = np.full(np.broadcast_shapes(score.shape, room.shape), np.nan)
    np.divide(score - low, room, out=out, where=np.broadcast_to(room > 0, out.shape))
    return out
