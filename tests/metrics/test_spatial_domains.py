"""Coherence of domains against scikit-learn, scipy and the loops of the definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.spatial.distance import cdist, jensenshannon
from sklearn.metrics import f1_score, silhouette_score
from sklearn.neighbors import kneighbors_graph
from sklearn.preprocessing import StandardScaler

from stfmkit._core.errors import InputError
from stfmkit.metrics import chaos, domain_jsd, fide, pas, spatial_asw


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
    assert pas(coords, labels, n_neighbors=k) == pytest.approx(slow_pas(coords, labels, k))


def test_pas_breaks_ties_of_a_lattice_by_position(rng):
    grid = np.stack(np.meshgrid(np.arange(9.0), np.arange(9.0)), axis=-1).reshape(-1, 2)
    labels = rng.integers(3, size=81)
    assert pas(grid, labels, n_neighbors=3) == pytest.approx(slow_pas(grid, labels, 3))
    mixed = rng.permutation(81)
    assert pas(grid[mixed], labels[mixed], n_neighbors=3) == pas(grid, labels, n_neighbors=3)


def test_domains_are_closer_together_than_shuffled_ones(rng):
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
    with pytest.raises(InputError, match="10 observations and n_neighbors=10"):
        pas(np.zeros((10, 2)), ["a"] * 10)
    with pytest.raises(InputError, match="n_neighbors=0"):
        pas(np.zeros((10, 2)), ["a"] * 10, n_neighbors=0)


def halves(rng, n=120):
    xy = rng.uniform(size=(n, 2))
    return xy, np.where(xy[:, 0] > 0.5, "right", "left")


@pytest.mark.parametrize("k", [2, 6])
def test_spatial_asw_equals_sklearn(rng, k):
    xy, labels = rng.uniform(size=(80, 2)) * 1000, rng.integers(k, size=80)
    assert spatial_asw(xy, labels) == pytest.approx(silhouette_score(xy, labels))


def test_a_sample_estimates_the_whole_without_bias_and_by_its_seed(rng):
    xy, labels = halves(rng, n=400)
    whole = spatial_asw(xy, labels)
    found = [spatial_asw(xy, labels, n_sampled=40, rng=seed) for seed in range(60)]
    assert np.mean(found) == pytest.approx(whole, abs=4 * np.std(found) / np.sqrt(60))
    assert 0 < np.abs(np.array(found) - whole).max() < 2 / np.sqrt(40)
    assert spatial_asw(xy, labels, n_sampled=40, rng=7) == found[7]
    assert spatial_asw(xy, labels, n_sampled=400) == spatial_asw(xy, labels, n_sampled=9999) == whole
    with pytest.raises(InputError, match="n_sampled=0"):
        spatial_asw(xy, labels, n_sampled=0)


def novae_fide(labels, graph, n_classes):
    """Novae 1.0.5: true positives, false positives and false negatives of every domain, edge by edge."""
    left, right = graph.nonzero()
    found = []
    for name in set(labels[left]) | set(labels[right]):
        both = one = 0
        for a, b in zip(labels[left], labels[right], strict=True):
            both += a == name == b
            one += (a == name) != (b == name)
        found.append(2 * both / (2 * both + one))
    return sum(found) / (n_classes or len(found))


@pytest.mark.parametrize("n_classes", [None, 9])
def test_fide_of_directed_edges_equals_the_count(rng, n_classes):
    xy, labels = rng.uniform(size=(60, 2)), rng.integers(6, size=60)
    graph = kneighbors_graph(xy, 3)  # not symmetric
    assert fide(labels, graph, n_classes=n_classes) == pytest.approx(novae_fide(labels, graph, n_classes))


def test_jsd_of_many_samples_is_the_mean_divergence_from_their_mixture(rng):
    labels, samples = rng.integers(5, size=300), rng.choice(4, size=300, p=[0.1, 0.2, 0.3, 0.4])
    shares = np.array([np.bincount(labels[samples == s], minlength=5) / (samples == s).sum() for s in range(4)])
    wanted = np.mean([(p * np.log2(p / shares.mean(axis=0))).sum() for p in shares])
    assert domain_jsd(labels, samples) == pytest.approx(wanted)
    assert domain_jsd(labels, samples) <= 2


def test_fide_equals_sklearn_on_edges(rng):
    xy = rng.uniform(size=(150, 2))
    labels = rng.integers(5, size=150)
    graph = kneighbors_graph(xy, 6)
    left, right = graph.nonzero()
    per_class = f1_score(labels[left], labels[right], average=None)
    assert fide(labels, graph) == pytest.approx(per_class.mean())
    assert fide(labels, graph, n_classes=8) == pytest.approx(np.pad(per_class, (0, 3)).mean())


def test_fide_reads_edges_and_not_weights_or_stored_zeros(rng):
    xy, labels = halves(rng)
    graph = sparse.csr_array(kneighbors_graph(xy, 4))
    weighted = graph.copy()
    weighted.data = rng.uniform(0.1, 5, size=weighted.nnz)
    assert fide(labels, weighted) == fide(labels, graph)
    stored = sparse.csr_array(graph + 0)
    stored.data[::2] = 0
    assert fide(labels, stored) == fide(labels, stored.copy().multiply(1).tocsr())


def test_a_domain_without_edges_counts_only_where_it_was_asked_for():
    graph = sparse.csr_array(np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]]))
    assert fide(["a", "a", "b"], graph) == 1.0
    assert fide(["a", "a", "b"], graph, n_classes=2) == 0.5


def test_domains_are_more_coherent_than_shuffled_ones(rng):
    xy, labels = halves(rng)
    mixed, graph = rng.permutation(labels), kneighbors_graph(xy, 6)
    assert spatial_asw(xy, labels) > spatial_asw(xy, mixed)
    assert fide(labels, graph) > fide(mixed, graph)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1)), min_size=2, max_size=60))
def test_jsd_of_two_samples_is_scipys(pairs):
    labels, samples = map(np.array, zip(*pairs, strict=True))
    if len(np.unique(samples)) < 2:
        return
    shares = [np.bincount(labels[samples == s], minlength=5) / (samples == s).sum() for s in (0, 1)]
    assert domain_jsd(labels, samples) == pytest.approx(jensenshannon(*shares, base=2) ** 2, abs=1e-9)


def test_jsd_weighs_samples_alike_and_reaches_its_bound():
    labels = np.repeat(["a", "b", "c", "d"], [1, 50, 3, 20])
    assert domain_jsd(labels, labels) == pytest.approx(2.0)
    assert domain_jsd(["a", "b"] * 3, np.repeat([1, 2, 3], 2)) == 0.0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: spatial_asw(np.zeros((5, 2)), ["a"] * 5), "1 domains of 5"),
        (lambda: spatial_asw(np.zeros((3, 2)), ["a", "b", "c"]), "3 domains of 3"),
        (lambda: spatial_asw([[0, np.inf], [1, 1], [2, 2]], ["a", "b", "a"]), "1 NaN or infinite"),
        (lambda: spatial_asw(np.zeros((3, 2)), ["a", "b"]), "labels of shape"),
        (lambda: fide(["a", "b"], sparse.eye_array(3)), r"graph of shape \(3, 3\)"),
        (lambda: fide(["a", "b"], np.eye(2)), "graph of shape"),
        (lambda: fide(["a", "b"], None), "type NoneType"),
        (lambda: fide(["a", "b"], sparse.csr_array((2, 2))), "without an edge"),
        (lambda: fide(["a", "b"], sparse.eye_array(2), n_classes=1), "n_classes=1"),
        (lambda: fide(["a", None], sparse.eye_array(2)), "1 missing"),
        (lambda: domain_jsd(["a", "b"], ["S", "S"]), "one sample"),
        (lambda: domain_jsd(["a", "b"], ["S"]), "samples of shape"),
    ],
)
def test_unusable_input_is_refused(call, words):
    with pytest.raises(InputError, match=words):
        call()
