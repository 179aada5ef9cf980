"""Neighbour metrics against slow counting."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from stfmkit._core.errors import InputError
from stfmkit.metrics import (
    embedding_neighbors,
    neighborhood_purity,
    robustness_index,
    robustness_index_chance,
)

NICHE = np.tile(["a", "b", "b", "c"], 30)
PATIENT = np.repeat(["P1", "P2", "P3"], 40)


def slow_neighbors(X, k):
    distance = cdist(X, X)
    np.fill_diagonal(distance, np.inf)
    return np.argsort(distance, axis=1, kind="stable")[:, :k]


def test_neighbors_are_exact_and_without_self(rng):
    X = rng.normal(size=(120, 20))
    found = embedding_neighbors(X, 7)
    assert np.array_equal(found.indices, slow_neighbors(X, 7))
    distance = np.take_along_axis(cdist(X, X), found.indices, axis=1)
    np.testing.assert_allclose(found.distances, distance)
    assert np.array_equal(found.subset(3).indices, found.indices[:, :3])


def test_duplicates_are_neighbours_but_never_themselves():
    found = embedding_neighbors(np.repeat(np.arange(10.0), 2)[:, None], 1)
    assert (found.indices[:, 0] == np.arange(20) + np.tile([1, -1], 10)).all()


@pytest.mark.slow
def test_approximate_neighbors_are_nearly_all_right_and_seeded(rng):
    X = rng.normal(size=(400, 8))
    exact = embedding_neighbors(X, 15).indices
    found = embedding_neighbors(X, 15, method="approximate")
    assert np.array_equal(found.indices, embedding_neighbors(X, 15, method="approximate").indices)
    assert (found.indices != np.arange(400)[:, None]).all()
    recall = np.mean([len(set(a) & set(b)) / 15 for a, b in zip(exact, found.indices, strict=True)])
    assert recall > 0.97


@pytest.mark.parametrize("k", [1, 10, 50])
def test_robustness_index_equals_the_loop(rng, k):
    X = rng.normal(size=(120, 3)) + (NICHE == "a")[:, None] + (PATIENT == "P1")[:, None]
    so = os = 0
    for i, row in enumerate(slow_neighbors(X, k)):
        for j in row:
            so += NICHE[i] == NICHE[j] and PATIENT[i] != PATIENT[j]
            os += NICHE[i] != NICHE[j] and PATIENT[i] == PATIENT[j]
    assert robustness_index(X, NICHE, PATIENT, n_neighbors=k) == pytest.approx(so / (so + os))


def pathorob(X, what, who, slide, k):
    """By the definition: rows of unit length, nobody of the own slide, the k nearest, SO / (SO + OS) pooled."""
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    distance = cdist(unit, unit)
    distance[slide[:, None] == slide] = np.inf
    so = os = 0
    for i, row in enumerate(np.argsort(distance, axis=1, kind="stable")[:, :k]):
        so += ((what[row] == what[i]) & (who[row] != who[i])).sum()
        os += ((what[row] != what[i]) & (who[row] == who[i])).sum()
    return so / (so + os)


@pytest.fixture
def centres(rng):
    """Eight slides of four centres, with a shift of each slide that is none of the centre's doing."""
    slide, what = np.repeat(np.arange(8), 30), rng.choice(["a", "b", "c"], size=240)
    who = np.array([f"C{s % 4}" for s in slide])
    X = rng.normal(size=(240, 5)) + (what == "a")[:, None] + rng.normal(0, 2, size=(8, 5))[slide]
    return X, what, who, slide


@pytest.mark.parametrize("k", [1, 10, 50])
def test_robustness_index_without_the_own_slide_is_pathorobs(centres, k):
    X, what, who, slide = centres
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    wanted = pathorob(X, what, who, slide, k)
    assert robustness_index(unit, what, who, n_neighbors=k, exclude=slide) == pytest.approx(wanted)
    known = embedding_neighbors(unit, 60, exclude=slide)
    assert robustness_index(unit, what, who, n_neighbors=k, exclude=slide, neighbors=known) == pytest.approx(wanted)
    assert robustness_index(unit, what, who, n_neighbors=k) < wanted  # the shift of a slide is not that of its centre


def test_neighbours_elsewhere_are_the_nearest_outside_the_group(centres):
    X, *_, slide = centres
    found = embedding_neighbors(X, 9, exclude=slide)
    distance = cdist(X, X)
    distance[slide[:, None] == slide] = np.inf
    assert np.array_equal(found.indices, np.argsort(distance, axis=1, kind="stable")[:, :9])
    np.testing.assert_allclose(found.distances, np.sort(distance, axis=1)[:, :9])


def test_chance_without_the_own_slide_is_that_of_all_other_pairs(centres):
    _, what, who, slide = centres
    far = slide[:, None] != slide
    so = ((what[:, None] == what) & (who[:, None] != who) & far).sum()
    os = ((what[:, None] != what) & (who[:, None] == who) & far).sum()
    assert robustness_index_chance(what, who, exclude=slide) == pytest.approx(so / (so + os))
    assert robustness_index_chance(what, who, exclude=slide) > robustness_index_chance(what, who)


