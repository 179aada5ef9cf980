"""Partitions against scikit-learn; CHAOS and PAS against the loops of their definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.preprocessing import StandardScaler

from stfmkit._core.errors import InputError
from stfmkit.metrics import ari, chaos, nmi, pas


def slow_chaos(coords, labels):
    """SDMBench: 1-NN distances inside clusters of more than two, over all observations."""
    scaled = StandardScaler().fit_transform(coords)
    total = 0.0
    for cluster in set(labels):
        members = scaled[np.array(labels) == cluster]
        if len(members) <= 2:
            continue
        for i in range(len(members)):
            total += min(np.linalg.norm(members[i] - members[j]) for j in range(len(members)) if j != i)
    return total / len(labels)


def slow_pas(coords, labels, k):
    """SDMBench: abnormal if more than k / 2 of the k nearest others have another label."""
    distance = cdist(coords, coords)
    abnormal = 0
    for i in range(len(labels)):
        others = sorted(set(range(len(labels))) - {i}, key=lambda j: (round(distance[i, j], 9), *coords[j]))[:k]
        abnormal += sum(labels[j] != labels[i] for j in others) > k / 2
    return abnormal / len(labels)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=50))
def test_ari_and_nmi_equal_sklearn(pairs):
    truth, predicted = map(list, zip(*pairs, strict=True))
    assert ari(truth, predicted) == pytest.approx(adjusted_rand_score(truth, predicted))
    assert nmi(truth, predicted) == pytest.approx(normalized_mutual_info_score(truth, predicted))


def test_partitions_may_be_named_differently():
    assert ari(["a", "a", "b"], [7, 7, 1]) == 1.0
    assert nmi(["a", "a", "b"], [7, 7, 1]) == pytest.approx(1.0)


def test_ari_is_zero_on_average_for_random_labels(rng):
    truth = np.repeat([0, 1, 2], 20)
    scores = [ari(truth, rng.permutation(truth)) for _ in range(400)]
    assert abs(np.mean(scores)) < 3 * np.std(scores) / np.sqrt(400) + 1e-9


@pytest.mark.parametrize("n_clusters", [1, 2, 5, 30])
def test_chaos_equals_its_definition(rng, n_clusters):
    coords = rng.uniform(size=(60, 2)) * [10, 300]
    labels = rng.integers(n_clusters, size=60).tolist()
    assert chaos(coords, labels) == pytest.approx(slow_chaos(coords, labels))


def test_chaos_takes_coordinates_on_a_line():
    coords = np.column_stack([np.arange(5.0), np.full(5, 3.0)])
    assert chaos(coords, [0] * 5) == pytest.approx(slow_chaos(coords, [0] * 5))


@pytest.mark.parametrize("k", [1, 4, 10])
def test_pas_equals_its_definition(rng, k):
    coords = rng.uniform(size=(80, 2))
    labels = (coords[:, 0] > 0.5).astype(int) + rng.integers(2, size=80)
    assert pas(coords, labels, k=k) == pytest.approx(slow_pas(coords, labels, k))


def test_pas_breaks_ties_of_a_lattice_by_position(rng):
    grid = np.stack(np.meshgrid(np.arange(9.0), np.arange(9.0)), axis=-1).reshape(-1, 2)
    labels = rng.integers(3, size=81)
    assert pas(grid, labels, k=3) == pytest.approx(slow_pas(grid, labels, 3))
    mixed = rng.permutation(81)
    assert pas(grid[mixed], labels[mixed], k=3) == pas(grid, labels, k=3)


def test_domains_are_more_coherent_than_shuffled_ones(rng):
    coords = rng.uniform(size=(200, 2))
    labels = (coords[:, 0] > 0.5).astype(int)
    assert chaos(coords, labels) < chaos(coords, rng.permutation(labels))
    assert pas(coords, labels) < pas(coords, rng.permutation(labels))


def test_one_cluster_for_everything_scores_best(rng):
    coords = rng.uniform(size=(50, 2))
    assert pas(coords, ["all"] * 50) == 0.0


@pytest.mark.parametrize("metric", [chaos, pas])
def test_unusable_coordinates_are_refused(metric):
    with pytest.raises(InputError, match="1 NaN or infinite"):
        metric([[0.0, np.nan]] + [[1.0, 1.0]] * 11, ["a"] * 12)
    with pytest.raises(InputError, match="labels of shape"):
        metric(np.zeros((12, 2)), ["a"] * 11)
    with pytest.raises(InputError, match="coords of shape"):
        metric(np.zeros(12), ["a"] * 12)
    with pytest.raises(InputError, match="two axes"):
        metric(np.zeros((12, 1)), ["a"] * 12)


def test_pas_refuses_fewer_observations_than_neighbours():
    with pytest.raises(InputError, match="10 observations and k=10"):
        pas(np.zeros((10, 2)), ["a"] * 10)
    with pytest.raises(InputError, match="k=0"):
        pas(np.zeros((10, 2)), ["a"] * 10, k=0)


def test_partitions_of_different_length_are_refused():
    with pytest.raises(InputError, match="2 labels"):
        ari(["a", "b"], ["a"])
    with pytest.raises(InputError, match="1 missing"):
        nmi(["a", None], ["a", "b"])
