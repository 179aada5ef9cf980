"""Gene-gene correlation, and what two such matrices have in common."""

from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.stats import rankdata

from stfmkit._core.arguments import check_choice
from stfmkit._core.errors import InputError
from stfmkit._kernels._correlation import orthonormal_design, residual_correlation
from stfmkit._kernels._ranks import shifted_ranks
from stfmkit.metrics._arrays import labels, matrix, number, table, vector
from stfmkit.metrics._metric import metric

_SYMMETRY = 1e-8


class CommonGenes(NamedTuple):
    """Two correlation matrices on the genes that both define.

    Attributes
    ----------
    truth, predicted
        Matrices (n_kept, n_kept), without NaN.
    n_dropped
        How many genes at least one side leaves undefined.
    kept
        Which genes were kept (n_genes,).
    """

    truth: np.ndarray
    predicted: np.ndarray
    n_dropped: int
    kept: np.ndarray


def correlation(
    X: ArrayLike | sparse.sparray,
    *,
    method: Literal["pearson", "spearman"] = "pearson",
    groups: ArrayLike | None = None,
    covariate: ArrayLike | None = None,
) -> np.ndarray:
    """Return the correlation of all pairs of genes.

    Parameters
    ----------
    X
        Values (n_obs, n_genes), such as size-factor log1p; dense or CSR. A sparse matrix is never dense as a whole.
    method
        Pearson's r, or Spearman's ρ (Pearson's r of mid-ranks over all observations).
    groups
        Slide of every observation (n_obs,): values, or ranks, are centred within slides, so that differences between
        slides do not pass for co-expression.
    covariate
        One value (n_obs,) or several (n_obs, n_covariates), such as log library size, that values or ranks are
        regressed on before: the partial correlation. With `groups`, the regression is within slides, with
        common slopes.

    Returns
    -------
    Symmetric matrix (n_genes, n_genes) in [-1, 1] with ones on the diagonal. Row and column of a gene without variation
    that is left to correlate, such as a constant one, are NaN; see `drop_undefined`.

    Raises
    ------
    InputError
        If values are not finite, lengths differ, or fewer than two observations are given.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.metrics.correlation([[1.0, 2, 5], [2, 4, 5], [3, 6, 5]])
    array([[ 1.,  1., nan],
           [ 1.,  1., nan],
           [nan, nan, nan]])
    """
    check_choice(method, ["pearson", "spearman"], name="method")
    values = matrix(X, name="X")
    n = values.shape[0]
    if n < 2:
        raise InputError("one observation.", allowed="at least two", remedy="correlate over more observations.")
    codes, known = known_variables(n, groups=groups, covariate=covariate)
    if method == "spearman":
        dense = isinstance(values, np.ndarray)
        values = rankdata(values, axis=0) - (n + 1) / 2 if dense else shifted_ranks(values)
    return residual_correlation(values, orthonormal_design(codes, known))


