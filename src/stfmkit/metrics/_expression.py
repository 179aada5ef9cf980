"""Agreement of predicted with true expression, gene by gene.

All functions take two matrices (n_obs, n_genes), and score the rows they are given: pass one slide at a time, since
rows of several slides scored together mistake differences between slides for skill. Genes whose truth is constant have
no score (NaN), to be left out of means and counted. A constant prediction has a correlation of 0.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.stats import rankdata

from stfmkit._core.arguments import check_positive
from stfmkit._core.errors import InputError
from stfmkit.metrics._autocorrelation import morans_i
from stfmkit.metrics._checks import expression, number, table, vector

_EXPLAINED = 1e-12  # a residual sum of squares below this share of the whole is rounding noise


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
    >>> pearson([[1.0, 5], [2, 5], [3, 5]], [[2.0, 1], [4, 2], [6, 3]])
    array([ 1., nan])
    """
    both = expression(truth, predicted)
    return _correlate(both.truth, both.predicted, both.flat_truth, both.flat_predicted)


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
    >>> spearman([[1.0], [2], [3]], [[1.0], [10], [100]])
    array([1.])
    """
    both = expression(truth, predicted)
    ranks = rankdata(both.truth, axis=0), rankdata(both.predicted, axis=0)
    return _correlate(*ranks, both.flat_truth, both.flat_predicted)


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
    >>> ccc([[1.0], [2], [3]], [[2.0], [3], [4]]).round(3)  # r is 1, but everything is too high by one
    array([0.571])
    """
    both = expression(truth, predicted)
    x, y = _centred(both.truth), _centred(both.predicted)
    shift = both.truth.mean(axis=0) - both.predicted.mean(axis=0)
    size = np.maximum(np.maximum(np.abs(x).max(axis=0), np.abs(y).max(axis=0)), np.abs(shift))
    x, y, shift = (
        part / np.where(size > 0, size, 1.0) for part in (x, y, shift)
    )  # squares of tiny values stay above 0
    bottom = (x**2).mean(axis=0) + (y**2).mean(axis=0) + shift**2
    return _ratio(2 * (x * y).mean(axis=0), bottom, undefined=both.flat_truth, zero=both.flat_predicted)


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
    >>> q2([[1.0], [3]], [[1.0], [2]], train_mean=[2.0])
    array([0.5])
    """
    both = expression(truth, predicted)
    mean = _reference(train_mean, name="train_mean", shape=both.truth.shape)
    error = ((both.truth - both.predicted) ** 2).sum(axis=0)
    return 1 - _ratio(error, ((both.truth - mean) ** 2).sum(axis=0), undefined=both.flat_truth)


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
    >>> deviance_explained([[0.0], [4]], [[0.0], [4]], null=[2.0]).round(5)
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
    return 1 - _ratio(_deviance(both.truth, both.predicted, floor, size), reference, undefined=both.flat_truth)


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
    >>> depth = np.array([1.0, 2, 3, 4])
    >>> gene = depth[:, None] + [[1], [-1], [-1], [1]]
    >>> pearson(gene, depth[:, None]).round(2), partial_pearson(gene, depth[:, None], covariate=depth)
    (array([0.75]), array([0.]))
    """
    both = expression(truth, predicted)
    given = number(covariate, name="covariate")
    known = vector(given, name="covariate", n=len(both.truth))[:, None] if given.ndim == 1 else None
    if known is None:
        known = table(given, name="covariate", n=len(both.truth)).astype(np.float64)
    basis, spread, _ = np.linalg.svd(_centred(known), full_matrices=False)
    basis = basis[:, spread > 1e-10 * max(np.linalg.norm(known), np.finfo(float).tiny)]
    left, flat = [], []
    for values, was_flat in ((both.truth, both.flat_truth), (both.predicted, both.flat_predicted)):
        centred = _centred(values)
        residual = centred - basis @ (basis.T @ centred)
        left.append(residual)
        flat.append(was_flat | ((residual**2).sum(axis=0) <= _EXPLAINED * (values**2).sum(axis=0)))
    return _correlate(left[0], left[1], flat[0], flat[1])


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
    >>> variance_ratio([[0.0], [4]], [[1.0], [3]])
    array([0.5])
    """
    both = expression(truth, predicted)
    return _ratio(both.predicted.std(axis=0), both.truth.std(axis=0), undefined=both.flat_truth)


def moran_ratio(truth: ArrayLike, predicted: ArrayLike, *, graph: sparse.sparray) -> np.ndarray:
    """Return Moran's I of the prediction over that of the truth, per gene.

    Above 1 the predicted map is smoother than the real one.

    Parameters
    ----------
    truth, predicted
        Values (n_obs, n_genes), of one slide.
    graph
        Spatial weights (n_obs, n_obs), as for `morans_i`.

    Returns
    -------
    One value per gene (n_genes,); NaN where the prediction or the truth is constant, or where the truth has no positive
    autocorrelation to be compared with.

    Raises
    ------
    InputError, InputTypeError
        As `pearson` and `morans_i`.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> ring = sparse.csr_array(np.roll(np.eye(8), 1, axis=1) + np.roll(np.eye(8), -1, axis=1))
    >>> halves = np.array([[1.0], [1], [1], [1], [0], [0], [0], [0]])
    >>> moran_ratio(halves, 0.1 * halves, graph=ring)
    array([1.])
    """
    both = expression(truth, predicted)
    bottom = morans_i(both.truth, graph)
    top = morans_i(both.predicted, graph)
    top[both.flat_predicted] = np.nan
    return _ratio(top, bottom, undefined=both.flat_truth | ~(bottom > 0))


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
    >>> rmse([[0.0], [0]], [[3.0], [3]])
    array([3.])
    """
    both = expression(truth, predicted)
    return np.asarray(np.sqrt(((both.truth - both.predicted) ** 2).mean(axis=0)))


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
    >>> nrmse([[0.0], [4]], [[1.0], [3]])
    array([0.5])
    """
    both = expression(truth, predicted)
    error = np.sqrt(((both.truth - both.predicted) ** 2).mean(axis=0))
    return _ratio(error, both.truth.std(axis=0), undefined=both.flat_truth)


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
    >>> r2([[0.0], [4]], [[1.0], [3]])
    array([0.75])
    """
    both = expression(truth, predicted)
    error = ((both.truth - both.predicted) ** 2).sum(axis=0)
    return 1 - _ratio(error, (_centred(both.truth) ** 2).sum(axis=0), undefined=both.flat_truth)


