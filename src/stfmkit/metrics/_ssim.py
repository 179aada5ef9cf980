"""Structural similarity of two matrices."""

from math import isfinite

import numpy as np
from numpy.typing import ArrayLike

from stfmkit._core.arguments import check_integer, check_positive
from stfmkit._core.errors import InputError
from stfmkit._kernels._ssim import mean_ssim
from stfmkit.metrics._checks import finite, number

K1, K2 = 0.01, 0.03
"""The constants of Wang et al. 2004."""


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
    >>> image = np.arange(64.0).reshape(8, 8) / 64
    >>> ssim(image, image, data_range=1.0)
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