def known_variables(
    n: int, *, groups: ArrayLike | None, covariate: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the codes of the groups (n_obs,), 0 without any, and the covariates (n_obs, n_covariates) or None."""
    codes = np.zeros(n, dtype=np.int64)
    if groups is not None:
        codes = pd.factorize(labels(groups, name="groups", n=n), sort=True)[0].astype(np.int64)
    if covariate is None:
        return codes, None
    given = number(covariate, name="covariate")
    if given.ndim == 1:
        return codes, vector(given, name="covariate", n=n)[:, None]
    return codes, table(given, name="covariate", n=n).astype(np.float64)


def drop_undefined(a: ArrayLike, b: ArrayLike) -> CommonGenes:
    """Return two correlation matrices on the genes that both define, and count the others.

    A gene that is constant, in truth or prediction, correlates with nothing: its row and column are NaN. All
    comparisons of co-expression leave such genes out on both sides; print the count beside every score, because a model
    that predicts constants is otherwise judged on its easy genes only.

    Parameters
    ----------
    a, b
        Symmetric matrices (n_genes, n_genes) of the same genes; NaN in whole rows and columns only.

    Returns
    -------
    Both matrices on the common genes, the number of genes dropped, and which were kept.

    Raises
    ------
    InputError
        If shapes differ, a matrix is not square or symmetric, a value is infinite, or single values are NaN.

    Examples
    --------
    >>> import stfmkit as sk
    >>> nan = float("nan")
    >>> common = sk.metrics.drop_undefined([[1.0, nan], [nan, nan]], [[1.0, 0.5], [0.5, 1.0]])
    >>> common.n_dropped, common.truth
    (1, array([[1.]]))
    """
    first, second = _symmetric(a, name="the first matrix"), _symmetric(b, name="the second matrix")
    if first.shape != second.shape:
        raise InputError(
            f"matrices of shape {first.shape} and {second.shape}.",
            allowed="the same genes on both sides",
            remedy="correlate the same genes, in the same order.",
        )
    kept = ~(np.isnan(first.diagonal()) | np.isnan(second.diagonal()))
    if kept.all():
        return CommonGenes(first, second, 0, kept)
    grid = np.ix_(kept, kept)
    return CommonGenes(first[grid], second[grid], int((~kept).sum()), kept)


@metric(
    title="Degenerate genes",
    family="coexpression",
    higher_is_better=None,
    bounds=(0, None),
    chance=None,
    source="stfmkit documentation",
    summary="Number of genes that are constant in truth or prediction, and so left out of all scores.",
)
def n_degenerate(truth: ArrayLike, predicted: ArrayLike) -> int:
    """Return how many genes have no correlations in the truth or in the prediction.

    These are the genes that do not vary; `degenerate_genes` finds them in matrices of expression.

    Parameters
    ----------
    truth, predicted
        Correlation matrices (n_genes, n_genes).

    Returns
    -------
    A number from 0 to n_genes.

    Raises
    ------
    InputError
        As `drop_undefined`.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> sk.metrics.n_degenerate(np.eye(3), np.array([[1, np.nan, 0.5], [np.nan, np.nan, np.nan], [0.5, np.nan, 1]]))
    1
    """
    return drop_undefined(truth, predicted).n_dropped


@metric(
    title="Share of degenerate genes",
    family="coexpression",
    higher_is_better=None,
    bounds=(0, 1),
    chance=None,
    source="stfmkit documentation",
    summary="Share of genes that are constant in truth or prediction, and so left out of all scores.",
)
def share_degenerate(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return the share of genes that have no correlations in the truth or in the prediction.

    Parameters
    ----------
    truth, predicted
        Correlation matrices (n_genes, n_genes).

    Returns
    -------
    A number in [0, 1].

    Raises
    ------
    InputError
        As `drop_undefined`.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> sk.metrics.share_degenerate(np.eye(2), np.array([[1, np.nan], [np.nan, np.nan]]))
    0.5
    """
    common = drop_undefined(truth, predicted)
    return common.n_dropped / len(common.kept)


def _symmetric(values: ArrayLike, *, name: str) -> np.ndarray:
    """Check one matrix: square, symmetric, no infinity, NaN in whole rows and columns only."""
    array = number(values, name=name).astype(np.float64)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or not len(array):
        raise InputError(
            f"{name} of shape {array.shape}.", allowed="(n_genes, n_genes)", remedy="pass a correlation matrix."
        )
    undefined = np.isnan(array.diagonal())
    gap = undefined[:, None] | undefined[None, :]
    if not np.array_equal(np.isnan(array), gap) or np.isinf(array).any():
        raise InputError(
            f"infinite values, or NaN outside the rows and columns of undefined genes, in {name}.",
            allowed="finite values, and genes that are NaN in their whole row and column",
            remedy="compute the matrix with `sk.metrics.correlation`.",
        )
    uneven = np.abs(array - array.T)[~gap].max(initial=0.0)
    if uneven > _SYMMETRY:
        raise InputError(
            f"{name} differs from its transpose by up to {uneven:.3g}.",
            allowed="a symmetric matrix",
            remedy="correlate one set of genes with itself, or pass `(C + C.T) / 2` if that is meant.",
        )
    return array
