"""Every score of the verb against a slow loop over samples and genes, over all storages of truth and prediction."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from scipy.spatial.distance import cdist
from scipy.stats import pearsonr, spearmanr
from sklearn.linear_model import LinearRegression
from sklearn.metrics import d2_tweedie_score, r2_score, roc_auc_score, root_mean_squared_error
from tests.tl.wide import by_gene

import stfmkit as sk

KEYS = {"patient_key": "patient", "sample_key": "sample"}
STORAGES = [np.asarray, sparse.csr_matrix, sparse.csc_matrix]
FIRST = ("pearson", "spearman", "ccc", "r2", "rmse", "nrmse", "variance_ratio", "auroc_top")
SPATIAL = ("map_ssim", "bivariate_morans_i", "moran_ratio")


def moran(x, y, weights):
    """Sum over pairs of weight times the products of deviations, over the root of both sums of squares."""
    x, y = x - x.mean(), y - y.mean()
    return len(x) / weights.sum() * (x @ weights @ y) / np.sqrt((x @ x) * (y @ y))


def ssim(x, y, weights):
    """Wang et al. 2004 in the window of every observation: itself and its neighbours, sample covariances."""
    span = np.ptp(x)
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    found = []
    for row in range(len(x)):
        window = [row, *np.flatnonzero(weights[row])]
        a, b = x[window], y[window]
        (vx, cov), (_, vy) = np.cov(a, b)
        found.append(
            (2 * a.mean() * b.mean() + c1) / (a.mean() ** 2 + b.mean() ** 2 + c1) * (2 * cov + c2) / (vx + vy + c2)
        )
    return np.mean(found)


def six_nearest(xy):
    """Row-stochastic weights; places are random, so that none are tied."""
    distance = cdist(xy, xy)
    np.fill_diagonal(distance, np.inf)
    weights = np.zeros_like(distance)
    np.put_along_axis(weights, np.argsort(distance, axis=1)[:, :6], 1 / 6, axis=1)
    return weights


def scores(x, y, *, depth, mean, weights):
    """All scores of one gene in one sample by hand; mean is that of the training patients."""
    cut = np.quantile(x, 0.9)
    top = x > cut if (x > cut).any() else x >= cut
    logs = np.log1p(depth)[:, None]
    left = [v - LinearRegression().fit(logs, v).predict(logs) for v in (x, y)]
    cov = np.cov(x, y, ddof=0)[0, 1]
    return {
        "pearson": pearsonr(x, y)[0],
        "spearman": spearmanr(x, y)[0],
        "ccc": 2 * cov / (x.var() + y.var() + (x.mean() - y.mean()) ** 2),
        "r2": r2_score(x, y),
        "rmse": root_mean_squared_error(x, y),
        "nrmse": root_mean_squared_error(x, y) / x.std(),
        "variance_ratio": y.std() / x.std(),
        "auroc_top": roc_auc_score(top, y),
        "q2": 1 - ((x - y) ** 2).sum() / ((x - mean) ** 2).sum(),
        "partial_pearson": pearsonr(*left)[0],
        "map_ssim": ssim(x, y, weights),
        "bivariate_morans_i": moran(x, y, weights),
        "moran_ratio": moran(y, y, weights) / moran(x, x, weights) if moran(x, x, weights) >= 0.05 else np.nan,
    }


@pytest.fixture
def table(toy, rng):
    """Half of the molecules as a prediction, with a gene that is constant here and another there."""
    counts = toy.X.toarray().astype(np.float64)
    counts[(toy.obs["sample"] == "S4").to_numpy(), 7] = 0
    depth = counts.sum(axis=1, keepdims=True)
    guess = np.log1p(2 * rng.binomial(counts.astype(int), 0.5) / depth * np.median(depth))
    guess[(toy.obs["sample"] == "S3").to_numpy(), 9] = 0
    toy.X, toy.layers["model"] = counts, guess
    return toy


@pytest.mark.parametrize("kind", STORAGES)
def test_all_scores_equal_the_loop(table, kind):
    counts, guess = table.X.copy(), table.layers["model"].copy()
    table.X, table.layers["model"] = kind(counts), kind(guess)
    train = (table.obs["patient"] == "P1").to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tables = sk.tl.evaluate_expression(table, "model", train=train, copy=True, **KEYS)
    found = by_gene(tables).droplevel(["patient", "fold"])
    depth = counts.sum(axis=1)
    truth = np.log1p(counts / depth[:, None] * np.median(depth[train]))
    for sample in ("S2", "S3", "S4"):
        here = (table.obs["sample"] == sample).to_numpy()
        weights = six_nearest(table.obsm["spatial"][here])
        for gene in (0, 3, 7, 9, 20, 39):
            x, y, row = truth[here, gene], guess[here, gene], found.loc[(sample, f"G{gene}")]
            if np.ptp(x) == 0:
                assert row[[*FIRST, *SPATIAL, "q2", "partial_pearson"]].isna().all()
                continue
            if np.ptp(y) == 0:
                zero = ["pearson", "spearman", "ccc", "partial_pearson", "map_ssim", "bivariate_morans_i"]
                assert (row[[*zero, "variance_ratio"]] == 0).all()
                assert row["auroc_top"] == 0.5
                assert np.isnan(row["moran_ratio"])
                continue
            wanted = scores(x, y, depth=depth[here], mean=truth[train, gene].mean(), weights=weights)
            for name, value in wanted.items():
                # two spots with one share of their depth may be tied or not, by the last bit
                near = 2e-3 if name in {"spearman", "auroc_top"} else 1e-9
                assert row[name] == pytest.approx(value, abs=near, nan_ok=True), name
    left_out = tables["scores"].query("reason == 'the truth is constant in this sample' and metric == 'pearson'")
    assert left_out[["sample", "gene"]].drop_duplicates().to_numpy().tolist() == [["S4", "G7"]]


@pytest.mark.parametrize("kind", STORAGES)
def test_deviance_of_counts_equals_sklearn(table, kind):
    counts = table.X.copy()
    table.X, table.layers["model"] = kind(counts), kind(np.floor(counts / 2) + 1.0)
    train = (table.obs["patient"] == "P1").to_numpy()
    tables = sk.tl.evaluate_expression(table, "model", scale="counts", train=train, copy=True, **KEYS)
    found = by_gene(tables).droplevel(["patient", "fold"])["deviance_explained"]
    here = (table.obs["sample"] == "S5").to_numpy()
    for gene in (0, 11, 25):
        x, y = counts[here, gene], np.floor(counts[here, gene] / 2) + 1.0
        own, null = x.mean(), counts[train, gene].mean()
        of_mean = 1 - d2_tweedie_score(x, np.full(len(x), null), power=1)  # in units of the deviance of the own mean
        assert own > 0
        assert found[("S5", f"G{gene}")] == pytest.approx(1 - (1 - d2_tweedie_score(x, y, power=1)) / of_mean)