def test_one_slide_for_each_centre_leaves_nothing_to_confound(rng):
    X = rng.normal(size=(120, 3))
    assert robustness_index(X, NICHE, PATIENT, exclude=PATIENT, n_neighbors=20) == 1
    assert robustness_index_chance(NICHE, PATIENT, exclude=PATIENT) == 1


def test_robustness_index_orders_biology_noise_and_batch(rng):
    noise = rng.normal(size=(120, 3))
    biology = noise + 20 * (NICHE[:, None] == np.array(["a", "b", "c"]))
    batch = noise + 20 * (PATIENT[:, None] == np.array(["P1", "P2", "P3"]))
    values = [robustness_index(X, NICHE, PATIENT, n_neighbors=15) for X in (batch, noise, biology)]
    assert values[0] == 0
    assert values[1] == pytest.approx(robustness_index_chance(NICHE, PATIENT), abs=0.05)
    assert values[2] == 1


def test_chance_is_that_of_all_pairs():
    so = os = 0
    for i in range(120):
        for j in range(120):
            so += NICHE[i] == NICHE[j] and PATIENT[i] != PATIENT[j]
            os += NICHE[i] != NICHE[j] and PATIENT[i] == PATIENT[j]
    assert robustness_index_chance(NICHE, PATIENT) == pytest.approx(so / (so + os))


def test_biology_that_is_the_batch_has_no_index(rng):
    assert np.isnan(robustness_index(rng.normal(size=(120, 2)), PATIENT, PATIENT, n_neighbors=5))
    assert np.isnan(robustness_index_chance(PATIENT, PATIENT))


def test_purity_equals_the_loop_and_its_chance(rng):
    X = rng.normal(size=(120, 3)) + (NICHE == "a")[:, None]
    near = slow_neighbors(X, 9)
    by_class = [np.mean([(NICHE[near[i]] == c).mean() for i in np.flatnonzero(np.equal(NICHE, c))]) for c in "abc"]
    assert neighborhood_purity(X, NICHE, n_neighbors=9) == pytest.approx(np.mean(by_class))
    everyone = np.mean([(np.count_nonzero(np.equal(NICHE, c)) - 1) / 119 for c in "abc"])
    assert neighborhood_purity(X, NICHE, n_neighbors=119) == pytest.approx(everyone)


def test_known_neighbours_give_the_same(rng):
    X = rng.normal(size=(120, 3))
    known = embedding_neighbors(X, 60)
    assert robustness_index(X, NICHE, PATIENT, neighbors=known) == robustness_index(X, NICHE, PATIENT)
    assert neighborhood_purity(X, NICHE, neighbors=known) == neighborhood_purity(X, NICHE)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda X: embedding_neighbors(X, 120), "n_neighbors=120"),
        (lambda X: embedding_neighbors(X, 0), "n_neighbors=0"),
        (lambda X: embedding_neighbors(X, 3, method="annoy"), "annoy"),
        (lambda X: embedding_neighbors(X * np.nan, 3), "NaN"),
        (lambda X: robustness_index(X, NICHE[:-1], PATIENT), "biology of shape"),
        (lambda X: robustness_index(X, NICHE, PATIENT[:-1]), "confounder of shape"),
        (lambda X: robustness_index(X, ["a"] * 120, PATIENT), "one value in biology"),
        (lambda X: robustness_index(X, NICHE, ["P"] * 120), "one value in confounder"),
        (lambda X: robustness_index(X, NICHE, PATIENT, neighbors=embedding_neighbors(X, 20)), "n_neighbors=50"),
        (
            lambda X: robustness_index(X, NICHE, PATIENT, n_neighbors=5, neighbors=embedding_neighbors(X[:50], 20)),
            "shape",
        ),
        (lambda X: robustness_index(X, NICHE, PATIENT, n_neighbors=120), "n_neighbors=120"),
        (
            lambda X: robustness_index(X, NICHE, PATIENT, exclude=PATIENT, neighbors=embedding_neighbors(X, 60)),
            "neighbours in the own group of exclude",
        ),
        (lambda X: robustness_index(X, NICHE, PATIENT, exclude=["S"] * 120), "one value in exclude"),
        (lambda X: robustness_index(X, NICHE, PATIENT, exclude=PATIENT[1:]), "exclude of shape"),
        (
            lambda X: embedding_neighbors(X, 81, exclude=PATIENT),
            "40 of them in one group of exclude, and n_neig",
        ),
        (lambda X: embedding_neighbors(X, 3, exclude=PATIENT, method="approximate"), "method='approximate' with excl"),
        (lambda X: robustness_index_chance(NICHE, PATIENT, exclude=["S"] * 120), "one value in exclude"),
        (lambda X: neighborhood_purity(X, ["a"] * 120), "one value in labels"),
        (lambda X: robustness_index_chance(NICHE, ["P"] * 120), "one value in confounder"),
    ],
)
def test_unusable_input_is_refused(call, words, rng):
    with pytest.raises(InputError, match=words):
        call(rng.normal(size=(120, 2)))
