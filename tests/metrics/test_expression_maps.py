"""Maps of genes: against scikit-image, scikit-learn, squidpy, and sums written out in plain Python."""

import numpy as np
import pytest
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse
from skimage.metrics import structural_similarity
from sklearn.metrics import roc_auc_score

from stfmkit._core.errors import InputError, InputTypeError
from stfmkit.metrics import auroc_top, bivariate_morans_i, degenerate_genes, map_ssim, morans_i, pearson

SIDE = 9


def lattice(side=SIDE, *, reach=1, inside=0, torus=False):
    """Edges to all cells of the square around a cell; rows closer than `inside` to the border have none."""
    rows, cols = [], []
    for i in range(side):
        for j in range(side):
            if not torus and not (inside <= i < side - inside and inside <= j < side - inside):
                continue
            for di in range(-reach, reach + 1):
                for dj in range(-reach, reach + 1):
                    a, b = i + di, j + dj
                    if torus:
                        a, b = a % side, b % side
                    if (di or dj) and 0 <= a < side and 0 <= b < side:
                        rows.append(i * side + j)
                        cols.append(a * side + b)
    return sparse.csr_array((np.ones(len(rows)), (rows, cols)), shape=(side**2, side**2))


@pytest.fixture
def pair(rng):
    truth = rng.gamma(2, size=(SIDE**2, 5))
    truth[:, 4] = rng.poisson(0.2, size=SIDE**2)
    return truth, 0.6 * truth + rng.normal(0.3, 0.8, size=truth.shape)


@pytest.mark.parametrize("reach", [1, 2, 3])
def test_map_ssim_on_a_lattice_equals_scikit_image(pair, reach):
    truth, predicted = pair
    graph = lattice(reach=reach, inside=reach)
    for g, value in enumerate(map_ssim(truth, predicted, graph=graph)):
        x, y = truth[:, g].reshape(SIDE, SIDE), predicted[:, g].reshape(SIDE, SIDE)
        _, image = structural_similarity(
            x, y, win_size=2 * reach + 1, gaussian_weights=False, data_range=np.ptp(x), full=True
        )
        cut = slice(reach, SIDE - reach)
        assert value == pytest.approx(image[cut, cut].mean(), abs=1e-10)


def test_rings_grow_the_window(pair):
    truth, predicted = pair
    small, large = lattice(torus=True), lattice(reach=2, torus=True)
    np.testing.assert_allclose(
        map_ssim(truth, predicted, graph=small, rings=2), map_ssim(truth, predicted, graph=large), rtol=1e-10
    )


def test_map_ssim_with_ragged_windows_equals_a_loop(pair, rng):
    truth, predicted = pair
    graph = sparse.random_array((SIDE**2, SIDE**2), density=0.03, rng=rng, format="csr")
    weights = graph.toarray()
    np.fill_diagonal(weights, 0)
    scores = []
    for i in np.flatnonzero(weights.sum(axis=1)):
        here = np.union1d([i], np.flatnonzero(weights[i]))
        x, y = truth[here, 0], predicted[here, 0]
        c1, c2 = (0.01 * 3) ** 2, (0.03 * 3) ** 2
        cov = np.cov(x, y)
        light = (2 * x.mean() * y.mean() + c1) / (x.mean() ** 2 + y.mean() ** 2 + c1)
        scores.append(light * (2 * cov[0, 1] + c2) / (cov[0, 0] + cov[1, 1] + c2))
    assert len(scores) < SIDE**2  # some observations have no neighbour
    found = map_ssim(truth, predicted, graph=graph, data_range=3.0)
    assert found[0] == pytest.approx(np.mean(scores), rel=1e-10)
    np.testing.assert_allclose(map_ssim(truth, predicted, graph=graph, data_range=np.full(5, 3.0)), found)


def test_many_genes_are_scored_in_parts(rng):
    truth, predicted = rng.gamma(2, size=(2, SIDE**2, 300))
    graph = lattice()
    whole = map_ssim(truth, predicted, graph=graph)
    apart = [map_ssim(truth[:, [g]], predicted[:, [g]], graph=graph)[0] for g in (0, 255, 256, 299)]
    np.testing.assert_allclose(whole[[0, 255, 256, 299]], apart)


