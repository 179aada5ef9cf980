"""Moran's I and Geary's C: scanpy and squidpy as oracles."""

import warnings

import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

from stfmkit._core.errors import InputError
from stfmkit.metrics import gearys_c, morans_i


@pytest.fixture
def graph(rng):
    """Asymmetric weights, some observations without neighbours."""
    weights = sparse.random_array((50, 50), density=0.1, rng=rng, format="lil")
    weights[7] = 0
    return sparse.csr_array(weights)


@pytest.fixture
def values(rng):
    return np.where(rng.uniform(size=(50, 300)) < 0.3, rng.gamma(2, size=(50, 300)), 0.0)


def slow(values, graph, kind):
    z = values - values.mean()
    weights, total = graph.toarray(), 0.0
    for i in range(len(values)):
        for j in range(len(values)):
            total += weights[i, j] * (z[i] * z[j] if kind == "moran" else (values[i] - values[j]) ** 2)
    n = len(values)
    scale = n / weights.sum() if kind == "moran" else (n - 1) / (2 * weights.sum())
    return scale * total / (z**2).sum()


@pytest.mark.parametrize("as_", [np.asarray, sparse.csr_array, sparse.csc_matrix])
def test_values_equal_scanpy_and_the_double_sum(values, graph, as_):
    import scanpy as sc

    moran, geary = morans_i(as_(values), graph), gearys_c(as_(values), graph)
    np.testing.assert_allclose(moran, sc.metrics.morans_i(sparse.csr_matrix(graph), values.T.copy()))
    np.testing.assert_allclose(geary, sc.metrics.gearys_c(sparse.csr_matrix(graph), values.T.copy()))
    assert moran[3] == pytest.approx(slow(values[:, 3], graph, "moran"))
    assert geary[3] == pytest.approx(slow(values[:, 3], graph, "geary"))


def test_values_equal_squidpy_on_a_row_normalised_graph(rng):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import squidpy as sq

        adata = AnnData(rng.gamma(2, size=(40, 5)))
        adata.obsm["spatial"] = rng.uniform(size=(40, 2))
        sq.gr.spatial_neighbors(adata, n_neighs=6, coord_type="generic")
        oracle = {
            mode: sq.gr.spatial_autocorr(adata, mode=mode, copy=True, n_perms=None, show_progress_bar=False).loc[
                adata.var_names
            ]
            for mode in ("moran", "geary")
        }
    weights = sparse.csr_array(adata.obsp["spatial_connectivities"])
    rows = sparse.csr_array(weights / weights.sum(axis=1)[:, None])
    np.testing.assert_allclose(morans_i(adata.X, rows), oracle["moran"]["I"])
    np.testing.assert_allclose(gearys_c(adata.X, rows), oracle["geary"]["C"])


@pytest.mark.parametrize("as_", [np.asarray, sparse.csr_array])
def test_constant_genes_have_no_value(as_, graph):
    table = np.column_stack([np.full(50, 0.1), np.zeros(50), np.arange(50.0)])
    for metric in (morans_i, gearys_c):
        assert np.isnan(metric(as_(table), graph)).tolist() == [True, True, False]


def test_nothing_is_written_to_the_input(values, graph):
    X = sparse.csr_array(values)
    before = X.copy(), graph.copy()
    morans_i(X, graph)
    assert (before[0] != X).nnz == 0
    assert (before[1] != graph).nnz == 0


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (sparse.csr_array(np.ones((4, 4))), r"\(4, 4\) for 5 observations"),
        (sparse.csr_array((5, 5)), "0 edges"),
        (sparse.csr_array(np.diag([1.0, -1, 0, 0, 0])), "weights of at least 0"),
        (sparse.csr_array(np.diag([1.0, np.nan, 0, 0, 0])), "NaN"),
    ],
)
def test_unusable_graphs_are_refused(graph, words):
    with pytest.raises(InputError, match=words):
        morans_i(np.arange(5.0)[:, None], graph)


def test_values_must_be_finite():
    with pytest.raises(InputError, match="NaN or infinite values in X"):
        gearys_c(sparse.csr_array([[np.nan], [1.0]]), sparse.csr_array(np.ones((2, 2))))
