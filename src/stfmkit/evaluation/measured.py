"""Measured expression, and how it is brought to the scale that is predicted."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy import sparse

from stfmkit._kernels._normalize import size_factor_log1p

Matrix: TypeAlias = np.ndarray | sparse.csr_array


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """Measured expression of all observations and genes of a table.

    Attributes
    ----------
    matrix
        Counts (n_obs, n_vars), or values as they are.
    scale
        One of `stfmkit.evaluation.expression.SCALES`.
    depth
        Library size of every observation (n_obs,); None where it is not known.
    """

    matrix: Matrix
    scale: str
    depth: np.ndarray | None

    @property
    def counted(self) -> bool:
        """Whether the matrix holds counts."""
        return self.scale != "as_is"

    def scaled(
        self,
        rows: np.ndarray,
        columns: np.ndarray,
        *,
        size_target: np.ndarray,
    ) -> np.ndarray:
        """Return rows and columns on the scale, dense float64.

        Parameters
        ----------
        rows, columns
            Positions of observations and genes.
        size_target
            Library size that every row is scaled to (n_rows,).
        """
        chosen = self.matrix[rows][:, columns]
        if self.scale == "size_factor_log1p" and self.depth is not None:
            depth = self.depth[rows]
            return np.asarray(size_factor_log1p(sparse.csr_array(chosen), depth=depth, target=size_target).toarray())
        dense = np.asarray(chosen.toarray() if sparse.issparse(chosen) else chosen, dtype=np.float64)
        return np.log1p(dense) if self.scale == "log1p" else dense