def _centred(values: np.ndarray) -> np.ndarray:
    return np.asarray(values - values.mean(axis=0))


def _unit(values: np.ndarray) -> np.ndarray:
    """Centre columns and bring them to length 1; flat columns become 0."""
    centred = _centred(values)
    size = np.abs(centred).max(axis=0)
    scaled = centred / np.where(size > 0, size, 1.0)  # keeps the squares of tiny values above 0
    norm = np.linalg.norm(scaled, axis=0)
    return np.asarray(scaled / np.where(norm > 0, norm, 1.0))


def _ratio(top: np.ndarray, bottom: np.ndarray, *, undefined: np.ndarray, zero: np.ndarray | None = None) -> np.ndarray:
    """Divide; NaN where `undefined` or the divisor is 0, and 0 where `zero` says so."""
    out = np.full(len(bottom), np.nan)
    np.divide(top, bottom, out=out, where=~undefined & (bottom != 0))
    if zero is not None:
        out[zero & ~undefined] = 0.0
    return out


def _correlate(x: np.ndarray, y: np.ndarray, flat_x: np.ndarray, flat_y: np.ndarray) -> np.ndarray:
    """Return Pearson's r by column; NaN where x is flat, else 0 where y is flat."""
    unit = _unit(x), _unit(y)
    r = np.clip((unit[0] * unit[1]).sum(axis=0), -1, 1)
    r[flat_y] = 0.0
    r[flat_x] = np.nan
    return np.asarray(r)


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
