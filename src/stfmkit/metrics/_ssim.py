"""Structural similarity of two matrices, and of co-expression, where much of it is the order of the genes."""

from math import isfinite
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from stfmkit._core.arguments import check_integer, check_positive
from stfmkit._core.errors import InputError
from stfmkit._core.random import RNGLike, as_generator
from stfmkit._kernels._ssim import mean_ssim, mean_ssim_ordered
from stfmkit.metrics._arrays import finite, number
from stfmkit.metrics._correlation import CommonGenes, drop_undefined
from stfmkit.metrics._metric import metric

K1, K2 = 0.01, 0.03
"""The constants of Wang et al. 2004."""

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


@metric(
    title="SSIM",
    family="coexpression",
    higher_is_better=True,
    bounds=(-1, 1),
    chance=None,
    source="Wang et al. 2004, IEEE Trans Image Process 13:600",
    summary="Structural similarity of two matrices in windows; depends on the order of rows and columns.",
)
def ssim(a: ArrayLike, b: ArrayLike, *, window: int = 7, data_range: float) -> float:
    """Return the mean structural similarity of two matrices over all windows inside them.

    Equal to ``skimage.metrics.structural_similarity(a, b, win_size=window, data_range=data_range)``: uniform weights,
    sample covariance, K1 = .01, K2 = .03 (Wang et al. 2004, IEEE Trans Image Process 13:600). Computed band by band in
    float64 on all cores, without temporaries of the size of the matrices; the bits do not depend on the number of
    cores.

    Parameters
    ----------
    a, b
        Matrices of one shape.
    window
        Side of the square window, odd, at least 3.
    data_range
        Distance between the smallest and largest value that can occur: 2 for correlations. There is no default,
        because the score depends on it.

    Returns
    -------
    A number in [-1, 1]; 1 for equal matrices.

    Raises
    ------
    InputError
        If shapes differ, a matrix is smaller than the window, the window is even, or a value is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> image = np.arange(64.0).reshape(8, 8) / 64
    >>> sk.metrics.ssim(image, image, data_range=1.0)
    1.0
    """
    check_window(window)
    check_positive(data_range, name="data_range")
    first, second = number(a, name="a"), number(b, name="b")
    if first.shape != second.shape or first.ndim != 2:
        raise InputError(
            f"matrices of shape {first.shape} and {second.shape}.",
            allowed="one shape of rows and columns",
            remedy="compare the same genes, in the same order.",
        )
    check_fits(min(first.shape), window=window)
    score = similarity(first, second, window=window, data_range=data_range)
    if not isfinite(score):  # a value that is not finite spoils every sum it is in, so it is looked for only then
        finite(first, name="a")
        finite(second, name="b")
    return score


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
    >>> import stfmkit as sk
    >>> order = sk.metrics.coexpression_order([[1.0, 0.0, 0.9], [0.0, 1.0, 0.1], [0.9, 0.1, 1.0]])
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


@metric(
    title="SSIM, fixed gene order",
    label="SSIM ordered",
    family="coexpression",
    higher_is_better=True,
    bounds=(-1, 1),
    chance=None,
    source="Wang et al. 2004, IEEE Trans Image Process 13:600",
    summary="Structural similarity of co-expression in the gene order of the training truth.",
)
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
    >>> import stfmkit as sk
    >>> same = np.corrcoef(np.random.default_rng(0).normal(size=(9, 50)))
    >>> sk.metrics.ssim_ordered(same, same, order=sk.metrics.coexpression_order(same))
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


@metric(
    title="SSIM, random gene orders",
    label="SSIM permuted",
    family="coexpression",
    higher_is_better=True,
    bounds=(-1, 1),
    chance=None,
    source="Wang et al. 2004, IEEE Trans Image Process 13:600",
    summary="Mean of the structural similarity of co-expression over random gene orders.",
)
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
    >>> import stfmkit as sk
    >>> same = np.corrcoef(np.random.default_rng(0).normal(size=(9, 50)))
    >>> sk.metrics.ssim_permuted(same, same, n_orders=5, rng=0)
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


@metric(
    title="SD of SSIM over gene orders",
    label="SSIM SD",
    family="coexpression",
    higher_is_better=None,
    bounds=(0, None),
    chance=None,
    source="stfmkit documentation",
    summary="Standard deviation of the structural similarity over random gene orders: how much of it is the order.",
)
def ssim_permuted_sd(
    truth: ArrayLike, predicted: ArrayLike, *, n_orders: int = 100, window: int = 7, rng: RNGLike = 0
) -> float:
    """Return the standard deviation of `ssim_permuted` over random orders of the genes.

    Parameters
    ----------
    truth, predicted, n_orders, window, rng
        As for `ssim_permuted`, which returns the mean too.

    Returns
    -------
    A number of at least 0; NaN where fewer genes than the window are defined on both sides.

    Raises
    ------
    InputError
        As `ssim_permuted`.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> same = np.corrcoef(np.random.default_rng(0).normal(size=(9, 50)))
    >>> sk.metrics.ssim_permuted_sd(same, same, n_orders=5)
    0.0
    """
    return ssim_permuted(truth, predicted, n_orders=n_orders, window=window, rng=rng).sd


@metric(
    title="SSIM, one window",
    label="SSIM global",
    family="coexpression",
    higher_is_better=True,
    bounds=(-1, 1),
    chance=None,
    source="Wang et al. 2004, IEEE Trans Image Process 13:600",
    summary="Structural similarity over all gene pairs at once; no gene order can change it.",
)
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
    >>> import stfmkit as sk
    >>> same = np.corrcoef(np.random.default_rng(0).normal(size=(9, 50)))
    >>> sk.metrics.ssim_global(same, same)
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


def similarity(a: np.ndarray, b: np.ndarray, *, window: int, data_range: float) -> float:
    """Return the mean SSIM of matrices that were checked."""
    if a.flags.f_contiguous and b.flags.f_contiguous:
        a, b = a.T, b.T  # which changes no score
    return mean_ssim(lines(a), lines(b), int(window), constants(data_range))


def lines(values: np.ndarray) -> np.ndarray:
    """Return a matrix row by row, as float32 or float64; it is copied only where it is neither."""
    kind = np.float32 if values.dtype == np.float32 else np.float64
    return np.ascontiguousarray(values, dtype=kind)


def constants(data_range: float) -> tuple[float, float]:
    """Return C1 and C2 of Wang et al. 2004."""
    return (K1 * data_range) ** 2, (K2 * data_range) ** 2


def check_window(window: int) -> None:
    """Refuse a window that is even or smaller than 3."""
    check_integer(window, name="window", least=3)
    if window % 2 == 0:
        raise InputError(f"window={window}.", allowed="an odd number", remedy=f"pass {window - 1} or {window + 1}.")


def check_fits(side: int, *, window: int) -> None:
    """Refuse matrices that no window fits into."""
    if side < window:
        raise InputError(
            f"a matrix of side {side} and window={window}.",
            allowed=f"at least {window} rows and columns",
            remedy="pass more genes, or a smaller window and say so beside the score.",
        )


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
