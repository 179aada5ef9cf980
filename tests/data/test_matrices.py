"""Matrices are read as they are stored, and what is not a count is refused."""

import itertools

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit._data.matrices import check_no_empty, read_counts, read_expression


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array])
def test_counts_are_the_same_from_any_matrix(toy, kind):
    dense = toy.X.toarray()
    toy.layers["c"] = kind(dense)
    counts = read_counts(toy, "c")
    np.testing.assert_array_equal(counts.toarray(), dense)
    assert (counts.data != 0).all()


def test_counts_of_a_row_that_holds_a_gene_twice_are_added_up(toy):
    held = toy.X.tocoo()
    row, column = np.concatenate([held.row, held.row]), np.concatenate([held.col, held.col])
    order = np.argsort(row, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=toy.n_obs))])
    values = np.concatenate([np.full(held.nnz, 200, dtype=np.uint8), np.full(held.nnz, 100, dtype=np.uint8)])
    twice = sparse.csr_matrix((values[order], column[order], indptr), shape=toy.shape)
    toy.layers["twice"] = twice
    before = twice.indices.copy(), twice.data.copy()
    counts = read_counts(toy, "twice")
    assert counts.has_canonical_format
    np.testing.assert_array_equal(counts.toarray(), 300 * (toy.X.toarray() > 0))
    np.testing.assert_array_equal(twice.indices, before[0])
    np.testing.assert_array_equal(twice.data, before[1])


def test_rows_in_any_order_of_genes_are_the_same_counts(toy):
    turned = toy.X.copy()
    for start, stop in itertools.pairwise(turned.indptr):
        turned.indices[start:stop] = turned.indices[start:stop][::-1].copy()
        turned.data[start:stop] = turned.data[start:stop][::-1].copy()
    turned.has_sorted_indices = False
    toy.layers["turned"] = turned
    counts, wanted = read_counts(toy, "turned"), read_counts(toy)
    np.testing.assert_array_equal(counts.indices, wanted.indices)
    np.testing.assert_array_equal(counts.data, wanted.data)


def test_counts_in_half_precision_are_read(toy):
    toy.layers["half"] = toy.X.toarray().astype(np.float16)
    np.testing.assert_array_equal(read_counts(toy, "half").toarray(), toy.X.toarray())


@pytest.mark.parametrize("read", [read_counts, read_expression])
def test_a_matrix_of_objects_is_refused(toy, read):
    toy.layers["objects"] = toy.X.toarray().astype(object)
    with pytest.raises(InputError, match=r"layers\['objects'\] of dtype object"):
        read(toy, "objects")


def test_the_example_shows_that_it_is_not_an_integer(toy):
    matrix = toy.X.astype(np.float64)
    matrix.data[7] = 2.000001
    toy.layers["near"] = matrix
    with pytest.raises(InputError, match=r"for example 2\.000001"):
        read_counts(toy, "near")


@pytest.mark.parametrize(
    ("fault", "text"), [(-1.0, "negative"), (0.5, "not integers"), (np.nan, "NaN"), (np.inf, "infinite")]
)
def test_counts_refuse(toy, fault, text):
    matrix = toy.X.copy()
    matrix.data[7] = fault
    toy.layers["bad"] = matrix
    with pytest.raises(InputError, match=text):
        read_counts(toy, "bad")


def test_counts_drop_stored_zeros_without_touching_the_caller(toy):
    toy.X.data[:5] = 0
    before = toy.X.nnz
    assert read_counts(toy).nnz == before - 5
    assert toy.X.nnz == before


def test_counts_from_backed_file(toy, tmp_path):
    toy.write_h5ad(tmp_path / "a.h5ad")
    backed = ad.read_h5ad(tmp_path / "a.h5ad", backed="r")
    np.testing.assert_array_equal(read_counts(backed).toarray(), toy.X.toarray())
    backed.file.close()


def test_layer_is_suggested(toy):
    toy.layers["counts"] = toy.X
    with pytest.raises(MissingKeyError, match="Did you mean 'counts'"):
        read_counts(toy, "count")


def test_empty_observations_are_named(toy):
    counts = read_counts(toy).tolil()
    counts[4] = 0
    with pytest.raises(InputError, match="spot4"):
        check_no_empty(sparse.csr_array(counts), toy.obs_names)