def test_maps_are_about_places(pair, rng):
    truth, predicted = pair
    graph, order = lattice(), rng.permutation(SIDE**2)
    moved = graph[order][:, order]
    for metric in (map_ssim, bivariate_morans_i):
        same = metric(truth[order], predicted[order], graph=moved)
        np.testing.assert_allclose(same, metric(truth, predicted, graph=graph))
        assert (np.abs(metric(truth[order], predicted[order], graph=graph) - same) > 1e-3).any()
    np.testing.assert_allclose(pearson(truth[order], predicted[order]), pearson(truth, predicted))


def test_map_ssim_does_not_lose_small_contrast_on_a_high_level(pair):
    truth, _ = pair
    graph = lattice()
    high, low = truth[:, :4] + 1e7, truth[:, :4]
    noisy = np.roll(low, 1, axis=0)
    expected = []
    for g in range(4):
        windows = [np.union1d([i], graph[[i]].indices) for i in range(SIDE**2)]
        c2 = (0.03 * np.ptp(low[:, g])) ** 2
        covs = [np.cov(low[w, g], noisy[w, g]) for w in windows]
        expected.append(np.mean([(2 * c[0, 1] + c2) / (c[0, 0] + c[1, 1] + c2) for c in covs]))
    np.testing.assert_allclose(map_ssim(high, np.roll(high, 1, axis=0), graph=graph), expected, atol=1e-6)


def test_bivariate_moran_equals_its_double_sum(pair, rng):
    truth, predicted = pair
    graph = sparse.csr_array(lattice() * 1.0)
    graph.data = rng.uniform(0.1, 2, size=graph.nnz)
    w = graph.toarray()
    for g, value in enumerate(bivariate_morans_i(truth, predicted, graph=graph)):
        x, y = truth[:, g] - truth[:, g].mean(), predicted[:, g] - predicted[:, g].mean()
        slow = sum(w[i, j] * x[i] * y[j] for i in range(len(x)) for j in range(len(x)))
        assert value == pytest.approx(len(x) / w.sum() * slow / np.sqrt((x**2).sum() * (y**2).sum()))


def test_bivariate_moran_of_the_truth_is_squidpys_moran(pair):
    import squidpy as sq

    truth, _ = pair
    adata = AnnData(truth.copy())
    graph = lattice()
    adata.obsp["spatial_connectivities"] = sparse.csr_matrix(graph)
    sq.gr.spatial_autocorr(adata, mode="moran", n_perms=None, transformation=False, show_progress_bar=False)
    expected = adata.uns["moranI"].loc[adata.var_names, "I"]
    np.testing.assert_allclose(bivariate_morans_i(truth, truth, graph=graph), expected, rtol=1e-6)
    np.testing.assert_allclose(bivariate_morans_i(truth, 3 - 2 * truth, graph=graph), -morans_i(truth, graph))


def test_bivariate_moran_forgives_a_shift_that_pearson_does_not():
    wave = np.sin(np.arange(60) * 2 * np.pi / 8)[:, None]
    ring = sparse.csr_array(np.roll(np.eye(60), 1, axis=1) + np.roll(np.eye(60), -1, axis=1))
    near, far = np.roll(wave, 1, axis=0), np.roll(wave, 4, axis=0)
    assert bivariate_morans_i(wave, near, graph=ring)[0] > 0.4
    assert bivariate_morans_i(wave, far, graph=ring)[0] < -0.5


def test_auroc_of_top_spots_equals_sklearn(pair):
    truth, predicted = pair
    for share in (0.1, 0.33):
        for g, value in enumerate(auroc_top(truth[:, :4], predicted[:, :4], share=share)):
            top = truth[:, g] > np.quantile(truth[:, g], 1 - share)
            assert value == pytest.approx(roc_auc_score(top, predicted[:, g]))


def test_auroc_of_a_gene_with_ties():
    rare = np.zeros((20, 1))
    rare[3] = 5  # fewer than a tenth express it: those that do
    common = np.full((20, 1), 2.0)
    common[:4] = 1  # more than a tenth share the maximum: those that reach it
    guess = np.arange(20.0)[:, None] // 2
    assert auroc_top(rare, guess)[0] == pytest.approx(roc_auc_score(rare.ravel() > 0, guess.ravel()))
    assert auroc_top(common, guess)[0] == pytest.approx(roc_auc_score(common.ravel() == 2, guess.ravel()))


