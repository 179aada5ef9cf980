"""Equal rows have equal hashes, and other rows others."""

import numpy as np
from scipy import sparse

from stfmkit._kernels._row_hash import row_hashes


def test_equal_rows_only(rng):
    dense = rng.poisson(0.3, size=(4000, 30))
    dense[17] = dense[3999]
    hashes = row_hashes(sparse.csr_array(dense))
    _, first = np.unique(dense, axis=0, return_inverse=True)
    _, second = np.unique(hashes, return_inverse=True)
    assert (
        len(np.unique(first)) == len(np.unique(second)) == len(np.unique(np.stack([first.ravel(), second], 1), axis=0))
    )


def test_order_of_entries_and_dtype_do_not_matter():
    matrix = sparse.csr_array(np.array([[0, 2, 3], [1, 0, 0]]))
    swapped = matrix.copy().astype(np.float32)
    swapped.indices[:2] = swapped.indices[:2][::-1].copy()
    swapped.data[:2] = swapped.data[:2][::-1].copy()
    np.testing.assert_array_equal(row_hashes(matrix), row_hashes(swapped))


def test_gene_and_count_are_told_apart():
    hashes = row_hashes(sparse.csr_array(np.array([[2, 1], [1, 2], [0, 3], [3, 0], [0, 0]])))
    assert len(np.unique(hashes)) == 5
