"""Weights in obsp never connect samples."""

import numpy as np
import pytest
from scipy import sparse

from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError
from stfmkit._data.columns import read_groups
from stfmkit._data.graphs import read_graph


@pytest.fixture
def samples(toy):
    return read_groups(toy, "sample", role="sample_key")


@pytest.fixture
def dense(toy, rng):
    """Weights within the samples of forty observations each, and an explicit oracle of them."""
    weights = rng.random((toy.n_obs, toy.n_obs)) * (rng.random((toy.n_obs, toy.n_obs)) < 0.1)
    for i in range(toy.n_obs):
        for j in range(toy.n_obs):
            if i // 40 != j // 40:
                weights[i, j] = 0
    return weights


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, np.asarray])
def test_weights_are_read_from_any_matrix(toy, dense, samples, kind):
    toy.obsp["near"] = kind(dense)
    graph = read_graph(toy, "near", samples=samples, sample_key="sample")
    np.testing.assert_array_equal(graph.toarray(), dense)
    rows = np.array([7, 3, 100])
    part = read_graph(toy, "near", samples=samples, sample_key="sample", rows=rows)
    np.testing.assert_array_equal(part.toarray(), dense[np.ix_(rows, rows)])


def test_one_edge_between_samples_is_refused(toy, dense, samples):
    dense[0, 239] = 0.5
    toy.obsp["near"] = sparse.csr_matrix(dense)
    with pytest.raises(InputError, match=r"1 edges between samples(?s:.)*sample_key='sample'"):
        read_graph(toy, "near", samples=samples, sample_key="sample")
    assert read_graph(toy, "near", samples=None, sample_key=None).nnz == np.count_nonzero(dense)


def test_a_stored_zero_is_no_edge_and_stays_in_the_table(toy, dense, samples):
    edges = sparse.coo_matrix(dense)
    row, column = np.append(edges.row, 0), np.append(edges.col, 239)
    toy.obsp["near"] = sparse.csr_matrix((np.append(edges.data, 0.0), (row, column)), shape=dense.shape)
    before = toy.obsp["near"].nnz
    assert read_graph(toy, "near", samples=samples, sample_key="sample").nnz == before - 1
    assert toy.obsp["near"].nnz == before


def test_what_is_no_graph_is_refused(toy, dense, samples):
    toy.obsp["near"] = sparse.csr_matrix(dense)
    with pytest.raises(MissingKeyError, match="Did you mean 'near'"):
        read_graph(toy, "naer", samples=samples, sample_key="sample")
    dense[3, 4] = np.nan
    toy.obsp["holes"] = sparse.csr_matrix(dense)
    with pytest.raises(InputError, match="1 NaN or infinite weights"):
        read_graph(toy, "holes", samples=samples, sample_key="sample")
    toy.obsp["complex"] = sparse.csr_matrix(dense.astype(complex))
    with pytest.raises(InputTypeError, match="complex128"):
        read_graph(toy, "complex", samples=samples, sample_key="sample")
