"""Silhouettes against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import silhouette_samples

from stfmkit._kernels import _threads
from stfmkit._kernels._silhouette import silhouettes


@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize("k", [2, 7])
def test_equals_sklearn(rng, d, k):
    points = rng.normal(size=(90, d)) * [100.0] * d + 1e4
    codes = np.concatenate([np.arange(k), rng.integers(k, size=90 - k)])
    found = silhouettes(points, codes, np.bincount(codes))
    np.testing.assert_allclose(found, silhouette_samples(points, codes), atol=1e-9)


def test_some_rows_are_those_of_all(rng):
    points, codes = rng.normal(size=(90, 2)), rng.integers(5, size=90)
    rows = np.array([3, 17, 88])
    found = silhouettes(points, codes, np.bincount(codes), rows=rows)
    np.testing.assert_allclose(found, silhouettes(points, codes, np.bincount(codes))[rows], atol=1e-12)


def test_the_only_member_of_a_cluster_and_points_in_one_place_score_0():
    points = np.array([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [5.0, 0.0]])
    codes = np.array([0, 0, 1, 2])
    assert silhouettes(points, codes, np.bincount(codes)).tolist() == [0.0, 0.0, 0.0, 0.0]


def test_bits_do_not_depend_on_the_threads(rng, monkeypatch):
    points, codes = rng.normal(size=(101, 2)), rng.integers(4, size=101)
    found = []
    for n in (1, 3):
        monkeypatch.setattr(_threads, "n_threads", lambda n=n: n)
        found.append(silhouettes(points, codes, np.bincount(codes)))
    assert np.array_equal(*found)
