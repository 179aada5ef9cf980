"""Nearest neighbours against brute force; lattices, ties and small samples."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from stfmkit._kernels._neighbors import N_NEIGHBORS, knn_within, mean_operator, neighbor_graph


def brute(coords, samples, k):
    out = np.full((len(coords), k), -1)
    for i in range(len(coords)):
        others = [j for j in range(len(coords)) if j != i and samples[j] == samples[i]]
        others.sort(key=lambda j: (round(float(np.hypot(*(coords[j] - coords[i]))), 9), tuple(coords[j])))
        out[i, : len(others[:k])] = others[:k]
    return out


@pytest.mark.parametrize("lattice", [False, True])
def test_equals_brute_force(rng, lattice):
    coords = rng.integers(0, 9, size=(90, 2)).astype(float) if lattice else rng.normal(size=(90, 2))
    coords = np.unique(coords, axis=0)
    rng.shuffle(coords)
    samples = rng.integers(0, 3, size=len(coords))
    np.testing.assert_array_equal(knn_within(coords, samples, k=7), brute(coords, samples, 7))


def test_order_of_rows_does_not_matter_on_a_lattice(rng):
    coords = np.stack(np.meshgrid(np.arange(12.0), np.arange(12.0)), axis=-1).reshape(-1, 2)
    samples = np.zeros(len(coords), int)
    order = rng.permutation(len(coords))
    straight = knn_within(coords, samples, k=10)
    mixed = knn_within(coords[order], samples, k=10)
    np.testing.assert_array_equal(straight[order], order[mixed])


def test_a_lattice_with_strays_and_a_cloud_with_ties_equal_brute_force(rng):
    """Both ways to search meet both kinds of rows."""
    grid = np.stack(np.meshgrid(np.arange(20.0), np.arange(20.0)), axis=-1).reshape(-1, 2)
    for places in (np.concatenate([grid, rng.uniform(20, 30, size=(60, 2))]), rng.uniform(size=(400, 2))):
        places[-9:] = places[-9:].round()  # some places at the same distances
        coords = np.unique(places, axis=0)
        samples = np.zeros(len(coords), int)
        np.testing.assert_array_equal(knn_within(coords, samples, k=6), brute(coords, samples, 6))


def test_never_across_samples(rng):
    coords = rng.normal(size=(40, 2))
    samples = np.repeat([0, 1], 20)
    coords[20:] = coords[:20] + 1e-6  # the other sample is nearest by far
    found = knn_within(coords, samples, k=5)
    assert (samples[found] == samples[:, None]).all()


def test_small_samples_have_fewer():
    found = knn_within(np.array([[0.0, 0], [1, 0], [5, 5]]), np.array([0, 0, 1]), k=3)
    assert found.tolist() == [[1, -1, -1], [0, -1, -1], [-1, -1, -1]]


@pytest.mark.parametrize("include_self", [True, False])
def test_mean_operator_averages(rng, include_self):
    coords, values = rng.normal(size=(30, 2)), rng.normal(size=(30, 4))
    near = knn_within(coords, np.zeros(30, int), k=4)
    found = mean_operator(near, include_self=include_self) @ values
    for i in range(30):
        rows = [*near[i], i] if include_self else near[i]
        np.testing.assert_allclose(found[i], values[rows].mean(axis=0))


def test_mean_operator_of_the_lonely():
    operator = mean_operator(np.array([[-1]]), include_self=False)
    assert operator.toarray().tolist() == [[0.0]]


def test_weights_are_those_of_the_nearest_within_a_sample(rng):
    coords, samples = rng.uniform(0, 10, size=(60, 2)), rng.permutation(np.repeat(["a", "b"], 30))
    graph = neighbor_graph(coords, samples).toarray()
    distance = cdist(coords, coords)
    distance[samples[:, None] != samples[None, :]] = np.inf
    np.fill_diagonal(distance, np.inf)
    expected = np.zeros_like(distance)
    near = np.argsort(distance, axis=1)[:, :N_NEIGHBORS]
    np.put_along_axis(expected, near, 1 / N_NEIGHBORS, axis=1)
    np.testing.assert_allclose(graph, expected)


def test_a_sample_alone_has_the_graph_that_it_has_among_others(rng):
    coords, samples = rng.uniform(0, 10, size=(50, 2)), np.repeat([3, 1], [20, 30])
    whole = neighbor_graph(coords, samples)
    rows = samples == 1
    assert np.array_equal(whole[rows][:, rows].toarray(), neighbor_graph(coords[rows]).toarray())


def test_small_samples_have_the_neighbours_that_there_are():
    graph = neighbor_graph(np.array([[0.0, 0], [1, 0], [5, 5]]), np.array(["a", "a", "b"])).toarray()
    np.testing.assert_array_equal(graph, [[0, 1, 0], [1, 0, 0], [0, 0, 0]])
