"""Error of predicted expression, gene by gene; the rules are those of `stfmkit.metrics._expression`."""

import numpy as np
from numpy.typing import ArrayLike

from stfmkit._core.arguments import check_positive
from stfmkit._core.errors import InputError
from stfmkit.metrics._arrays import number, table, vector
from stfmkit.metrics._expression import centre_columns, divide, expression
from stfmkit.metrics._metric import metric


@metric(
    title="Q² against the training mean",
    label="Q²",
    family="expression",
    higher_is_better=True,
    bounds=(None, 1),
    chance=0,
    over_genes="median",
    source="Schüürmann et al. 2008, J Chem Inf Model 48:2140",
    summary="One minus the squared error over that of the training mean.",
)
def q2(truth: ArrayLike, predicted: ArrayLike, *, train_mean: ArrayLike) -> np.ndarray:
    """Return Q² of every gene: one minus the squared error over that of the training mean.

    The reference is what was known before the test patient was seen, not the mean of the test rows.

    Parameters
    ----------
    truth, predicted
        Values (n_obs, n_genes) in one unit.
    train_mean
        Mean of every gene over the training rows (n_genes,), or one for every observation (n_obs, n_genes) where rows
        were held out in different folds.

    Returns
    -------
    One value of at most 1 per gene (n_genes,); 0 is as good as the training mean, NaN where the truth is constant.

    Raises
    ------
    InputError, InputTypeError
        As `pearson`, or if `train_mean` has another shape.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.q2([[1.0], [3]], [[1.0], [2]], train_mean=[2.0])
    array([0.5])
    """
    both = expression(truth, predicted)
    mean = _reference(train_mean, name="train_mean", shape=both.truth.shape)
    error = ((both.truth - both.predicted) ** 2).sum(axis=0)
    return 1 - divide(error, ((both.truth - mean) ** 2).sum(axis=0), undefined=both.flat_truth)


@metric(
    title="Poisson deviance explained",
    label="Deviance explained",
    family="expression",
    higher_is_better=True,
    bounds=(None, 1),
    chance=0,
    over_genes="median",
    source="Cameron and Windmeijer 1996, J Bus Econ Stat 14:209",
    summary="Share of the Poisson deviance of a null, such as the training mean, that is explained; on counts.",
)
def deviance_explained(
    truth: ArrayLike, predicted: ArrayLike, *, null: ArrayLike, floor: float = 1e-6, dispersion: ArrayLike = 0.0
) -> np.ndarray:
    """Return the share of the Poisson deviance of a null prediction that the prediction explains, per gene.

    ``1 - D(predicted) / D(null)`` with ``D(μ) = 2 Σ [y log(y / μ) - (y - μ)]``, or with a dispersion α that of the
    negative binomial, ``D(μ) = 2 Σ [y log(y / μ) - (y + 1/α) log((1 + α y) / (1 + α μ))]``. The null is what was known
    before the test patient was seen: the training mean, or the mean training rate times the library size of every
    observation.

    Parameters
    ----------
    truth
        Counts, or rates on the scale of counts (n_obs, n_genes), not negative.
    predicted
        Expected counts (n_obs, n_genes), not negative: undo a logarithm first.
    null
        Expected counts of the null, per gene (n_genes,) or per observation and gene (n_obs, n_genes), not negative.
    floor
        Expected counts below this are lifted to it, because one molecule where none was expected at all would have
        an infinite deviance.
    dispersion
        α of the negative binomial with variance ``μ + α μ²``, one number or one per gene (n_genes,), known before the
        test patient was seen; 0 is Poisson.

    Returns
    -------
    One value of at most 1 per gene (n_genes,); 0 is as good as the null, NaN where the truth is constant.

    Raises
    ------
    InputError, InputTypeError
        As `pearson`, or if a value is negative.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.deviance_explained([[0.0], [4]], [[0.0], [4]], null=[2.0]).round(5)
    array([1.])
    """
    check_positive(floor, name="floor")
    both = expression(truth, predicted)
    base = _reference(null, name="null", shape=both.truth.shape)
    size = _dispersions(dispersion, n=both.truth.shape[1])
    for name, values in {"truth": both.truth, "predicted": both.predicted, "null": base}.items():
        if values.min() < 0:
            raise InputError(
                f"{name} as low as {values.min():g}.",
                allowed="counts of at least 0",
                remedy="score on the scale of counts; clip what a linear model puts below 0.",
            )
    reference = _deviance(both.truth, np.broadcast_to(base, both.truth.shape), floor, size)
    return 1 - divide(_deviance(both.truth, both.predicted, floor, size), reference, undefined=both.flat_truth)


@metric(
    title="SD ratio",
    family="expression",
    higher_is_better=None,
    bounds=(0, None),
    chance=None,
    over_genes="median",
    source="stfmkit documentation",
    summary="Standard deviation of the prediction over that of the truth; 1 is right, below 1 is too smooth.",
)
def variance_ratio(truth: ArrayLike, predicted: ArrayLike) -> np.ndarray:
    """Return the standard deviation of the prediction over that of the truth, per gene.

    Below 1 the model smooths too much, as regression does where it knows little; above 1 it invents contrast.

    Parameters
    ----------
    truth, predicted
        Values (n_obs, n_genes), of one slide and in one unit.

    Returns
    -------
    One value of at least 0 per gene (n_genes,); NaN where the truth is constant.

    Raises
    ------
    InputError, InputTypeError
        As `pearson`.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.variance_ratio([[0.0], [4]], [[1.0], [3]])
    array([0.5])
    """
    both = expression(truth, predicted)
    return divide(both.predicted.std(axis=0), both.truth.std(axis=0), undefined=both.flat_truth)


