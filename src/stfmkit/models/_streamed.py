"""A table on disk, or of dask arrays, that is read part by part."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from stfmkit.models.contract import Block


@dataclass(frozen=True, eq=False)
class StreamedBlock:
    """A block whose counts stay where they are until a part is taken.

    Attributes
    ----------
    frame
        Everything but the counts.
    read
        Returns the checked counts of some rows.
    """

    frame: Block
    read: Callable[[np.ndarray], sparse.csr_array]

    @property
    def n_obs(self) -> int:
        """Number of observations."""
        return self.frame.n_obs

    @property
    def samples(self) -> np.ndarray:
        """Integer code of the sample of every observation (n_obs,)."""
        return self.frame.samples

    @property
    def counts(self) -> Callable[[np.ndarray], sparse.csr_array]:
        """What gives counts; there are some."""
        return self.read

    @property
    def coords(self) -> np.ndarray | None:
        """Coordinates (n_obs, 2), or None."""
        return self.frame.coords

    @property
    def composition(self) -> np.ndarray | None:
        """Share of every cell type (n_obs, n_types), or None."""
        return self.frame.composition

    def take(self, rows: np.ndarray) -> Block:
        """Return the block of some rows, with its counts in memory."""
        return replace(self.frame.take(rows), counts=self.read(rows))
