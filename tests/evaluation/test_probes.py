"""Probes against scikit-learn, and tuning that keeps groups whole."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from stfmkit.evaluation.label_probes import f1, knn_probe, linear_probe
from stfmkit.evaluation.ridge_probe import Scaler, ridge_probe
from stfmkit.splits.folds import inner_folds


def test_inner_folds_keep_groups_whole(rng):
    groups = np.repeat(np.arange(7), rng.integers(1, 9, 7))
    folds = inner_folds(groups, 4, rng)
    assert len(folds) == 4
    np.testing.assert_array_equal(np.sort(np.concatenate([check for _, check in folds])), np.arange(len(groups)))
    for fit, check in folds:
        assert not np.intersect1d(groups[fit], groups[check]).size
    assert len(inner_folds(np.array([0, 0, 1]), 4, rng)) == 2
    assert inner_folds(np.zeros(5), 4, rng) == []


def test_scaler_equals_sklearn_and_forgives_constants(rng):
    train, test = rng.normal(3, 2, size=(50, 4)), rng.normal(size=(9, 4))
    np.testing.assert_allclose(Scaler(train)(test), StandardScaler().fit(train).transform(test))
    train[:, 1] = 7
    assert (Scaler(train)(test)[:, 1] == 0).all()


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("alpha", [0.01, 1.0, 1e4])
def test_ridge_equals_sklearn(rng, wide, alpha):
    n, d = (30, 60) if wide else (80, 12)
    x, z, y = rng.normal(2, 3, size=(n, d)), rng.normal(size=(15, d)), rng.normal(5, 1, size=(n, 3))
    ours, chosen = ridge_probe(x, y, z, grid=[alpha], folds=[], max_components=500)
    theirs = make_pipeline(StandardScaler(), Ridge(alpha=alpha)).fit(x, y).predict(z)
    assert chosen == alpha
    np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-8)


def test_ridge_of_columns_that_repeat_each_other_equals_sklearn(rng):
    """A smaller matrix than its rank suggests: repeated, nearly repeated and tiny columns."""
    base = rng.normal(size=(90, 4))
    x = np.column_stack([base, base[:, 0], base[:, 1] + 1e-9 * base[:, 2], 1e-8 * base[:, 3]])
    y = base @ rng.normal(size=(4, 2)) + 0.1 * rng.normal(size=(90, 2))
    ours, _ = ridge_probe(x[:70], y[:70], x[70:], grid=[0.01], folds=[], max_components=99)
    theirs = make_pipeline(StandardScaler(), Ridge(alpha=0.01, solver="svd")).fit(x[:70], y[:70]).predict(x[70:])
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)


def test_ridge_on_principal_components(rng):
    x, z, y = rng.normal(size=(60, 20)), rng.normal(size=(10, 20)), rng.normal(size=(60, 2))
    ours, _ = ridge_probe(x, y, z, grid=[3.0], folds=[], max_components=5)
    theirs = make_pipeline(StandardScaler(), PCA(5, svd_solver="full"), Ridge(alpha=3.0)).fit(x, y).predict(z)
    np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-8)


def test_ridge_of_constant_features_predicts_the_mean(rng):
    y = rng.normal(size=(20, 2))
    ours, _ = ridge_probe(np.ones((20, 3)), y, np.ones((4, 3)), grid=[1.0], folds=[], max_components=5)
    np.testing.assert_allclose(ours, np.tile(y.mean(axis=0), (4, 1)))


def test_ridge_tunes_to_the_noise(rng):
    groups = np.repeat(np.arange(6), 20)
    x = rng.normal(size=(120, 40))
    noise = rng.normal(size=(120, 3))
    grid = (1e-2, 1.0, 1e2, 1e4, 1e6)
    folds = inner_folds(groups, 4, rng)
    _, for_noise = ridge_probe(x, noise, x, grid=grid, folds=folds, max_components=99)
    _, for_signal = ridge_probe(x, x[:, :3] + 0.01 * noise, x, grid=grid, folds=folds, max_components=99)
    assert for_noise >= 1e4
    assert for_signal <= 1.0


def test_knn_equals_sklearn(rng):
    x, z, y = rng.normal(size=(90, 3)), rng.normal(size=(25, 3)), rng.integers(0, 3, 90)
    ours, k = knn_probe(x, y, z, grid=[7], folds=[])
    assert k == 7
    np.testing.assert_array_equal(ours, KNeighborsClassifier(7).fit(x, y).predict(z))


def test_knn_with_fewer_rows_than_neighbours(rng):
    x, y = rng.normal(size=(4, 2)), np.array([0, 1, 1, 1])
    ours, _ = knn_probe(x, y, x, grid=[40], folds=[])
    assert (ours == 1).all()


def test_linear_probe_separates_and_tunes(rng):
    groups = np.repeat(np.arange(5), 30)
    y = rng.integers(0, 3, 150)
    x = np.eye(3)[y] * 2 + rng.normal(0, 0.3, size=(150, 3))
    guess, c = linear_probe(x[:120], y[:120], x[120:], grid=(1e-4, 1e-2, 1.0), folds=inner_folds(groups[:120], 4, rng))
    assert f1(y[120:], guess) > 0.95
    assert c in {1e-4, 1e-2, 1.0}


def test_linear_probe_of_one_class_predicts_it(rng):
    guess, _ = linear_probe(rng.normal(size=(9, 2)), np.full(9, 4), rng.normal(size=(3, 2)), grid=(1.0,), folds=[])
    assert guess.tolist() == [4, 4, 4]


@pytest.mark.parametrize("c", [1e-4, 1e-3, 1.0])
def test_the_linear_probe_is_the_converged_one(c):
    """With a strong penalty a step or two look like the end: up to 16 of 100 labels were others."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        y = np.repeat([0, 1, 2], [40, 20, 10])
        x, z = rng.normal(size=(70, 2)) + 0.5 * np.eye(3)[y][:, :2], rng.normal(size=(100, 2))
        mean, sd = x.mean(axis=0), x.std(axis=0)
        exact = LogisticRegression(C=c, class_weight="balanced", solver="newton-cg", tol=1e-10, max_iter=1000)
        expected = exact.fit((x - mean) / sd, y).predict((z - mean) / sd)
        assert (linear_probe(x, y, z, grid=(c,), folds=[])[0] == expected).all()
