"""Mean structural similarity of two matrices, tile by tile, without temporaries of their size."""

import numpy as np
from numba import njit

_TILE_ROWS = 64  # sums slide down a tile and start afresh in the next one, so that rounding cannot build up
_TILE_COLS = 512  # the buffers of a tile stay in the first cache


@njit(cache=True)
def _slide(a: np.ndarray, b: np.ndarray, sums: np.ndarray, sign: float) -> None:
    """Add (or take away) one row of values, squares and products to the column sums of a tile."""
    for j in range(sums.shape[1]):
        x, y = a[j], b[j]
        sums[0, j] += sign * x
        sums[1, j] += sign * y
        sums[2, j] += sign * x * x
        sums[3, j] += sign * y * y
        sums[4, j] += sign * x * y


@njit(cache=True)
def _row_total(sums: np.ndarray, flat: np.ndarray, window: int, constants: tuple[float, float]) -> float:
    """Return the sum of SSIM over one row of windows of a tile, from its column sums."""
    width = flat.shape[1]
    flat[:] = 0.0
    for s in range(5):
        for k in range(window):
            for j in range(width):
                flat[s, j] += sums[s, j + k]
    c1, c2 = constants
    area = window * window
    sample = area / (area - 1.0)
    total = 0.0
    for j in range(width):
        mx, my = flat[0, j] / area, flat[1, j] / area
        vx = sample * (flat[2, j] / area - mx * mx)
        vy = sample * (flat[3, j] / area - my * my)
        vxy = sample * (flat[4, j] / area - mx * my)
        top = (2.0 * mx * my + c1) * (2.0 * vxy + c2)
        total += top / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return total


@njit(cache=True)
def mean_ssim(a: np.ndarray, b: np.ndarray, window: int, constants: tuple[float, float]) -> float:
    """Return the mean SSIM over all square windows that lie inside two matrices.

    Uniform weights and sample covariances, as in Wang et al. 2004 (IEEE Trans Image Process 13:600).

    Parameters
    ----------
    a, b
        C-contiguous float64 matrices of one shape, finite.
    window
        Side of the window, odd, at least 3 and at most the smaller side.
    constants
        C1 and C2, ``(0.01 * range)²`` and ``(0.03 * range)²``.
    """
    rows, cols = a.shape[0] - window + 1, a.shape[1] - window + 1
    total = 0.0
    for left in range(0, cols, _TILE_COLS):
        width = min(_TILE_COLS, cols - left)
        part = slice(left, left + width + window - 1)
        sums = np.empty((5, width + window - 1))
        flat = np.empty((5, width))
        for top in range(0, rows, _TILE_ROWS):
            sums[:] = 0.0
            for row in range(top, top + window):
                _slide(a[row, part], b[row, part], sums, 1.0)
            total += _row_total(sums, flat, window, constants)
            for row in range(top + 1, min(top + _TILE_ROWS, rows)):
                _slide(a[row - 1, part], b[row - 1, part], sums, -1.0)
                _slide(a[row + window - 1, part], b[row + window - 1, part], sums, 1.0)
                total += _row_total(sums, flat, window, constants)
    return total / (rows * cols)
