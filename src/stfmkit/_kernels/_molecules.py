"""One pass each over molecules: codes, extents, what counts, and sums by cell."""

import numpy as np

from stfmkit._kernels._compiled import compiled

FIRST = 2
"""Column of the first name: name ``g`` has the columns ``2 g + 2`` (genes) and ``2 g + 3`` (controls)."""


@compiled(nogil=True)
def used_entries(index: np.ndarray, n: int) -> np.ndarray:
    """Tell which of the `n` entries of a dictionary an index (m,) points to."""
    used = np.zeros(n, np.bool_)
    for i in range(index.size):
        used[index[i]] = True
    return used


@compiled(nogil=True)
def recode(index: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return ``codes[index]`` (m,)."""
    out = np.empty(index.size, np.int32)
    for i in range(index.size):
        out[i] = codes[index[i]]
    return out


def box_of(x: np.ndarray, y: np.ndarray, unit: float) -> tuple[float, float, float, float]:
    """Return the box (x0, y0, x1, y1) of positions (n,) times `unit`; NaN where one is NaN."""
    low, high = (float(x.min()), float(y.min())), (float(x.max()), float(y.max()))
    return low[0] * unit, low[1] * unit, high[0] * unit, high[1] * unit


@compiled(nogil=True)
def unusable(x: np.ndarray, y: np.ndarray, unit: float, most: float) -> tuple[int, int]:
    """Count positions (n,) that are not finite, and those that are beyond `most` times `unit`."""
    broken, far = 0, 0
    for i in range(x.size):
        u, v = np.float64(x[i]) * unit, np.float64(y[i]) * unit
        if not (np.isfinite(u) and np.isfinite(v)):
            broken += 1
        if abs(u) > most or abs(v) > most:
            far += 1
    return broken, far


@compiled(nogil=True)
def boxes_by_code(x: np.ndarray, y: np.ndarray, unit: float, codes: np.ndarray, n: int) -> np.ndarray:
    """Return the box (n, 4) of the positions of every code; empty codes have infinite boxes, and -1 is left out."""
    box = np.empty((n, 4), np.float64)
    box[:, :2], box[:, 2:] = np.inf, -np.inf
    for i in range(x.size):
        c = codes[i]
        if c >= 0:
            u, v = np.float64(x[i]) * unit, np.float64(y[i]) * unit
            box[c, 0], box[c, 2] = min(box[c, 0], u), max(box[c, 2], u)
            box[c, 1], box[c, 3] = min(box[c, 1], v), max(box[c, 3], v)
    return box


@compiled(nogil=True)
def columns_of(
    gene: np.ndarray, control: np.ndarray, by_name: bool, qv: np.ndarray, min_qv: float, seen: np.ndarray
) -> tuple[np.ndarray, int]:
    """Return the column (n,) that each molecule adds to, -1 where its quality is too low, and the number of these.

    `control` tells which names (`by_name`) or which molecules are controls; `qv` may be empty. Columns that occur,
    whatever the quality, are marked in `seen`.
    """
    out = np.empty(gene.size, np.int32)
    low = 0
    for i in range(gene.size):
        g = gene[i]
        column = FIRST + 2 * g + np.int32(control[g] if by_name else control[i])
        seen[column] = True
        if qv.size and not qv[i] >= min_qv:
            low += 1
            column = np.int32(-1)
        out[i] = column
    return out, low


@compiled(nogil=True)
def without_low(x: np.ndarray, y: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the positions and columns (k,) of the molecules whose column is not negative."""
    u, v, out = np.empty(x.size, x.dtype), np.empty(x.size, y.dtype), np.empty(x.size, columns.dtype)
    n = 0
    for i in range(x.size):
        u[n], v[n], out[n] = x[i], y[i], columns[i]
        n += columns[i] >= 0  # no branch to mispredict
    return u[:n], v[:n], out[:n]


@compiled(nogil=True)
def those_not_low(values: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the values (k,) of the molecules whose column is not negative."""
    out = np.empty(values.size, values.dtype)
    n = 0
    for i in range(values.size):
        out[n] = values[i]
        n += columns[i] >= 0
    return out[:n]


@compiled(nogil=True)
def is_wanted(column: int, drop_controls: bool) -> bool:
    """Tell whether a molecule of this column counts."""
    return column >= 0 and not (drop_controls and column & 1)


@compiled(nogil=True)
def count_kinds(spot: np.ndarray, columns: np.ndarray, drop_controls: bool) -> tuple[int, int]:
    """Return how many molecules are dropped controls, and how many are wanted and in no spot."""
    control, outside = 0, 0
    for i in range(columns.size):
        counts = columns[i] >= 0
        dropped = counts & drop_controls & ((columns[i] & 1) == 1)
        control += dropped
        outside += counts & (not dropped) & (spot[i] < 0)
    return control, outside


@compiled(nogil=True)
def spots_without_cell(spot: np.ndarray, columns: np.ndarray, cell: np.ndarray, drop_controls: bool) -> np.ndarray:
    """Return the spots of the counted molecules that belong to no cell (k,)."""
    out = np.empty(spot.size, np.int64)
    n = 0
    for i in range(spot.size):
        if cell[i] < 0 and spot[i] >= 0 and is_wanted(columns[i], drop_controls):
            out[n] = spot[i]
            n += 1
    return out[:n]


@compiled(nogil=True)
def sum_by_cell(
    x: np.ndarray,
    y: np.ndarray,
    place: tuple[float, float, float, float],
    columns: np.ndarray,
    cell: np.ndarray,
    drop_controls: bool,
    sums: np.ndarray,
) -> None:
    """Add 1 and the position of every counted molecule to the sums (cells, 3), in whole grains from a corner.

    `place` is the unit of the positions, the x and y of the corner, and the number of grains in one µm.
    """
    unit, x0, y0, grains = place
    for i in range(cell.size):
        c = cell[i]
        if c >= 0 and is_wanted(columns[i], drop_controls):
            sums[c, 0] += 1
            sums[c, 1] += np.int64(np.rint((np.float64(x[i]) * unit - x0) * grains))
            sums[c, 2] += np.int64(np.rint((np.float64(y[i]) * unit - y0) * grains))
