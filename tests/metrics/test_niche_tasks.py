"""Neighbourhoods against the loop and squidpy's adjacency; scores against scikit-learn and scipy."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist, jensenshannon
from sklearn.metrics import f1_score, r2_score

from stfmkit._core.errors import InputError
from stfmkit.metrics import (
    composition_f1,
    composition_js,
    composition_r2,
    density_r2,
    grouped_ridge,
    neighborhood_composition,
)

TYPES = np.array(["B", "T", "myeloid"])


@pytest.fixture
def cells(rng):
    xy = rng.uniform(size=(120, 2)) * 100
    return xy, TYPES[rng.integers(3, size=120)], np.repeat(["S1", "S2"], 60)


def slow(cells, keep):
    xy, types, samples = cells
    distance = cdist(xy, xy)
    distance[samples[:, None] != samples] = np.inf
    np.fill_diagonal(distance, np.inf)
    near = [np.flatnonzero(keep(row)) for row in distance]
    return np.array([[(types[rows] == t).sum() for t in TYPES] for rows in near])


def test_radius_counts_what_is_within(cells):
    counts = slow(cells, lambda row: row <= 15)
    found = neighborhood_composition(*cells, radius=15)
    assert found.types.tolist() == TYPES.tolist()
    assert np.array_equal(found.counts, counts.sum(axis=1))
    np.testing.assert_allclose(found.shares * found.counts[:, None], counts)


def test_k_takes_the_nearest_of_the_sample(cells):
    counts = slow(cells, lambda row: np.argsort(np.argsort(row)) < 8)
    found = neighborhood_composition(*cells, n_neighbors=8)
    np.testing.assert_allclose(found.shares, counts / 8)
    assert (found.counts == 8).all()
    assert (neighborhood_composition(*cells, n_neighbors=500).counts == 59).all()


def test_an_observation_by_itself_has_no_composition():
    found = neighborhood_composition([[0, 0], [50, 0], [51, 0]], ["B", "T", "B"], ["S"] * 3, radius=2)
    assert found.counts.tolist() == [0, 1, 1]
    assert found.shares.tolist() == [[0, 0], [1, 0], [0, 1]]


def test_scores_equal_sklearn_and_scipy(rng):
    truth = rng.dirichlet([1, 1, 1, 1], size=50)
    guess = truth + rng.normal(0, 0.1, size=truth.shape)
    assert composition_r2(truth, guess) == pytest.approx(r2_score(truth, guess))
    positive = np.clip(guess, 0, None)
    wanted = np.mean([jensenshannon(t, p, base=2) ** 2 for t, p in zip(truth, positive, strict=True)])
    assert composition_js(truth, guess) == pytest.approx(wanted)
    first, second = truth.argmax(axis=1), guess.argmax(axis=1)
    assert composition_f1(truth, guess) == pytest.approx(f1_score(first, second, average="macro"))
    assert density_r2(truth[:, 0], guess[:, 0]) == pytest.approx(r2_score(truth[:, 0], guess[:, 0]))


def test_types_that_do_not_vary_are_left_out(rng):
    truth = np.column_stack([rng.dirichlet([1, 1], size=20), np.zeros(20)])
    guess = np.column_stack([truth[:, :2], rng.normal(size=20)])
    assert composition_r2(truth, guess) == pytest.approx(1.0)
    assert np.isnan(composition_r2([[0.5, 0.5]] * 3, [[1, 0]] * 3))
    assert np.isnan(density_r2([2, 2, 2], [1, 2, 3]))


def test_a_prediction_without_anything_positive_is_uniform():
    assert composition_js([[1.0, 0.0]], [[-1.0, 0.0]]) == composition_js([[1.0, 0.0]], [[0.5, 0.5]])


def test_an_embedding_that_knows_the_niche_predicts_composition(rng):
    """Two halves of three patients, each with its own type."""
    xy, patient = rng.uniform(size=(300, 2)), np.repeat(["P1", "P2", "P3"], 100)
    types = np.where((xy[:, 0] > 0.5) ^ (rng.uniform(size=300) < 0.1), "T", "B")
    truth = neighborhood_composition(xy, types, patient, n_neighbors=15).shares
    knows = (xy[:, :1] > 0.5) + rng.normal(0, 0.1, size=(300, 2))
    guesses = [grouped_ridge(X, truth, patient) for X in (knows, rng.normal(size=(300, 2)))]
    for metric in (composition_r2, composition_f1):
        good, bad = (metric(truth, guess) for guess in guesses)
        assert good > bad + 0.3
    assert composition_js(truth, guesses[0]) < composition_js(truth, guesses[1]) / 2


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda c: neighborhood_composition(*c), "n_neighbors=None and radius=None"),
        (lambda c: neighborhood_composition(*c, n_neighbors=3, radius=2.0), "n_neighbors=3 and radius=2"),
        (lambda c: neighborhood_composition(*c, radius=-1), "radius=-1"),
        (lambda c: neighborhood_composition(*c, n_neighbors=0), "n_neighbors=0"),
        (lambda c: neighborhood_composition(c[0] * np.nan, *c[1:], n_neighbors=3), "NaN"),
        (lambda c: neighborhood_composition(c[0][:, :1], *c[1:], n_neighbors=3), "coords of shape"),
        (lambda c: neighborhood_composition(c[0], c[1][:5], c[2], n_neighbors=3), "celltypes of shape"),
        (lambda c: composition_r2([[1, 0]], [[1, 0, 0]]), "predicted of shape"),
        (lambda c: composition_r2([[2, 1]], [[1, 0]]), "1 rows of truth that are not shares"),
        (lambda c: composition_js([[0, 0], [1, 0]], [[1, 0], [1, 0]]), "1 rows"),
        (lambda c: composition_f1([[1.5, -0.5]], [[1, 0]]), "1 rows"),
        (lambda c: density_r2([1, 2], [1, 2, 3]), "predicted of shape"),
    ],
)
def test_unusable_input_is_refused(call, words, cells):
    with pytest.raises(InputError, match=words):
        call(cells)
