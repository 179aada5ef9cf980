"""Where the cells of one sample lie, summed over their molecules."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from stfmkit._kernels._molecules import sum_by_cell

GRAIN = 65536.0
"""Steps in one µm: positions of cells are sums of whole numbers, so that the order does not matter."""


@dataclass(eq=False)
class CellSums:
    """Molecules, and sums of their positions from a corner, of every cell.

    Attributes
    ----------
    sums
        Number of molecules, and steps in x and in y (k, 3).
    keys
        Cells by their place in `sums`; ``None`` where codes of cells are these places.
    """

    sums: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), dtype=np.int64))
    keys: dict[int, int] | None = None

    def places(self, cell: np.ndarray) -> np.ndarray:
        """Return the place in `sums` of every cell (n,), -1 for none."""
        if cell.dtype == np.int32 and self.keys is None:
            self._grow(int(cell.max(initial=-1)) + 1)
            return cell
        if self.keys is None:
            self.keys = {}
        codes, different = pd.factorize(cell)
        known = self.keys
        found = [-1 if key < 0 else known.setdefault(key, len(known)) for key in different.tolist()]
        self._grow(len(known))
        return np.asarray(found, dtype=np.int32)[codes]

    def add(
        self,
        cell: np.ndarray,
        places: tuple[np.ndarray, np.ndarray],
        columns: np.ndarray,
        *,
        unit: float,
        corner: tuple[float, float],
        drop: bool,
    ) -> None:
        """Add molecules (n,) of these cells, at places in units of `unit` µm."""
        sum_by_cell(*places, (unit, *corner, GRAIN), columns, self.places(cell), drop, self.sums)

    def absorb(self, other: "CellSums", cells: np.ndarray, fovs: np.ndarray) -> None:
        """Add the cells of another table; `cells` and `fovs` are the codes here of the codes there."""
        if other.keys is None:
            there = np.flatnonzero(other.sums[:, 0])
            mine = cells[there].astype(np.int32 if self.keys is None else np.int64)
        else:
            keys = np.fromiter(other.keys, np.int64, len(other.keys))
            there = np.arange(len(keys))
            fov = keys >> 32
            moved = np.append(fovs + 1, 0)[fov - 1]  # field 0 is none, and stays so
            mine = (moved << 32) | cells[keys & 0xFFFFFFFF]
        if len(there):
            place = self.places(mine)
            self.sums[place] += other.sums[there]

    def positions(self, corner: tuple[float, float]) -> np.ndarray:
        """Return the mean position (k, 2) of the cells that have molecules."""
        sums = self.sums[self.sums[:, 0] > 0]
        return sums[:, 1:] / sums[:, :1] / GRAIN + np.array(corner)

    def _grow(self, n: int) -> None:
        if n > len(self.sums):
            more = np.zeros((max(n, 2 * len(self.sums)) - len(self.sums), 3), dtype=np.int64)
            self.sums = np.concatenate([self.sums, more])
