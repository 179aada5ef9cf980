"""What makes a result independent of the order of the observations: rows in an order of their own, groups by size."""

import numpy as np
import pandas as pd


def canonical_order(values: np.ndarray) -> np.ndarray:
    """Return rows (n,) in an order that follows from the values (n, d) alone; equal rows are interchangeable.

    Whatever depends on the order of its rows (random starts, sums in floating point, ties) is computed in this one, so
    that a table and its permutation give the same bits.
    """
    plain = pd.DataFrame(np.asarray(values, dtype=np.float64) + 0.0)  # -0.0 equals 0.0, and has other bits
    return np.argsort(pd.util.hash_pandas_object(plain, index=False).to_numpy(), kind="stable")


def numbers_by_size(groups: np.ndarray, n_groups: int) -> np.ndarray:
    """Return the number of every group (n_groups,): 0 is the largest; groups of one size go by their first row."""
    size = np.bincount(groups, minlength=n_groups)
    first = np.full(n_groups, len(groups))
    np.minimum.at(first, groups, np.arange(len(groups)))
    numbers = np.empty(n_groups, dtype=np.int64)
    numbers[np.lexsort((first, -size))] = np.arange(n_groups)
    return numbers
