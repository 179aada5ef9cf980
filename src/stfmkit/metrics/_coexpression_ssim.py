"""Structural similarity of co-expression, and how much of it is the order of the genes."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from stfmkit._core.arguments import check_integer
from stfmkit._core.errors import InputError
from stfmkit._core.random import RNGLike, as_generator
from stfmkit._kernels._ssim import mean_ssim_ordered
from stfmkit.metrics._correlation import CommonGenes, drop_undefined
from stfmkit.metrics._ssim import check_fits, check_window, constants, lines

DATA_RANGE = 2.0
"""Distance from -1 to 1."""


class PermutedSSIM(NamedTuple):
    """SSIM over random orders of the genes.

    Attributes
    ----------
    mean, sd
        Mean and sample standard deviation over the orders.
    """

    mean: float
    sd: float


def coexpression_order(truth: ArrayLike) -> np.ndarray:
    """Return the order of the genes in which correlated ones are neighbours.

    Average linkage on ``1 - C`` with optimal leaf ordering. Take it from the truth of the training patients, once, and
    use it for every model: SSIM depends on the order of the genes more than on the model.

    Parameters
    ----------
    truth
        Correlation of the training truth (n_genes, n_genes).

    Returns
    -------
    A permutation of all genes (n_genes,); undefined genes come last, in their own order.

    Raises
    ------
    InputError
        If the matrix is not square or symmetric, or has infinite values.

    Examples
    --------
    >>> order = coexpression_order([[1.0, 0.0, 0.9], [0.0, 1.0, 0.1], [0.9, 0.1, 1.0]])
    >>> order[1]  # the gene that both others are closest to
    np.int64(2)
    """
    common = drop_undefined(truth, truth)
    defined = np.flatnonzero(common.kept)
    if len(defined) > 2:
        distance = np.clip(1 - (common.truth + common.truth.T) / 2, 0, None)
        np.fill_diagonal(distance, 0)
        tree = linkage(squareform(distance, checks=False), method="average", optimal_ordering=True)
        defined = defined[leaves_list(tree)]
    return np.concatenate([defined, np.flatnonzero(~common.kept)]).astype(np.int64)


def ssim_ordered(truth: ArrayLike, predicted: ArrayLike, *, order: ArrayLike, window: int = 7) -> float:
    """Return the SSIM of two correlation matrices with the genes in a fixed order.

    The diagonal is 0 on both sides and the range of the data is 2. Inside blocks of similar correlations the local
    variance is little but sampling noise, so that a good prediction may score low here; read it beside `ssim_permuted`
    and `ssim_global`.

    Parameters
    ----------
    truth, predicted
        Correlation matrices (n_genes, n_genes); undefined genes are left out on both sides, see `drop_undefined`.
    order
        Permutation of all genes, such as `coexpression_order` of the training truth.
    window
        Side of the window, odd.

    Returns
    -------
    A number in [-1, 1]; NaN where fewer genes than the window are defined on both sides.

    Raises
    ------
    InputError
        If `order` is no permutation, the matrices are smaller than the window, or as `drop_undefined`.

    Examples
    --------
    >>> import numpy as np
    >>> same = np.corrcoef(np.random.default_rng(0).normal(size=(9, 50)))
    >>> ssim_ordered(same, same, order=coexpression_order(same))
    1.0
    """
    common = _checked(truth, predicted, window=window)
    wanted = np.asarray(order)
    n = len(common.kept)
    if wanted.shape != (n,) or not np.array_equal(np.sort(wanted), np.arange(n)):
        raise InputError(
            f"an order of shape {wanted.shape} that does not name each of {n} genes once.",
            allowed=f"a permutation of 0 … {n - 1}",
            remedy="pass the result of `sk.metrics.coexpression_order` on the same genes.",
        )
    place = np.cumsum(common.kept) - 1  # where a gene went when undefined ones were dropped
    return _in_order(common, place[wanted[common.kept[wanted]]], window=window)


def ssim_permuted(
    truth: ArrayLike, predicted: ArrayLike, *, n_orders: int = 100, window: int = 7, rng: RNGLike = 0
) -> PermutedSSIM:
    """Return the SSIM of two correlation matrices over random orders of the genes.

    Parameters
    ----------
    truth, predicted
        Correlation matrices (n_genes, n_genes); undefined genes are left out on both sides, see `drop_undefined`.
    n_orders
        Number of orders, at least 2.
    window
        Side of the window, odd.
    rng
        Seed or generator. Pass the same seed for all models; orders are drawn over all genes before undefined ones are
        left out, so that they stay comparable.

    Returns
    -------
    Mean and standard deviation; NaN where fewer genes than the window are defined on both sides.

    Raises
    ------
    InputError
        If the matrices are smaller than the window, or as `drop_undefined`.

    Examples
    --------
    >>> import numpy as np
    >>> same = np.corrcoef(np.random.default_rng(0).normal(size=(9, 50)))
    >>> ssim_permuted(same, same, n_orders=5, rng=0)
    PermutedSSIM(mean=1.0, sd=0.0)
    """
    check_integer(n_orders, name="n_orders", least=2)
    common = _checked(truth, predicted, window=window)
    generator = as_generator(rng)
    place = np.cumsum(common.kept) - 1
    scores = []
    for _ in range(int(n_orders)):
        order = generator.permutation(len(common.kept))
        scores.append(_in_order(common, place[order[common.kept[order]]], window=window))
    return PermutedSSIM(float(np.mean(scores)), float(np.std(scores, ddof=1)))


def ssim_global(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return the SSIM of all pairs of genes in one window, which no order of the genes can change.

    Means, sample variances and the covariance are taken over the pairs off the diagonal, with a data range of 2.

    Parameters
    ----------
    truth, predicted
        Correlation matrices (n_genes, n_genes); undefined genes are left out on both sides, see `drop_undefined`.

    Returns
    -------
    A number in [-1, 1]; NaN where fewer than three genes are defined on both sides.

    Raises
    ------
    InputError
        As `drop_undefined`.

    Examples
    --------
    >>> import numpy as np
    >>> same = np.corrcoef(np.random.default_rng(0).normal(size=(9, 50)))
    >>> ssim_global(same, same)
    1.0
    """
    common = drop_undefined(truth, predicted)
    if len(common.truth) < 3:
        return float("nan")
    upper = np.triu_indices(len(common.truth), 1)
    x, y = common.truth[upper], common.predicted[upper]
    c1, c2 = constants(DATA_RANGE)
    mx, my = x.mean(), y.mean()
    vx, vy = x.var(ddof=1), y.var(ddof=1)
    vxy = ((x - mx) * (y - my)).sum() / (len(x) - 1)
    return float((2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))


def _checked(truth: ArrayLike, predicted: ArrayLike, *, window: int) -> CommonGenes:
    check_window(window)
    common = drop_undefined(truth, predicted)
    check_fits(len(common.kept), window=window)
    return common


def _in_order(common: CommonGenes, order: np.ndarray, *, window: int) -> float:
    if len(order) < window:
        return float("nan")
    pair = lines(common.truth), lines(common.predicted)
    return mean_ssim_ordered(pair, order.astype(np.int64), int(window), constants(DATA_RANGE))
