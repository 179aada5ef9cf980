"""Products of one matrix with another whose genes are permuted, for many permutations."""

import numpy as np
from numba import njit

from stfmkit._kernels._threads import over_spans


@njit(cache=True, nogil=True)
def _products(x: np.ndarray, y: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Return ``Σ x[i, j] y[o[i], o[j]]`` over the pairs i < j, for every order o (n_orders,)."""
    out = np.zeros(len(orders))
    for at in range(len(orders)):
        order = orders[at]
        total = 0.0
        for i in range(len(order)):
            left, right = x[i], y[order[i]]
            for j in range(i + 1, len(order)):
                total += left[j] * right[order[j]]
        out[at] = total
    return out


def permuted_products(x: np.ndarray, y: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Return the sum of products over the pairs of genes, with `y` in every order (n_orders,).

    Parameters
    ----------
    x, y
        Symmetric matrices (n_genes, n_genes), float64.
    orders
        Permutations (n_orders, n_genes), unsigned integers.
    """
    parts = over_spans(lambda start, stop: _products(x, y, orders[start:stop]), len(orders))
    return np.concatenate(parts)
