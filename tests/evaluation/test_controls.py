"""Controls: what they keep, and what they destroy."""

import numpy as np
import pytest
from scipy import sparse

from stfmkit import metrics
from stfmkit._kernels._neighbors import knn_within, mean_operator
from stfmkit.evaluation.controls import (
    _hilbert,
    majority,
    noisy_labels,
    random_features,
    rotated,
    shuffled,
    shuffled_sparse,
    training_mean,
)

KINDS = [np.asarray, sparse.csr_array]


@pytest.fixture
def tissue(rng):
    coords = rng.uniform(0, 50, size=(600, 2))
    samples = np.repeat([0, 1, 2], [300, 299, 1])
    wave = np.sin(coords[:, :1] / 8) + np.sin(coords[:, 1:] / 6)
    counts = rng.poisson(np.exp(0.5 + wave) * rng.gamma(3, 0.3, size=(1, 12)))
    return sparse.csr_array(counts.astype(float)), samples, coords


@pytest.mark.parametrize("as_", KINDS)
@pytest.mark.parametrize("kind", ["rotated", "permuted"])
def test_every_gene_keeps_its_values_in_every_sample(tissue, rng, as_, kind):
    X, samples, coords = tissue
    given = as_(X.toarray())
    more = {"coords": coords} if kind == "rotated" else {}
    found = {"rotated": rotated, "permuted": shuffled_sparse}[kind](given, samples, rng=rng, **more).toarray()
    for sample in range(3):
        rows = samples == sample
        np.testing.assert_array_equal(np.sort(found[rows], axis=0), np.sort(X.toarray()[rows], axis=0))
    assert (found[:300] != X.toarray()[:300]).mean() > 0.3
    np.testing.assert_array_equal(
        as_(X.toarray()) != given, np.zeros(X.shape, dtype=bool)
    ) if as_ is np.asarray else None
    assert (sparse.csr_array(given) != X).nnz == 0


@pytest.mark.parametrize("kind", ["rotated", "permuted"])
def test_coexpression_is_gone_and_only_rotation_keeps_the_maps(tissue, rng, kind):
    X, samples, coords = tissue
    more = {"coords": coords} if kind == "rotated" else {}
    found = {"rotated": rotated, "permuted": shuffled_sparse}[kind](X, samples, rng=rng, **more)
    off = ~np.eye(12, dtype=bool)
    assert np.abs(metrics.correlation(X, groups=samples)[off]).mean() > 0.35
    assert np.abs(metrics.correlation(found, groups=samples)[off]).mean() < 0.15
    graph = mean_operator(knn_within(coords, samples, k=6), include_self=False)
    before, after = metrics.morans_i(X, graph).mean(), metrics.morans_i(found, graph).mean()
    assert before > 0.3
    assert (after > 0.6 * before) if kind == "rotated" else (after < 0.1 * before)


@pytest.mark.parametrize("as_", KINDS)
def test_random_features_inherit_the_covariance_of_the_training(rng, as_):
    X = rng.poisson(np.exp(rng.normal(size=(3000, 1)) * np.where(np.arange(20) < 10, 1, -1))).astype(float)
    found = random_features(as_(X), rng=rng)
    assert found.shape == (2000, 20)
    truth, noise = metrics.correlation(X), metrics.correlation(found)
    assert metrics.offdiagonal_correlation(truth, noise) > 0.9
    flat = random_features(as_(np.where(np.arange(20) == 3, 1.0, X)), rng=rng)
    assert np.ptp(flat[:, 3]) < 1e-8


def test_the_same_seed_gives_the_same_bits(tissue):
    X, samples, coords = tissue
    for make in (
        lambda r: rotated(X, samples, coords=coords, rng=r).toarray(),
        lambda r: shuffled_sparse(X, samples, rng=r).toarray(),
        lambda r: random_features(X, rng=r),
    ):
        first, again, other = (make(np.random.default_rng(seed)) for seed in (1, 1, 2))
        assert first.tobytes() == again.tobytes()
        assert first.tobytes() != other.tobytes()


def test_the_path_visits_every_square_of_a_grid_by_single_steps():
    x, y = np.meshgrid(np.arange(16.0), np.arange(16.0))
    grid = np.column_stack([x.ravel(), y.ravel()])
    path = grid[np.argsort(_hilbert(grid, np.zeros(256, dtype=int)))]
    assert (np.abs(np.diff(path, axis=0)).sum(axis=1) == 1).all()


def test_the_training_mean_and_the_majority_are_constant(rng):
    train = rng.normal(size=(20, 3))
    mean = training_mean(train, 4)
    assert mean.shape == (4, 3)
    np.testing.assert_allclose(mean[2], train.mean(axis=0))
    assert majority(np.array(["b", "a", "b"]), 3).tolist() == ["b"] * 3
    assert majority(np.array([2, 1, 2, 1]), 1).tolist() == [1]


def test_shuffled_values_stay_in_their_sample(rng):
    samples = rng.permutation(np.repeat([0, 1], [30, 50]))
    values = samples[:, None] * 100 + rng.normal(size=(80, 3))
    found = shuffled(values, samples, rng=rng)
    for sample in (0, 1):
        rows = samples == sample
        np.testing.assert_array_equal(np.sort(found[rows], axis=0), np.sort(values[rows], axis=0))
    assert (found != values).mean() > 0.9
    assert abs(np.corrcoef(found[samples == 1].T)[0, 1]) < 0.5
    labels = shuffled(samples * 10 + rng.integers(0, 3, 80), samples, rng=rng)
    assert (labels // 10 == samples).all()


def test_noisy_labels_know_the_labels(rng):
    codes = rng.integers(0, 3, 300)
    found = noisy_labels(codes, rng=rng)
    assert found.shape == (300, 3)
    assert (found.argmax(axis=1) == codes).mean() > 0.95
    np.testing.assert_allclose(noisy_labels(np.array([1, -1]), rng=rng, noise=0), [[0, 1], [0, 0]])
