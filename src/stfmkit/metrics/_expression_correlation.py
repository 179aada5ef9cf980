"""Correlation of predicted with true expression, gene by gene; the rules are those of `stfmkit.metrics._expression`."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from stfmkit.metrics._arrays import number, table, vector
from stfmkit.metrics._expression import centre_columns, correlate_columns, divide, expression
from stfmkit.metrics._metric import metric

_EXPLAINED = 1e-12  # a residual sum of squares below this share of the whole is rounding noise


@metric(
    title="Pearson r",
    family="expression",
    higher_is_better=True,
    bounds=(-1, 1),
    chance=0,
    ceiling="pearson_ceiling",
    source="Pearson 1895",
    summary="Linear correlation of predicted with true expression of every gene, within a slide.",
)
def pearson(truth: ArrayLike, predicted: ArrayLike) -> np.ndarray:
    """Return Pearson's r of every gene over the given rows.

    Parameters
    ----------
    truth, predicted
        Values (n_obs, n_genes), of one slide.

    Returns
    -------
    One value in [-1, 1] per gene (n_genes,); 0 where the prediction is constant, NaN where the truth is.

    Raises
    ------
    InputError
        If shapes differ, a value is not finite, or there are fewer than two rows.
    InputTypeError
        If a matrix is sparse or not numeric.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.pearson([[1.0, 5], [2, 5], [3, 5]], [[2.0, 1], [4, 2], [6, 3]])
    array([ 1., nan])
    """
    both = expression(truth, predicted)
    return correlate_columns(both.truth, both.predicted, both.flat_truth, both.flat_predicted)


@metric(
    title="Spearman ρ",
    family="expression",
    higher_is_better=True,
    bounds=(-1, 1),
    chance=0,
    source="Spearman 1904",
    summary="Rank correlation of predicted with true expression of every gene, within a slide.",
)
def spearman(truth: ArrayLike, predicted: ArrayLike) -> np.ndarray:
    """Return Spearman's ρ of every gene over the given rows: Pearson's r of mid-ranks.

    Parameters
    ----------
    truth, predicted
        Values (n_obs, n_genes), of one slide.

    Returns
    -------
    One value in [-1, 1] per gene (n_genes,); 0 where the prediction is constant, NaN where the truth is.

    Raises
    ------
    InputError, InputTypeError
        As `pearson`.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.spearman([[1.0], [2], [3]], [[1.0], [10], [100]])
    array([1.])
    """
    both = expression(truth, predicted)
    ranks = rankdata(both.truth, axis=0), rankdata(both.predicted, axis=0)
    return correlate_columns(*ranks, both.flat_truth, both.flat_predicted)


@metric(
    title="Concordance correlation",
    label="CCC",
    family="expression",
    higher_is_better=True,
    bounds=(-1, 1),
    chance=0,
    source="Lin 1989, Biometrics 45:255",
    summary="Correlation that also counts shifts and wrong scales.",
)
def ccc(truth: ArrayLike, predicted: ArrayLike) -> np.ndarray:
    """Return Lin's concordance correlation of every gene, which also counts shifts and wrong scales.

    ``2 cov / (var(truth) + var(predicted) + (difference of means)²)`` with population moments (Lin 1989, Biometrics
    45:255).

    Parameters
    ----------
    truth, predicted
        Values (n_obs, n_genes), of one slide and in one unit.

    Returns
    -------
    One value in [-1, 1] per gene (n_genes,); 0 where the prediction is constant, NaN where the truth is.

    Raises
    ------
    InputError, InputTypeError
        As `pearson`.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.ccc([[1.0], [2], [3]], [[2.0], [3], [4]]).round(3)  # r is 1, but everything is too high by one
    array([0.571])
    """
    both = expression(truth, predicted)
    x, y = centre_columns(both.truth), centre_columns(both.predicted)
    shift = both.truth.mean(axis=0) - both.predicted.mean(axis=0)
    size = np.maximum(np.maximum(np.abs(x).max(axis=0), np.abs(y).max(axis=0)), np.abs(shift))
    x, y, shift = (
        part / np.where(size > 0, size, 1.0) for part in (x, y, shift)
    )  # squares of tiny values stay above 0
    bottom = (x**2).mean(axis=0) + (y**2).mean(axis=0) + shift**2
    return divide(2 * (x * y).mean(axis=0), bottom, undefined=both.flat_truth, zero=both.flat_predicted)


@metric(
    title="Partial Pearson r",
    label="Partial r",
    family="expression",
    higher_is_better=True,
    bounds=(-1, 1),
    chance=0,
    source="Yule 1907",
    summary="Correlation that is left when both sides were regressed on a covariate such as log library size.",
)
def partial_pearson(truth: ArrayLike, predicted: ArrayLike, *, covariate: ArrayLike) -> np.ndarray:
    """Return Pearson's r of every gene after both sides were regressed on a covariate.

    With the log library size as the covariate this is what a model knows about a gene beyond the depth of the spot.

    Parameters
    ----------
    truth, predicted
        Values (n_obs, n_genes), of one slide.
    covariate
        One value (n_obs,) or several (n_obs, n_covariates) per observation; an intercept is added.

    Returns
    -------
    One value in [-1, 1] per gene (n_genes,); 0 where the covariate explains the whole prediction, NaN where it explains
    the whole truth.

    Raises
    ------
    InputError, InputTypeError
        As `pearson`, or if `covariate` has another length.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> depth = np.array([1.0, 2, 3, 4])
    >>> gene = depth[:, None] + [[1], [-1], [-1], [1]]
    >>> (
    ...     sk.metrics.pearson(gene, depth[:, None]).round(2),
    ...     sk.metrics.partial_pearson(gene, depth[:, None], covariate=depth),
    ... )
    (array([0.75]), array([0.]))
    """
    both = expression(truth, predicted)
    given = number(covariate, name="covariate")
    known = vector(given, name="covariate", n=len(both.truth))[:, None] if given.ndim == 1 else None
    if known is None:
        known = table(given, name="covariate", n=len(both.truth)).astype(np.float64)
    basis, spread, _ = np.linalg.svd(centre_columns(known), full_matrices=False)
    basis = basis[:, spread > 1e-10 * max(np.linalg.norm(known), np.finfo(float).tiny)]
    left, flat = [], []
    for values, was_flat in ((both.truth, both.flat_truth), (both.predicted, both.flat_predicted)):
        centred = centre_columns(values)
        residual = centred - basis @ (basis.T @ centred)
        left.append(residual)
        flat.append(was_flat | ((residual**2).sum(axis=0) <= _EXPLAINED * (values**2).sum(axis=0)))
    return correlate_columns(left[0], left[1], flat[0], flat[1])
