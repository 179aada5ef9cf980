"""Structural similarity of two matrices."""

import numpy as np
from numpy.typing import ArrayLike

from stfmkit._errors import InputError
from stfmkit._kernels._ssim import mean_ssim
from stfmkit._validate import check_integer, check_positive
from stfmkit.metrics._checks import table

K1, K2 = 0.01, 0.03
"""The constants of Wang et al. 2004."""


def ssim(a: ArrayLike, b: ArrayLike, *, window: int = 7, data_range: float) -> float:
    """Return the mean structural similarity of two matrices over all windows inside them.

    Equal to ``skimage.metrics.structural_similarity(a, b, win_size=window, data_range=data_range)``: uniform weights,
    sample covariance, K1 = .01, K2 = .03 (Wang et al. 2004, IEEE Trans Image Process 13:600). Computed tile by tile in
    float64, without temporaries of the size of the matrices.

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
    first, second = table(a, name="a"), table(b, name="b")
    if first.shape != second.shape:
        raise InputError(
            f"matrices of shape {first.shape} and {second.shape}.",
            allowed="one shape",
            remedy="compare the same genes, in the same order.",
        )
    check_fits(min(first.shape), window=window)
    return similarity(first, second, window=window, data_range=data_range)


def similarity(a: np.ndarray, b: np.ndarray, *, window: int, data_range: float) -> float:
    """Return the mean SSIM of matrices that were checked."""
    first, second = np.ascontiguousarray(a, dtype=np.float64), np.ascontiguousarray(b, dtype=np.float64)
    return float(mean_ssim(first, second, int(window), ((K1 * data_range) ** 2, (K2 * data_range) ** 2)))


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
