"""Binary rasters: mark positions, close gaps, measure how much of a spot lies inside."""

import numpy as np

from stfmkit._kernels._compiled import compiled
from stfmkit._kernels._molecules import is_wanted

_BLOCK = 1024


@compiled()
def mark(raster: np.ndarray, x: np.ndarray, y: np.ndarray, frame: tuple[float, float, float]) -> None:
    """Set the pixels (rows = y, columns = x) of a boolean raster that hold a position.

    `frame` is the least x and y of the raster and the side of a pixel.
    """
    x0, y0, pixel = frame
    for i in range(x.size):
        raster[int(np.floor((y[i] - y0) / pixel)), int(np.floor((x[i] - x0) / pixel))] = True


@compiled(nogil=True, error_model="numpy")
def mark_wanted(
    raster: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    frame: tuple[float, float, float, float],
    columns: np.ndarray,
    drop_controls: bool,
) -> None:
    """Set the pixels that hold a molecule that counts.

    `frame` is the unit of the positions, the least x and y of the raster, and the side of a pixel.
    """
    unit, x0, y0, pixel = frame
    flat, width = raster.reshape(-1), np.float64(raster.shape[1])
    block = np.empty(_BLOCK, np.float64)
    for low in range(0, x.size, _BLOCK):
        n = min(_BLOCK, x.size - low)
        for i in range(n):
            row = np.floor((np.float64(y[low + i]) * unit - y0) / pixel)
            block[i] = row * width + np.floor((np.float64(x[low + i]) * unit - x0) / pixel)
        for i in range(n):
            flat[np.int64(block[i])] |= is_wanted(columns[low + i], drop_controls)  # no branch to mispredict


@compiled()
def dilate(raster: np.ndarray, radius: float) -> np.ndarray:
    """Return the pixels whose centre lies within `radius` pixels of the centre of a set pixel."""
    rows, cols = raster.shape
    reach = int(np.floor(radius))
    half = np.empty(2 * reach + 1, np.int16)
    for d in range(-reach, reach + 1):
        half[d + reach] = np.int16(np.floor(np.sqrt(radius * radius - d * d)))
    far = np.int16(32000)
    gap = np.empty((rows, cols), np.int16)  # distance along the row to the nearest set pixel
    for r in range(rows):
        last = far
        for c in range(cols):
            last = np.int16(0) if raster[r, c] else np.int16(min(last + 1, far))
            gap[r, c] = last
        last = far
        for c in range(cols - 1, -1, -1):
            last = np.int16(0) if raster[r, c] else np.int16(min(last + 1, far))
            gap[r, c] = min(gap[r, c], last)
    out = np.zeros((rows, cols), np.bool_)
    for r in range(rows):
        for d in range(max(-reach, -r), min(reach, rows - 1 - r) + 1):
            near = half[d + reach]
            for c in range(cols):  # without a branch, so that it runs on many pixels at a time
                out[r, c] |= gap[r + d, c] <= near
    return out


def close(raster: np.ndarray, radius: float) -> np.ndarray:
    """Return the union of discs around the set pixels, shrunk by the same radius (a morphological closing)."""
    return ~dilate(~dilate(raster, radius), radius)


@compiled()
def share_inside(
    raster: np.ndarray, centers: np.ndarray, offsets: np.ndarray, frame: tuple[float, float, float]
) -> np.ndarray:
    """Return for every centre (n, 2) the share of the sample points (k, 2) around it that fall on set pixels."""
    x0, y0, pixel = frame
    share = np.empty(len(centers), np.float64)
    for i in range(len(centers)):
        hits = 0
        for k in range(len(offsets)):
            r = int(np.floor((centers[i, 1] + offsets[k, 1] - y0) / pixel))
            c = int(np.floor((centers[i, 0] + offsets[k, 0] - x0) / pixel))
            if 0 <= r < raster.shape[0] and 0 <= c < raster.shape[1] and raster[r, c]:
                hits += 1
        share[i] = hits / len(offsets)
    return share