@settings(deadline=None, max_examples=50)
@given(arrays(np.float64, (8, 2), elements=st.floats(-1e4, 1e4)), arrays(np.float64, (8, 2), elements=st.floats(-9, 9)))
def test_scores_are_bounded_or_undefined(truth, predicted):
    ring = sparse.csr_array(np.roll(np.eye(8), 1, axis=1) + np.roll(np.eye(8), -1, axis=1))
    flat = degenerate_genes(truth, predicted).constant_truth
    for values, low in (
        (map_ssim(truth, predicted, graph=ring), -1),
        (auroc_top(truth, predicted), 0),
        (bivariate_morans_i(truth, predicted, graph=ring), -1),
    ):
        assert (np.isnan(values) == flat).all()
        assert ((values[~flat] >= low - 1e-9) & (values[~flat] <= 1 + 1e-9)).all()


@settings(deadline=None, max_examples=50)
@given(arrays(np.float64, (8, 1), elements=st.floats(-1e3, 1e3)))
def test_a_perfect_map_is_perfect(truth):
    ring = sparse.csr_array(np.roll(np.eye(8), 1, axis=1) + np.roll(np.eye(8), -1, axis=1))
    if not degenerate_genes(truth, truth).constant_truth[0]:
        assert map_ssim(truth, truth, graph=ring)[0] == pytest.approx(1)
        assert auroc_top(truth, truth)[0] == 1


def test_degenerate_genes_are_told_apart(rng):
    truth, predicted = rng.normal(size=(10, 4)), rng.normal(size=(10, 4))
    truth[:, 1] = predicted[:, 2] = 0.1
    truth[:, 3] = predicted[:, 3] = 7.0
    found = degenerate_genes(truth, predicted)
    assert found.constant_truth.tolist() == [False, True, False, True]
    assert found.constant_prediction.tolist() == [False, False, True, False]
    assert found.scored.tolist() == [True, False, True, False]
    ring = sparse.csr_array(np.roll(np.eye(10), 1, axis=1))
    assert map_ssim(truth, predicted, graph=ring)[2] == bivariate_morans_i(truth, predicted, graph=ring)[2] == 0
    assert auroc_top(truth, predicted)[2] == 0.5
    for values in (map_ssim(truth, predicted, graph=ring), auroc_top(truth, predicted)):
        assert np.isnan(values[[1, 3]]).all()


def test_a_constant_prediction_of_an_empty_area_earns_nothing():
    truth = np.zeros((SIDE**2, 1))
    truth[0] = 1
    assert map_ssim(truth, np.zeros_like(truth), graph=lattice())[0] == 0


def test_bad_input_is_refused(pair):
    truth, predicted = pair
    graph = lattice()
    with pytest.raises(InputError, match="share=1"):
        auroc_top(truth, predicted, share=1)
    with pytest.raises(InputError, match=r"share=1.5"):
        auroc_top(truth, predicted, share=1.5)
    with pytest.raises(InputError, match="data_range as low as 0"):
        map_ssim(truth, predicted, graph=graph, data_range=0)
    with pytest.raises(InputError, match="a vector of length 5"):
        map_ssim(truth, predicted, graph=graph, data_range=[1.0, 2.0])
    with pytest.raises(InputError, match="rings"):
        map_ssim(truth, predicted, graph=graph, rings=0)
    with pytest.raises(InputError, match="its own only neighbour"):
        map_ssim(truth, predicted, graph=sparse.eye_array(SIDE**2, format="csr"))
    broken = predicted.copy()
    broken[0, 0] = np.inf
    for metric in (map_ssim, bivariate_morans_i):
        with pytest.raises(InputError, match="a graph of shape"):
            metric(truth, predicted, graph=graph[:5, :5])
        with pytest.raises(InputError, match="0 edges"):
            metric(truth, predicted, graph=sparse.csr_array((SIDE**2, SIDE**2)))
        with pytest.raises(InputError, match="1 NaN or infinite values in predicted"):
            metric(truth, broken, graph=graph)
        with pytest.raises(InputError, match="shape"):
            metric(truth, predicted[:, :3], graph=graph)
    with pytest.raises(InputTypeError, match="sparse"):
        auroc_top(sparse.csr_array(truth), predicted)
