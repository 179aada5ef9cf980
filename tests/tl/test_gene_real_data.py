"""Spatial autocorrelation and co-expression of real tissue, against squidpy, numpy and scikit-image."""

import warnings

import anndata as ad
import numpy as np
import pytest
from scipy import sparse
from scipy.stats import rankdata
from skimage.metrics import structural_similarity

import stfmkit as sk

pytestmark = pytest.mark.real_data
FILES = {
    "her2st_patients_A-F": ["ERBB2", "CD74", "IGKC", "MUCL1", "FASN", "KRT19", "COL1A1", "ACTB", "B2M", "CD3D"],
    "starmap_visual_cortex_1020genes": None,
}


@pytest.fixture(params=FILES)
def tissue(request, real_data):
    """One section with counts everywhere, and ten genes in the order of the table."""
    data = ad.read_h5ad(real_data / f"{request.param}.h5ad")
    data = data[data.obs["section"] == data.obs["section"].iloc[0]].copy()
    data = data[np.asarray(data.X.sum(axis=1)).ravel() > 0].copy()
    genes = FILES[request.param] or list(data.var_names[np.argsort(-np.asarray(data.X.sum(axis=0)).ravel())[:10]])
    data.layers["guess"] = sparse.csr_matrix(smoothed(data))
    return data, [name for name in data.var_names if name in genes]


def logged(data):
    counts = data.X.toarray().astype(float)
    depth = counts.sum(axis=1)
    return np.log1p(counts / depth[:, None] * np.median(depth))


def smoothed(data):
    """Half of a spot and half of its neighbour: a prediction that is wrong in a known way."""
    values = logged(data)
    return 0.5 * values + 0.5 * np.roll(values, 1, axis=0)


def test_autocorrelation_is_squidpys(tissue):
    data, genes = tissue
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import squidpy as sq

        part = ad.AnnData(
            logged(data)[:, data.var_names.get_indexer(genes)],
            obsm={"spatial": np.asarray(data.obsm["spatial"], dtype=float)},
        )
        part.var_names = genes
        sq.gr.spatial_neighbors(part, n_neighs=6, coord_type="generic")
        oracle = {
            mode: sq.gr.spatial_autocorr(part, mode=mode, copy=True, n_perms=None, show_progress_bar=False).loc[genes]
            for mode in ("moran", "geary")
        }
    graph = sparse.csr_array(part.obsp["spatial_connectivities"])
    graph = sparse.csr_array(graph / graph.sum(axis=1)[:, None])
    for kind in (np.asarray, sparse.csr_array, sparse.csc_array):
        moran = sk.metrics.morans_i_test(kind(part.X), graph, alternative="two-sided")
        np.testing.assert_allclose(sk.metrics.morans_i(kind(part.X), graph), oracle["moran"]["I"], rtol=1e-9)
        np.testing.assert_allclose(sk.metrics.gearys_c(kind(part.X), graph), oracle["geary"]["C"], rtol=1e-9)
        np.testing.assert_allclose(moran["variance_norm"], oracle["moran"]["var_norm"], rtol=1e-6)  # in float32 there
    assert sk.metrics.morans_i(part.X, graph).max() > 0.3


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_coexpression_is_that_of_numpy(tissue, method):
    data, genes = tissue
    found = sk.tl.coexpression(
        data,
        prediction="guess",
        method=method,
        genes=genes,
        null_model=None,
        copy=True,
        n_orders=3,
        n_permutations=9,
        n_eigenvectors=3,
    )
    at = data.var_names.get_indexer(genes)
    truth, guess = logged(data)[:, at], data.layers["guess"].toarray()[:, at]
    if method == "spearman":
        truth, guess = rankdata(truth, axis=0), rankdata(guess, axis=0)
    truth, guess = np.corrcoef(truth.T), np.corrcoef(guess.T)
    np.testing.assert_allclose(found["truth"], truth, atol=1e-9)
    np.testing.assert_allclose(found["predicted"], guess, atol=1e-9)
    raw = found["scores"].query("setting.str.contains('truth=raw') and not setting.str.contains('spearman')")
    scores = raw.set_index("metric")["value"]
    upper = np.triu_indices(len(genes), 1)
    assert scores["mean_absolute_difference"] == pytest.approx(np.abs(truth - guess)[upper].mean())
    assert scores["offdiagonal_correlation"] == pytest.approx(np.corrcoef(truth[upper], guess[upper])[0, 1])
    grid = np.ix_(*2 * [[genes.index(name) for name in found["order"]]])
    first, second = (np.where(np.eye(len(genes)), 0, part[grid]) for part in (truth, guess))
    expected = structural_similarity(first, second, win_size=7, data_range=2)
    assert scores["ssim_ordered"] == pytest.approx(expected, abs=1e-9)
