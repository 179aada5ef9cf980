"""Probes against scikit-learn, and tuning inside groups."""

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from stfmkit.bm._tasks._probes import f1, knn_probe, linear_probe
from stfmkit.splits.folds import inner_folds


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
