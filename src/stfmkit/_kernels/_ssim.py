"""Mean structural similarity of two matrices, band by band, without temporaries of their size."""

from typing import TypeAlias

import numpy as np

from stfmkit._kernels._compiled import compiled
from stfmkit._kernels._threads import over_spans

_RESTART = 96  # sums slide down this many rows and start afresh, so that rounding cannot build up
_TILE_COLS = 512  # the buffers of a tile stay in the first cache
_BAND = 64  # rows of windows at a time where genes are put in order
_SHORT = 250_000  # windows, at about 6 ns each

Constants: TypeAlias = tuple[float, float]
Kind: TypeAlias = tuple[int, Constants]
Pair: TypeAlias = tuple[np.ndarray, np.ndarray]


@compiled(nogil=True)
def _begin(a: np.ndarray, b: np.ndarray, sums: np.ndarray) -> None:
    """Set the column sums of a tile to those of a few rows: values, sums of squares, and products."""
    first, second, squares, products = sums[0], sums[1], sums[2], sums[3]
    sums[:] = 0.0
    for row in range(a.shape[0]):
        left, right = a[row], b[row]
        for j in range(sums.shape[1]):
            x, y = np.float64(left[j]), np.float64(right[j])
            first[j] += x
            second[j] += y
            squares[j] += x * x + y * y
            products[j] += x * y


@compiled(nogil=True)
def _slide(new: tuple[np.ndarray, np.ndarray], old: tuple[np.ndarray, np.ndarray], sums: np.ndarray) -> None:
    """Add one row to the column sums of a tile, and take another away."""
    first, second, squares, products = sums[0], sums[1], sums[2], sums[3]
    (a, b), (c, d) = new, old
    for j in range(sums.shape[1]):
        x, y, u, v = np.float64(a[j]), np.float64(b[j]), np.float64(c[j]), np.float64(d[j])
        first[j] += x - u
        second[j] += y - v
        squares[j] += (x * x + y * y) - (u * u + v * v)
        products[j] += x * y - u * v


@compiled(nogil=True)
def _across(line: np.ndarray, window: int, flat: np.ndarray) -> None:
    """Write the sum of `window` neighbours in `line` to every place of `flat`."""
    width = len(flat)
    if window == 7:
        p0, p1, p2, p3 = line[0:], line[1:], line[2:], line[3:]
        p4, p5, p6 = line[4:], line[5:], line[6:]
        for j in range(width):
            flat[j] = ((p0[j] + p1[j]) + (p2[j] + p3[j])) + ((p4[j] + p5[j]) + p6[j])
        return
    flat[:] = 0.0
    for k in range(window):
        part = line[k:]
        for j in range(width):
            flat[j] += part[j]


@compiled(nogil=True, error_model="numpy")
def _add_scores(flat: np.ndarray, window: int, constants: Constants, scores: np.ndarray) -> None:
    """Add the SSIM of one row of windows of a tile, column by column, from the sums of the windows."""
    first, second, squares, products = flat[0], flat[1], flat[2], flat[3]
    c1, c2 = constants
    part = 1.0 / (window * window)
    sample = window * window / (window * window - 1.0)
    for j in range(len(scores)):
        mx, my = first[j] * part, second[j] * part
        cross, both = mx * my, mx * mx + my * my
        top = (2.0 * cross + c1) * (2.0 * sample * (products[j] * part - cross) + c2)
        scores[j] += top / ((both + c1) * (sample * (squares[j] * part - both) + c2))


@compiled(nogil=True)
def band_total(a: np.ndarray, b: np.ndarray, rows: tuple[int, int], kind: Kind) -> float:
    """Return the sum of SSIM over the windows that begin in a span of rows; the order of the sums is fixed."""
    window, constants = kind
    cols = a.shape[1] - window + 1
    total = 0.0
    for left in range(0, cols, _TILE_COLS):
        width = min(_TILE_COLS, cols - left)
        part = slice(left, left + width + window - 1)
        sums, flat = np.empty((4, width + window - 1)), np.empty((4, width))
        scores = np.zeros(width)
        for row in range(rows[0], rows[1]):
            if (row - rows[0]) % _RESTART == 0:
                _begin(a[row : row + window, part], b[row : row + window, part], sums)
            else:
                below, above = row + window - 1, row - 1
                _slide((a[below, part], b[below, part]), (a[above, part], b[above, part]), sums)
            for s in range(4):
                _across(sums[s], window, flat[s])
            _add_scores(flat, window, constants, scores)
        total += scores.sum()
    return total


@compiled(nogil=True)
def _arrange(matrix: np.ndarray, order: np.ndarray, first: int, out: np.ndarray) -> None:
    """Write rows of a matrix whose rows and columns follow `order`, from `first` on, with a diagonal of 0."""
    for row in range(out.shape[0]):
        source, target = matrix[order[first + row]], out[row]
        for j in range(len(order)):
            target[j] = source[order[j]]
        target[first + row] = 0.0


@compiled(nogil=True)
def ordered_total(pair: Pair, order: np.ndarray, rows: tuple[int, int], kind: Kind) -> float:
    """Return `band_total` of two square matrices in the given order with a diagonal of 0, a few rows at a time."""
    window, total, n = kind[0], 0.0, len(order)
    first, second = np.empty((_BAND + window - 1, n)), np.empty((_BAND + window - 1, n))
    for top in range(rows[0], rows[1], _BAND):
        height = min(_BAND, rows[1] - top)
        a, b = first[: height + window - 1], second[: height + window - 1]
        _arrange(pair[0], order, top, a)
        _arrange(pair[1], order, top, b)
        total += band_total(a, b, (0, height), kind)
    return total


def mean_ssim(a: np.ndarray, b: np.ndarray, window: int, constants: Constants) -> float:
    """Return the mean SSIM over all square windows that lie inside two matrices.

    Uniform weights and sample covariances, as in Wang et al. 2004 (IEEE Trans Image Process 13:600). On all cores,
    with the same bits whatever their number.

    Parameters
    ----------
    a, b
        C-contiguous matrices of one shape, float32 or float64, finite; sums are float64.
    window
        Side of the window, odd, at least 3 and at most the smaller side.
    constants
        C1 and C2, ``(0.01 * range)²`` and ``(0.03 * range)²``.
    """
    rows, cols = a.shape[0] - window + 1, a.shape[1] - window + 1
    short = rows * cols < _SHORT
    parts = over_spans(lambda start, stop: band_total(a, b, (start, stop), (window, constants)), rows, short=short)
    return float(sum(parts)) / (rows * cols)


def mean_ssim_ordered(pair: Pair, order: np.ndarray, window: int, constants: Constants) -> float:
    """Return `mean_ssim` of two square matrices with rows and columns in `order` and a diagonal of 0.

    The matrices in their new order never exist as a whole.

    Parameters
    ----------
    pair
        C-contiguous matrices (n, n), as in `mean_ssim`.
    order
        The rows and columns that are compared, in their order (m,), int64.
    window, constants
        As in `mean_ssim`.
    """
    rows = len(order) - window + 1
    kind, short = (window, constants), rows * rows < _SHORT
    parts = over_spans(lambda start, stop: ordered_total(pair, order, (start, stop), kind), rows, short=short)
    return float(sum(parts)) / rows**2
