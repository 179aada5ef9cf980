"""AUROC of every column for many groupings of the same rows: ranked once, summed often."""

from typing import NamedTuple, Self

import numpy as np
from scipy import sparse, stats

from stfmkit._kernels._ranks import shifted_ranks


class Ranked(NamedTuple):
    """Mid-ranks of the columns of a matrix.

    Attributes
    ----------
    shifted
        Rank minus `zero` (n_obs, n_columns); sparse where the values are, because zeros stay zero.
    zero
        What was taken off every column (n_columns,).
    """

    shifted: np.ndarray | sparse.csr_array
    zero: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray | sparse.csr_array) -> Self:
        """Rank every column of `values` (n_obs, n_columns)."""
        n, columns = values.shape
        if isinstance(values, np.ndarray):
            return cls(stats.rankdata(values, axis=0), np.zeros(columns))
        shifted = shifted_ranks(values)
        total = np.asarray(shifted.sum(axis=0)).ravel()
        return cls(shifted, ((n * (n + 1)) / 2 - total) / n)

    def auroc(self, codes: np.ndarray, n_groups: int) -> np.ndarray:
        """Return the AUROC of every group against all other rows (n_groups, n_columns); NaN for none or all of them.

        `codes` holds the group of every row; rows of no group have -1.
        """
        rows = np.flatnonzero(codes >= 0)
        member = sparse.csr_array((np.ones(len(rows)), (codes[rows], rows)), shape=(n_groups, len(codes)))
        product = member @ self.shifted
        sums = product if isinstance(product, np.ndarray) else product.toarray()
        size = np.bincount(codes[rows], minlength=n_groups).astype(np.float64)[:, None]
        u = sums + size * self.zero - size * (size + 1) / 2
        pairs = size * (len(codes) - size)
        out = np.full(u.shape, np.nan)
        np.divide(u, pairs, out=out, where=pairs > 0)
        return out
