"""Columns of any matrix, with labels: scipy's conversion as the reference."""

import numpy as np
import pytest
from scipy import sparse

from stfmkit._kernels import _columns
from stfmkit._kernels._columns import over_columns


def read(X, labels):
    """Return every column as (values, labels), zeros left out."""

    def part(span, block):
        found = []
        for c in range(*span):
            at = slice(block.starts[c], block.starts[c + 1])
            keep = block.values[at] != 0
            found.append((block.values[at][keep].tolist(), block.labels[at][keep].tolist()))
        return found

    return [column for found in over_columns(X, labels, part) for column in found]


@pytest.mark.parametrize("most", [1, 7, 1 << 25])
@pytest.mark.parametrize("as_", [np.asarray, sparse.csr_array, sparse.csc_array])
def test_columns_are_whole_and_in_order_whatever_the_block(rng, as_, most, monkeypatch):
    monkeypatch.setattr(_columns, "_LEAST_BLOCK", most)
    monkeypatch.setattr(_columns, "_SHARE", 1 << 30)
    monkeypatch.setattr(_columns, "_DENSE_COLUMNS", min(most, 64))
    X = sparse.random_array((40, 9), density=0.3, rng=rng).toarray()
    X[:, 4] = 0
    labels = rng.integers(0, 5, size=40).astype(np.uint16)
    expected = [(c[c != 0].tolist(), labels[c != 0].tolist()) for c in X.T]
    assert read(as_(X), labels) == expected


def test_without_labels_the_place_of_every_value_is_kept(rng):
    X = sparse.random_array((30, 6), density=0.4, rng=rng, format="csr")
    for values, places in read(X, None):
        assert X.data[places].tolist() == values


def test_rows_without_sorted_indices_are_read_and_left_alone():
    X = sparse.csr_array((np.array([2.0, 1.0, 3.0]), np.array([2, 0, 1]), np.array([0, 2, 3])), shape=(2, 3))
    assert read(X, np.array([7, 8])) == [([1.0], [7]), ([3.0], [8]), ([2.0], [7])]
    assert X.indices.tolist() == [2, 0, 1]


def test_integers_are_read_as_floats():
    assert read(np.array([[3, 0], [1, 2]]), np.array([0, 1])) == [([3.0, 1.0], [0, 1]), ([2.0], [1])]
    with pytest.raises(TypeError, match="CSR"):
        read(np.ones((2, 2)), None)


def test_plain_python_twin_agrees(rng):
    X = sparse.random_array((6, 4), density=0.5, rng=rng, format="csr")
    csc = X.tocsc()
    csr = X.indptr.astype(np.uint64), X.indices.astype(np.uint32), X.data
    out, labels = (np.empty(X.nnz), np.empty(X.nnz, int)), np.arange(6)
    cursors = csr[0][:-1].copy(), csc.indptr[:-1].astype(np.uint64)
    _columns._turn.py_func((0, 6), (np.uint32(0), np.uint32(4)), csr, cursors, labels, out)
    np.testing.assert_array_equal(out[0], csc.data)
    np.testing.assert_array_equal(out[1], csc.indices)
