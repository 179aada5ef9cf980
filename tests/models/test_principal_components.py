"""Components against scikit-learn and plain linear algebra."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from stfmkit._core.errors import InputError
from stfmkit.models import principal_components as _pca
from stfmkit.models.principal_components import Pca


def _matrix(n: int, features: int, seed: int = 0, rank: int = 5) -> sparse.csr_array:
    draw = np.random.default_rng(seed)
    signal = draw.normal(size=(n, rank)) * (10.0 / np.arange(1, rank + 1)) @ draw.normal(size=(rank, features))
    dense = signal + draw.normal(size=(n, features))
    return sparse.csr_array(np.where(draw.random((n, features)) < 0.5, dense, 0.0))


@pytest.mark.parametrize("shape", [(60, 20), (20, 60), (300, 200)])
@pytest.mark.parametrize("dense_limit", [0, 10**9])
def test_equals_scikit_learn(shape, dense_limit, monkeypatch):
    from sklearn.decomposition import PCA

    monkeypatch.setattr(_pca, "_DENSE", dense_limit)
    matrix = _matrix(*shape)
    ours = Pca.fit(matrix, n_components=5)
    theirs = PCA(n_components=5, svd_solver="full").fit(matrix.toarray())
    scores = theirs.transform(matrix.toarray())
    signs = np.sign((ours.loadings * theirs.components_.T).sum(axis=0))
    np.testing.assert_allclose(ours.loadings, theirs.components_.T * signs, atol=1e-8)
    np.testing.assert_allclose(ours.project(matrix), scores * signs, atol=1e-8)
    np.testing.assert_allclose(ours.variance, theirs.explained_variance_, rtol=1e-10)


@pytest.mark.parametrize("dense_limit", [0, 10**9])
def test_smoothing_equals_the_product(dense_limit, monkeypatch):
    monkeypatch.setattr(_pca, "_DENSE", dense_limit)
    matrix = _matrix(120, 80)
    smooth = sparse.csr_array(np.abs(_matrix(120, 120, seed=1).toarray()) / 50)
    ours = Pca.fit(matrix, n_components=6, smooth=smooth)
    formed = Pca.fit(sparse.csr_array(smooth @ matrix), n_components=6)
    np.testing.assert_allclose(ours.loadings, formed.loadings, atol=1e-8)
    np.testing.assert_allclose(ours.project(matrix, smooth=smooth), formed.project(smooth @ matrix), atol=1e-8)


def test_lanczos_repeats_its_bits(monkeypatch):
    monkeypatch.setattr(_pca, "_DENSE", 0)
    first, second = (Pca.fit(_matrix(200, 100), n_components=4) for _ in range(2))
    assert np.array_equal(first.loadings, second.loadings)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(3, 30), features=st.integers(2, 30), k=st.integers(1, 40), seed=st.integers(0, 1000))
def test_invariants(n, features, k, seed):
    matrix = _matrix(n, features, seed)
    pca = Pca.fit(matrix, n_components=k)
    width = pca.loadings.shape[1]
    assert width <= min(k, n - 1, features)
    np.testing.assert_allclose(pca.loadings.T @ pca.loadings, np.eye(width), atol=1e-9)
    assert (np.diff(pca.variance) <= 1e-9).all()
    scores = pca.project(matrix)
    np.testing.assert_allclose(scores.mean(axis=0), 0, atol=1e-8)
    np.testing.assert_allclose(scores.var(axis=0, ddof=1), pca.variance, rtol=1e-6, atol=1e-9)
    largest = np.abs(pca.loadings).argmax(axis=0)
    assert (pca.loadings[largest, np.arange(width)] > 0).all()


@pytest.mark.parametrize("dense_limit", [0, 10**9])
def test_rank_limits_the_width(dense_limit, monkeypatch):
    monkeypatch.setattr(_pca, "_DENSE", dense_limit)
    draw = np.random.default_rng(0)
    low = sparse.csr_array(draw.normal(size=(200, 3)) @ draw.normal(size=(3, 150)) + 100)
    assert Pca.fit(low, n_components=20).loadings.shape == (150, 3)


@pytest.mark.parametrize("rows", [1, 5])
def test_observations_that_do_not_differ(rows):
    with pytest.raises(InputError, match="do not differ"):
        Pca.fit(sparse.csr_array(np.tile([0.1, 0.7, 123.4], (rows, 1))), n_components=2)
