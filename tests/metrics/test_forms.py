"""Every metric gives the same from any matrix that it takes, and says what to do with one that it does not take."""

import ast
import inspect
from pathlib import Path

import anndata as ad
import dask.array as da
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from tests.metrics.calls import ARGUMENTS, CALLS, GRAPH, NO_MATRIX, score

import stfmkit as sk
from stfmkit._core.errors import InputError, InputTypeError


def unsorted(values):
    """Columns of every row from the last to the first, and every value as the sum of two."""
    rows, columns = np.nonzero(values)
    order = np.lexsort((-columns, rows)).repeat(2)
    indptr = np.append(0, np.bincount(rows, minlength=len(values)).cumsum()) * 2
    return sparse.csr_array((values[rows, columns][order] / 2, columns[order], indptr), shape=values.shape)


def stored_zeros(values):
    every = np.indices(values.shape)[1].ravel()
    ends = np.arange(len(values) + 1) * values.shape[1]
    return sparse.csr_array((values.ravel(), every, ends), shape=values.shape)


SPARSE = {
    "csr matrix": sparse.csr_matrix,
    "csr array": sparse.csr_array,
    "csc matrix": sparse.csc_matrix,
    "csc array": sparse.csc_array,
    "csr unsorted": unsorted,
    "csr with stored zeros": stored_zeros,
    "dask csr": lambda values: da.from_array(values, chunks=(50, values.shape[1])).map_blocks(sparse.csr_matrix),
    "backed csr": sparse.csr_matrix,
    "backed csc": sparse.csc_matrix,
}
DENSE = {
    "fortran": np.asfortranarray,
    "dask dense": lambda values: da.from_array(values, chunks=(50, 1)),
    "backed dense": np.asarray,
}


def leaves(result):
    if isinstance(result, (tuple, dict)):
        parts = result.values() if isinstance(result, dict) else result
        return [leaf for part in parts for leaf in leaves(part)]
    if isinstance(result, pd.DataFrame):
        return [result[name].to_numpy() for name in result.columns]
    return [np.asarray(result)]


def same(one, two):
    """Compare two results, exact but for the order of the sums."""
    assert len(leaves(one)) == len(leaves(two)) > 0
    for a, b in zip(leaves(one), leaves(two), strict=True):
        if b.dtype.kind == "f":
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)
        else:
            assert a.tolist() == b.tolist()


@pytest.fixture(scope="module")
def as_form(tmp_path_factory):
    """Return a function that brings a matrix to a form; those in files are written once, and closed in the end."""
    folder, files = tmp_path_factory.mktemp("forms"), {}

    def convert(values, form):
        made = (SPARSE | DENSE)[form](values)
        if not form.startswith("backed"):
            return made
        if (id(values), form) not in files:
            path = folder / f"{len(files)}.h5ad"
            ad.AnnData(made).write_h5ad(path)
            files[id(values), form] = ad.read_h5ad(path, backed="r")
        return files[id(values), form].X

    yield convert
    for file in files.values():
        file.file.close()


@pytest.fixture(scope="module")
def plain():
    """Return a function that gives the result of a metric on dense matrices and a CSR graph, computed once."""
    known = {}

    def result(name):
        if name not in known:
            known[name] = score(name)
        return known[name]

    return result


def test_every_public_function_is_in_the_table():
    stub = Path(sk.metrics.__file__).with_suffix(".pyi")
    names = {alias.name for node in ast.parse(stub.read_text()).body for alias in getattr(node, "names", ())}
    functions = {name for name in names if inspect.isfunction(getattr(sk.metrics, name))}
    assert functions == set(CALLS) | NO_MATRIX
    assert not set(CALLS) & NO_MATRIX
    assert {name for name, _ in ARGUMENTS} == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_the_table_asks_for_numbers(name, plain):
    numbers = [leaf for leaf in leaves(plain(name)) if leaf.dtype.kind in "iubf" and leaf.size]
    assert any(np.isfinite(leaf).any() for leaf in numbers)


@pytest.mark.parametrize(("name", "key"), [pair for pair in ARGUMENTS if pair[1] != "graph"])
def test_dense_forms_give_the_same(name, key, as_form, plain):
    for form in DENSE:
        same(score(name, **{key: as_form(CALLS[name][key], form)}), plain(name))


@pytest.mark.parametrize(("name", "key"), [pair for pair in ARGUMENTS if pair[1] in {"X", "graph"}])
def test_sparse_forms_give_the_same(name, key, as_form, plain):
    for form in SPARSE:
        given = as_form(CALLS[name][key], form)
        before = given.copy() if sparse.issparse(given) else None
        same(score(name, **{key: given}), plain(name))
        if before is not None:  # nothing is sorted or summed in the hands of the caller
            np.testing.assert_array_equal(given.indices, before.indices)
            np.testing.assert_array_equal(given.data, before.data)


@pytest.mark.parametrize(("name", "key"), [pair for pair in ARGUMENTS if pair[1] not in {"X", "graph"}])
def test_sparse_forms_of_dense_arguments_are_refused_with_the_way_out(name, key, as_form):
    for form in ("csr array", "csc matrix", "dask csr", "backed csr"):
        with pytest.raises(InputTypeError, match=rf"({key}|matrix) is a sparse matrix[\s\S]*toarray"):
            score(name, **{key: as_form(CALLS[name][key], form)})


@pytest.mark.parametrize("name", [name for name, key in ARGUMENTS if key == "graph"])
def test_a_dense_graph_is_read_or_refused_with_the_way_out(name, as_form, plain):
    for form in DENSE:
        graph = as_form(GRAPH, form)
        if name == "fide":
            with pytest.raises(InputError, match=r"Allowed: a sparse matrix[\s\S]*spatial_connectivities"):
                score(name, graph=graph)
        else:
            same(score(name, graph=graph), plain(name))
