"""Every verb of genes and embeddings gives the same from any matrix: dense, CSR, CSC, dask, and backed files."""

import anndata as ad
import dask.array as da
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import stfmkit as sk
from stfmkit._core.errors import InputError
from stfmkit._data import matrices

KEYS = {"patient_key": "patient", "sample_key": "sample"}
FORMS = ["csr", "csc", "dense", "dask dense", "dask csr", "backed csr", "backed csc", "backed dense"]
VERBS = {
    "gene_sparsity": lambda a: sk.pp.gene_sparsity(a, copy=True, **KEYS),
    "select_genes": lambda a: sk.pp.select_genes(a, selector="svg", n_genes=7, copy=True, **KEYS),
    "niche_signatures": lambda a: sk.tl.niche_signatures(
        a, "niche", patient_key="patient", prediction="guess", sizes=5, copy=True
    ),
    "coexpression": lambda a: sk.tl.coexpression(
        a, prediction="guess", sample_key="sample", n_permutations=5, copy=True
    ),
    "evaluate_expression": lambda a: sk.tl.evaluate_expression(
        a, "guess", scale="size_factor_log1p", copy=True, **KEYS
    ),
    "evaluate_embedding": lambda a: sk.tl.evaluate_embedding(
        a, "X_place", metrics=["library_size_r2", "coordinate_r2"], copy=True, **KEYS
    ),
    "embed": lambda a: sk.tl.embed(a, "hvg_pca", n_components=4, copy=True, show_progress=False),
}


def as_form(adata, form, path):
    kind = form.split()[-1]
    to = {"csr": sparse.csr_matrix, "csc": sparse.csc_matrix, "dense": lambda x: x.toarray()}[kind]
    adata = adata.copy()
    adata.X, adata.layers["guess"] = to(adata.X), to(adata.layers["guess"])
    if form.startswith("dask"):
        for where, key in ((adata.layers, "guess"), (adata, "X")):
            dense = (adata.X if key == "X" else adata.layers[key]) if kind == "dense" else None
            dense = (adata.X if key == "X" else adata.layers[key]).toarray() if dense is None else dense
            chunks = da.from_array(dense, chunks=(70, dense.shape[1]))
            chunks = chunks if kind == "dense" else chunks.map_blocks(sparse.csr_matrix)
            if key == "X":
                where.X = chunks
            else:
                where[key] = chunks
    if form.startswith("backed"):
        adata.write_h5ad(path)
        return ad.read_h5ad(path, backed="r")
    return adata


def leaves(result):
    """Return the numbers of a result, whatever it is made of."""
    if isinstance(result, dict):
        return [leaf for part in result.values() for leaf in leaves(part)]
    if isinstance(result, pd.DataFrame):
        return [result[name].to_numpy() for name in result.columns]
    if hasattr(result, "__dataclass_fields__"):
        return [leaf for name in result.__dataclass_fields__ for leaf in leaves(getattr(result, name))]
    return [np.asarray(result)]


@pytest.fixture
def table(toy):
    values = np.log1p(toy.X.toarray())
    toy.layers["guess"] = sparse.csr_matrix((0.5 * values + 0.3 * values.mean(axis=0)) * (values > 0))
    toy.obsm["X_place"] = toy.obsm["spatial"].copy()
    return toy


@pytest.mark.filterwarnings("ignore::stfmkit._core.errors.StfmkitWarning")
@pytest.mark.parametrize("verb", VERBS)
def test_every_matrix_gives_the_same(table, verb, tmp_path):
    expected = leaves(VERBS[verb](table))
    assert expected
    for i, form in enumerate(FORMS):
        given = as_form(table, form, tmp_path / f"{i}.h5ad")
        found = leaves(VERBS[verb](given))
        assert len(found) == len(expected), form
        for one, two in zip(found, expected, strict=True):
            if two.dtype.kind == "f":
                np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-6, err_msg=form)
            else:
                assert one.tolist() == two.tolist(), form
        if given.isbacked:
            assert "to_memory" in dir(given.X) or given.X.__class__.__module__.startswith("h5py")  # still in the file
            given.file.close()


@pytest.mark.parametrize("form", FORMS)
def test_verbs_write_beside_a_matrix_that_stays_where_it_is(table, form, tmp_path):
    given = as_form(table, form, tmp_path / "a.h5ad")
    kind = type(given.X)
    sk.pp.gene_sparsity(given, **KEYS)
    sk.tl.niche_signatures(given, "niche", patient_key="patient", sizes=5)
    assert type(given.X) is kind
    assert "morans_i" in given.var
    assert len(given.uns["niche_signatures"]["genes"]) == 2 * given.n_vars
    if given.isbacked:
        given.file.close()


@pytest.mark.parametrize("form", FORMS)
def test_faults_are_found_in_every_matrix(table, form, tmp_path):
    table.X.data[11] = -1
    given = as_form(table, form, tmp_path / "a.h5ad")
    with pytest.raises(InputError, match="1 negative values in X"):
        sk.pp.gene_sparsity(given, **KEYS)
    with pytest.raises(InputError, match="1 negative values in X"):
        matrices.read_totals(given)
    if given.isbacked:
        given.file.close()


@pytest.mark.parametrize("form", FORMS)
def test_totals_are_read_in_blocks(table, form, tmp_path, monkeypatch):
    monkeypatch.setattr(matrices, "_BLOCK_ROWS", 50)
    given = as_form(table, form, tmp_path / "a.h5ad")
    np.testing.assert_array_equal(matrices.read_totals(given), table.X.toarray().sum(axis=1))
    if given.isbacked:
        given.file.close()
