"""Likeness of embeddings against kernel matrices and sets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stfmkit._core.errors import InputError
from stfmkit.metrics import cka, embedding_neighbors, knn_overlap, rigid_motion_change


def slow_cka(X, Y):
    """Kornblith et al. 2019 with n × n kernels."""
    n = len(X)
    centre = np.eye(n) - 1 / n
    K, L = centre @ X @ X.T @ centre, centre @ Y @ Y.T @ centre
    return (K * L).sum() / np.sqrt((K * K).sum() * (L * L).sum())


def unbiased_hsic(K, L):
    """Song et al. 2012, equation 5, without the common factor."""
    n = len(K)
    K, L = K - np.diag(np.diag(K)), L - np.diag(np.diag(L))
    one = np.ones(n)
    return np.trace(K @ L) + (one @ K @ one) * (one @ L @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * (one @ K @ L @ one)


@pytest.mark.parametrize(("d", "e"), [(3, 3), (2, 40), (60, 5)])
def test_cka_equals_kernel_matrices(rng, d, e):
    X = rng.normal(size=(30, d)) + 5
    Y = np.column_stack([X[:, :2] ** 2, rng.normal(size=(30, e))])
    assert cka(X, Y) == pytest.approx(slow_cka(X, Y))
    K, L = X @ X.T, Y @ Y.T
    wanted = unbiased_hsic(K, L) / np.sqrt(unbiased_hsic(K, K) * unbiased_hsic(L, L))
    assert cka(X, Y, debiased=True) == pytest.approx(wanted)


def test_only_the_debiased_one_calls_noise_noise(rng):
    pairs = [(rng.normal(size=(60, 40)), rng.normal(size=(60, 40))) for _ in range(40)]
    assert np.mean([cka(*pair) for pair in pairs]) > 0.3
    assert abs(np.mean([cka(*pair, debiased=True) for pair in pairs])) < 0.02


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.floats(1e-6, 1e6), st.floats(-100, 100))
def test_cka_does_not_see_rotation_scale_and_shift(seed, scale, shift):
    rng = np.random.default_rng(seed)
    X, turn = rng.normal(size=(20, 4)), np.linalg.qr(rng.normal(size=(4, 4)))[0]
    for debiased in (False, True):
        assert cka(X, scale * (X @ turn + shift), debiased=debiased) == pytest.approx(1.0, abs=1e-6)


def test_a_constant_embedding_has_no_alignment(rng):
    assert np.isnan(cka(np.ones((10, 2)), rng.normal(size=(10, 2))))


def test_overlap_equals_sets(rng):
    X, Y = rng.normal(size=(80, 3)), rng.normal(size=(80, 5))
    Y[:, 0] += 2 * X[:, 0]
    near = [embedding_neighbors(part, 7).indices for part in (X, Y)]
    wanted = np.mean([len(set(a) & set(b)) / 7 for a, b in zip(*near, strict=True)])
    assert knn_overlap(X, Y, n_neighbors=7) == pytest.approx(wanted)
    assert knn_overlap(X, Y, n_neighbors=7, neighbors=embedding_neighbors(X, 20)) == pytest.approx(wanted)
    assert knn_overlap(X, rng.normal(size=(80, 3)), n_neighbors=79) == 1.0


def test_overlap_of_noise_is_chance(rng):
    found = np.mean([knn_overlap(rng.normal(size=(100, 4)), rng.normal(size=(100, 4))) for _ in range(20)])
    assert found == pytest.approx(15 / 99, abs=0.02)


def test_rigid_motion_is_seen_by_what_sees_it(rng):
    xy = rng.uniform(size=(50, 2)) * 100
    apart = rigid_motion_change(lambda at: np.linalg.norm(at[:, None] - at[None], axis=2), xy)
    assert apart.max() < 1e-9
    assert apart.index.tolist() == ["translation", "rotation", "reflection"]
    centred = rigid_motion_change(lambda at: at - at.mean(axis=0), xy)
    assert centred["translation"] < 1e-9
    assert centred["rotation"] > 0.05
    assert rigid_motion_change(lambda at: at, xy)["translation"] > 0.5


def test_reflections_are_told_from_rotations(rng):
    """The signed area of each point with two fixed ones changes sign in a mirror alone."""
    xy = rng.uniform(size=(40, 2))

    def area(at):
        a, b = at[1] - at[0], at - at[0]
        return (a[0] * b[:, 1] - a[1] * b[:, 0])[:, None]

    found = rigid_motion_change(area, xy)
    assert found[["translation", "rotation"]].max() < 1e-9
    assert found["reflection"] > 0.5


def test_motions_are_seeded_and_leave_the_coordinates_alone(rng):
    xy = rng.uniform(size=(20, 2))
    before = xy.copy()

    def spoil(at):
        result = at**2
        at[:] = 0
        return result

    first, again, other = (rigid_motion_change(spoil, xy, rng=seed) for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)
    assert np.array_equal(xy, before)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda X: cka(X, X[:-1]), "second of shape"),
        (lambda X: cka(X[:1], X[:1]), "1 observations"),
        (lambda X: cka(X[:3], X[:3], debiased=True), "3 observations"),
        (lambda X: cka(X, X * np.nan), "NaN"),
        (lambda X: knn_overlap(X, X, n_neighbors=30), "n_neighbors=30"),
        (lambda X: knn_overlap(X, X[:5]), "second of shape"),
        (lambda X: rigid_motion_change(lambda at: at, X * 0), "0 axes"),
        (lambda X: rigid_motion_change(lambda at: at, np.column_stack([X, X])), "coords of shape"),
        (lambda X: rigid_motion_change(lambda at: at * 0, X), "constant embedding"),
        (lambda X: rigid_motion_change(lambda at: at[:3], X), "the embedding of shape"),
        (lambda X: rigid_motion_change(lambda at: at, X, n_motions=0), "n_motions=0"),
        (lambda X: rigid_motion_change(lambda at: at[:, : 1 + (at[0, 0] == X[0, 0])], X), "embeddings of shape"),
    ],
)
def test_unusable_input_is_refused(call, words, rng):
    with pytest.raises(InputError, match=words):
        call(rng.normal(size=(30, 2)))


def test_known_neighbours_of_both_give_the_same_overlap(rng):
    a, b = rng.normal(size=(80, 5)), rng.normal(size=(80, 3))
    near = [embedding_neighbors(part, 20) for part in (a, b)]
    assert knn_overlap(a, b, n_neighbors=10, neighbors=near[0], second_neighbors=near[1]) == knn_overlap(
        a, b, n_neighbors=10
    )
    assert knn_overlap(a, b, n_neighbors=10, neighbors=near[0], second_neighbors=near[0]) == 1
    with pytest.raises(InputError, match="n_neighbors=25"):
        knn_overlap(a, b, n_neighbors=25, second_neighbors=near[1])
