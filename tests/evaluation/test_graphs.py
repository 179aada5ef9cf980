"""The graph of nearest neighbours, against distances."""

import numpy as np
from scipy.spatial.distance import cdist

from stfmkit.evaluation.graphs import N_NEIGHBORS, neighbor_graph


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
