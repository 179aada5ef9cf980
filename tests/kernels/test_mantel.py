"""Products under permutations: fancy indexing as the reference."""

import numpy as np

from stfmkit._kernels import _mantel
from stfmkit._kernels._mantel import permuted_products


def test_products_equal_the_rearranged_matrix(rng):
    x, y = rng.normal(size=(2, 9, 9))
    x, y = x + x.T, y + y.T
    orders = np.array([rng.permutation(9) for _ in range(40)], dtype=np.uint32)
    upper = np.triu_indices(9, 1)
    expected = [(x[upper] * y[np.ix_(o, o)][upper]).sum() for o in orders]
    np.testing.assert_allclose(permuted_products(x, y, orders), expected, atol=1e-12)
    np.testing.assert_allclose(_mantel._products.py_func(x, y, orders), expected, atol=1e-12)


def test_the_number_of_threads_changes_no_bit(rng, monkeypatch):
    x, y = rng.normal(size=(2, 20, 20))
    orders = np.array([rng.permutation(20) for _ in range(33)], dtype=np.uint32)
    expected = permuted_products(x, y, orders)
    monkeypatch.setattr("stfmkit._kernels._threads.n_threads", lambda: 1)
    np.testing.assert_array_equal(permuted_products(x, y, orders), expected)
