"""Comparison of two correlation matrices that does not depend on the order of the genes.

Undefined genes (NaN rows and columns, from constant values) are left out on both sides; `drop_undefined` counts them.
With fewer than three common genes there is nothing to compare, and the result is NaN.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from stfmkit._core.arguments import check_choice, check_fraction, check_integer
from stfmkit._core.random import RNGLike, as_generator
from stfmkit._kernels._correlation import permuted_products
from stfmkit.metrics._arrays import constant
from stfmkit.metrics._correlation import CommonGenes, drop_undefined
from stfmkit.metrics._metric import metric

METHODS = ("pearson", "spearman")


class MantelResult(NamedTuple):
    """Correlation of two matrices, and its permutation p-value.

    Attributes
    ----------
    r
        Correlation over the pairs off the diagonal.
    p
        One-sided p-value: how often genes permuted at random correlate at least as well.
    """

    r: float
    p: float


@metric(
    title="Off-diagonal correlation",
    label="Off-diagonal r",
    family="coexpression",
    higher_is_better=True,
    bounds=(-1, 1),
    chance=0,
    source="textbook",
    summary="Correlation of two co-expression matrices over all pairs of different genes.",
)
def offdiagonal_correlation(
    truth: ArrayLike, predicted: ArrayLike, *, method: Literal["pearson", "spearman"] = "pearson"
) -> float:
    """Return the correlation of the two matrices over all pairs of different genes.

    Parameters
    ----------
    truth, predicted
        Correlation matrices (n_genes, n_genes).
    method
        Pearson's r or Spearman's ρ over the pairs.

    Returns
    -------
    A number in [-1, 1]; 0 where all predicted pairs are equal, NaN where all true pairs are, or where fewer than three
    genes are defined.

    Raises
    ------
    InputError
        As `drop_undefined`.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> same = np.corrcoef(np.random.default_rng(0).normal(size=(5, 50)))
    >>> round(sk.metrics.offdiagonal_correlation(same, same**3), 2) > 0.5
    True
    """
    check_choice(method, METHODS, name="method")
    common = drop_undefined(truth, predicted)
    if len(common.truth) < 3:
        return float("nan")
    x, y = _pairs(common)
    if constant(x[:, None])[0]:
        return float("nan")
    if constant(y[:, None])[0]:
        return 0.0
    if method == "spearman":
        x, y = rankdata(x), rankdata(y)
    return float(np.clip((_unit(x) * _unit(y)).sum(), -1, 1))


def mantel(
    truth: ArrayLike,
    predicted: ArrayLike,
    *,
    n_permutations: int = 999,
    method: Literal["pearson", "spearman"] = "pearson",
    rng: RNGLike = 0,
) -> MantelResult:
    """Return the off-diagonal correlation, and its p-value by permuting genes (Mantel 1967, Cancer Res 27:209).

    Pairs that share a gene are not independent, so that the usual p-value of a correlation does not hold; permuting the
    genes of one matrix keeps that dependence.

    Parameters
    ----------
    truth, predicted
        Correlation matrices (n_genes, n_genes).
    n_permutations
        Number of permutations.
    method
        Pearson's r or Spearman's ρ over the pairs.
    rng
        Seed or generator.

    Returns
    -------
    r, and the one-sided p-value ``(1 + #{r* ≥ r}) / (1 + n_permutations)``. Where all predicted pairs are equal, r is 0
    and p is 1; both are NaN where r is undefined.

    Raises
    ------
    InputError
        As `drop_undefined`.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> same = np.corrcoef(np.random.default_rng(0).normal(size=(9, 50)))
    >>> r, p = sk.metrics.mantel(same, same, n_permutations=99)
    >>> round(r, 6), p
    (1.0, 0.01)
    """
    check_integer(n_permutations, name="n_permutations", least=1)
    r = offdiagonal_correlation(truth, predicted, method=method)
    if np.isnan(r):
        return MantelResult(r, r)
    common = drop_undefined(truth, predicted)
    x, y = _pairs(common)
    if constant(y[:, None])[0]:
        return MantelResult(r, 1.0)
    if method == "spearman":
        x, y = rankdata(x), rankdata(y)
    n = len(common.truth)
    upper = np.triu_indices(n, 1)
    squares = np.zeros((2, n, n))
    squares[:, *upper] = _unit(x), _unit(y)
    squares += squares.transpose(0, 2, 1)
    generator = as_generator(rng)
    orders = np.array([generator.permutation(n) for _ in range(int(n_permutations))], dtype=np.uint32)
    as_good = int((permuted_products(squares[0], squares[1], orders) >= r - 1e-12).sum())
    return MantelResult(r, (1 + as_good) / (1 + int(n_permutations)))


@metric(
    title="Mantel p",
    family="coexpression",
    higher_is_better=None,
    bounds=(0, 1),
    chance=None,
    source="Mantel 1967, Cancer Res 27:209",
    summary="Share of gene permutations with an off-diagonal correlation as large.",
)
def mantel_p(
    truth: ArrayLike,
    predicted: ArrayLike,
    *,
    n_permutations: int = 999,
    method: Literal["pearson", "spearman"] = "pearson",
    rng: RNGLike = 0,
) -> float:
    """Return the p-value of `mantel`: the share of permutations of the genes that correlate at least as well.

    Parameters
    ----------
    truth, predicted, n_permutations, method, rng
        As for `mantel`, which returns the correlation too.

    Returns
    -------
    A number in (0, 1]; 1 where all predicted pairs are equal, NaN where the correlation is undefined.

    Raises
    ------
    InputError
        As `drop_undefined`.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> same = np.corrcoef(np.random.default_rng(0).normal(size=(9, 50)))
    >>> sk.metrics.mantel_p(same, same, n_permutations=99)
    0.01
    """
    return mantel(truth, predicted, n_permutations=n_permutations, method=method, rng=rng).p


@metric(
    title="RV coefficient",
    family="coexpression",
    higher_is_better=True,
    bounds=(-1, 1),
    chance=None,
    source="Robert and Escoufier 1976, Appl Stat 25:257",
    summary="Cosine between two co-expression matrices, without the diagonal by default.",
)
def rv_coefficient(truth: ArrayLike, predicted: ArrayLike, *, diagonal: bool = False) -> float:
    """Return the RV coefficient of two correlation matrices: the cosine between them.

    ``Σ t p / √(Σ t² Σ p²)`` (Escoufier 1973; Robert and Escoufier 1976). With the diagonal, which is 1 on both sides,
    even no co-expression at all scores well; without it such a prediction scores 0.

    Parameters
    ----------
    truth, predicted
        Correlation matrices (n_genes, n_genes).
    diagonal
        Count the diagonal too, as the classical coefficient does.

    Returns
    -------
    A number in [-1, 1]; 0 where the prediction is 0 throughout, NaN where the truth is, or fewer than three genes are
    defined.

    Raises
    ------
    InputError
        As `drop_undefined`.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> truth = np.array([[1, 0.6, 0.0], [0.6, 1, 0.8], [0.0, 0.8, 1]])
    >>> (
    ...     sk.metrics.rv_coefficient(truth, np.eye(3)),
    ...     round(sk.metrics.rv_coefficient(truth, np.eye(3), diagonal=True), 3),
    ... )
    (0.0, 0.775)
    """
    common = drop_undefined(truth, predicted)
    if len(common.truth) < 3:
        return float("nan")
    x, y = (common.truth.ravel(), common.predicted.ravel()) if diagonal else _pairs(common)
    size = np.linalg.norm(x), np.linalg.norm(y)
    if size[0] == 0:
        return float("nan")
    return float(np.clip(x @ y / (size[0] * size[1]), -1, 1)) if size[1] else 0.0


@metric(
    title="Relative Frobenius error",
    label="Frobenius error",
    family="coexpression",
    higher_is_better=False,
    bounds=(0, None),
    chance=1,
    source="textbook",
    summary="Size of the error of all correlations over the size of the true ones; no co-expression at all scores 1.",
)
def frobenius_error(truth: ArrayLike, predicted: ArrayLike, *, diagonal: bool = False) -> float:
    """Return the size of the error of all correlations, relative to the size of the true ones.

    ``√(Σ (p - t)² / Σ t²)``, over the pairs of different genes: 1 for a prediction without any co-expression.

    Parameters
    ----------
    truth, predicted
        Correlation matrices (n_genes, n_genes).
    diagonal
        Count the diagonal too, as the norm of the matrices does; it is 1 on both sides and flatters.

    Returns
    -------
    A number of at least 0, lower is better; NaN where all true values are 0, or fewer than three genes are defined.

    Raises
    ------
    InputError
        As `drop_undefined`.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> truth = np.array([[1, 0.6, 0.0], [0.6, 1, 0.8], [0.0, 0.8, 1]])
    >>> round(sk.metrics.frobenius_error(truth, np.eye(3)), 6), sk.metrics.frobenius_error(truth, truth)
    (1.0, 0.0)
    """
    common = drop_undefined(truth, predicted)
    if len(common.truth) < 3:
        return float("nan")
    x, y = (common.truth.ravel(), common.predicted.ravel()) if diagonal else _pairs(common)
    size = np.linalg.norm(x)
    return float(np.linalg.norm(y - x) / size) if size else float("nan")


@metric(
    title="Sign agreement",
    family="coexpression",
    higher_is_better=True,
    bounds=(0, 1),
    chance=0.5,
    source="stfmkit documentation",
    summary="Share of clearly correlated gene pairs that are predicted with the same sign.",
)
def sign_agreement(truth: ArrayLike, predicted: ArrayLike, *, threshold: float = 0.3) -> float:
    """Return, among the pairs of genes that clearly correlate in truth, the share predicted with the same sign.

    Parameters
    ----------
    truth, predicted
        Correlation matrices (n_genes, n_genes).
    threshold
        A pair counts if its true correlation is above this in absolute value.

    Returns
    -------
    A number in [0, 1]; a predicted 0 agrees with no sign. NaN where no pair counts, or fewer than three genes are
    defined.

    Raises
    ------
    InputError
        As `drop_undefined`.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> truth = np.array([[1, 0.6, -0.4], [0.6, 1, 0.1], [-0.4, 0.1, 1]])
    >>> sk.metrics.sign_agreement(truth, np.abs(truth))
    0.5
    """
    check_fraction(threshold, name="threshold")
    common = drop_undefined(truth, predicted)
    if len(common.truth) < 3:
        return float("nan")
    x, y = _pairs(common)
    clear = np.abs(x) > threshold
    return float((np.sign(x[clear]) == np.sign(y[clear])).mean()) if clear.any() else float("nan")


@metric(
    title="Mean |Δr|",
    family="coexpression",
    higher_is_better=False,
    bounds=(0, 2),
    chance=None,
    source="textbook",
    summary="Mean absolute difference of the correlations of all gene pairs.",
)
def mean_absolute_difference(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return the mean absolute difference of the correlations over all pairs of different genes.

    Parameters
    ----------
    truth, predicted
        Correlation matrices (n_genes, n_genes).

    Returns
    -------
    A number in [0, 2]; lower is better, NaN where fewer than three genes are defined.

    Raises
    ------
    InputError
        As `drop_undefined`.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> sk.metrics.mean_absolute_difference(np.eye(3), np.ones((3, 3)))
    1.0
    """
    common = drop_undefined(truth, predicted)
    if len(common.truth) < 3:
        return float("nan")
    x, y = _pairs(common)
    return float(np.abs(x - y).mean())


def _pairs(common: CommonGenes) -> tuple[np.ndarray, np.ndarray]:
    upper = np.triu_indices(len(common.truth), 1)
    return common.truth[upper], common.predicted[upper]


def _unit(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean()
    return np.asarray(centred / np.linalg.norm(centred))