@metric(
    title="RMSE",
    family="expression",
    higher_is_better=False,
    bounds=(0, None),
    chance=None,
    source="textbook",
    summary="Root mean squared error in the unit of the data; on z-scores the same as Pearson r.",
)
def rmse(truth: ArrayLike, predicted: ArrayLike) -> np.ndarray:
    """Return the root mean squared error of every gene, in the unit of the data.

    On z-scored genes it says the same as Pearson's r (``√(2 (1 - r))``), so do not count both.

    Parameters
    ----------
    truth, predicted
        Values (n_obs, n_genes) in one unit.

    Returns
    -------
    One value of at least 0 per gene (n_genes,), also where the truth is constant.

    Raises
    ------
    InputError, InputTypeError
        As `pearson`.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.rmse([[0.0], [0]], [[3.0], [3]])
    array([3.])
    """
    both = expression(truth, predicted)
    return np.asarray(np.sqrt(((both.truth - both.predicted) ** 2).mean(axis=0)))


@metric(
    title="RMSE over SD",
    family="expression",
    higher_is_better=False,
    bounds=(0, None),
    chance=1,
    over_genes="median",
    source="textbook",
    summary="Root mean squared error over the standard deviation of the truth; 1 is as good as the mean of the slide.",
)
def nrmse(truth: ArrayLike, predicted: ArrayLike) -> np.ndarray:
    """Return the root mean squared error of every gene over the standard deviation of its truth.

    1 is as good as the mean of the given rows. It says the same as `r2`, ``√(1 - R²)``, on the scale of the error.

    Parameters
    ----------
    truth, predicted
        Values (n_obs, n_genes), of one slide and in one unit.

    Returns
    -------
    One value of at least 0 per gene (n_genes,); NaN where the truth is constant.

    Raises
    ------
    InputError, InputTypeError
        As `pearson`.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.nrmse([[0.0], [4]], [[1.0], [3]])
    array([0.5])
    """
    both = expression(truth, predicted)
    error = np.sqrt(((both.truth - both.predicted) ** 2).mean(axis=0))
    return divide(error, both.truth.std(axis=0), undefined=both.flat_truth)


@metric(
    title="R² against the slide mean",
    label="R²",
    family="expression",
    higher_is_better=True,
    bounds=(None, 1),
    chance=0,
    over_genes="median",
    source="textbook",
    summary="One minus the squared error over that of the mean of the slide.",
)
def r2(truth: ArrayLike, predicted: ArrayLike) -> np.ndarray:
    """Return R² of every gene: one minus the squared error over that of the mean of the given rows.

    The reference is the mean of the slide itself, which no model is told: see `q2` for the training mean. A slide that
    is predicted well but too high as a whole scores low here.

    Parameters
    ----------
    truth, predicted
        Values (n_obs, n_genes), of one slide and in one unit.

    Returns
    -------
    One value of at most 1 per gene (n_genes,); NaN where the truth is constant.

    Raises
    ------
    InputError, InputTypeError
        As `pearson`.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.r2([[0.0], [4]], [[1.0], [3]])
    array([0.75])
    """
    both = expression(truth, predicted)
    error = ((both.truth - both.predicted) ** 2).sum(axis=0)
    return 1 - divide(error, (centre_columns(both.truth) ** 2).sum(axis=0), undefined=both.flat_truth)


def _reference(value: ArrayLike, *, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return one value per gene (n_genes,), or one per observation and gene (n_obs, n_genes)."""
    n, g = shape
    given = number(value, name=name)
    base = vector(given, name=name, n=g) if given.ndim == 1 else table(given, name=name, n=n).astype(np.float64)
    if base.shape[-1] != g:
        raise InputError(
            f"{name} of shape {base.shape}.", allowed=f"({g},) or ({n}, {g})", remedy="pass one column for every gene."
        )
    return base


def _dispersions(value: ArrayLike, *, n: int) -> np.ndarray:
    given = number(value, name="dispersion")
    found = vector(np.broadcast_to(given, (n,)) if given.ndim == 0 else given, name="dispersion", n=n)
    if (found < 0).any():
        raise InputError(
            f"a dispersion as low as {found.min():g}.", allowed="numbers of at least 0", remedy="pass 0 for Poisson."
        )
    return found


def _deviance(counts: np.ndarray, expected: np.ndarray, floor: float, dispersion: np.ndarray) -> np.ndarray:
    mu = np.maximum(expected, floor)
    logged = np.zeros_like(counts)
    np.divide(counts, mu, out=logged, where=counts > 0)
    np.log(logged, out=logged, where=counts > 0)
    rest = counts - mu
    wide = dispersion > 0
    if wide.any():
        a = dispersion[wide]
        rest[:, wide] = (counts[:, wide] + 1 / a) * (np.log1p(a * counts[:, wide]) - np.log1p(a * mu[:, wide]))
    return np.asarray(2 * (counts * logged - rest).sum(axis=0))
