"""Clusters within samples, and their scores, against scikit-learn."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from stfmkit import metrics
from stfmkit._core.random import int_seed, stream
from stfmkit.evaluation.clusters import cluster, cluster_samples, kmeans, score_clusters


@pytest.fixture
def tissue(rng):
    labels = rng.choice(["a", "b", "c"], size=120)
    embedding = np.eye(3)[np.unique(labels, return_inverse=True)[1]] + rng.normal(0, 0.4, (120, 3))
    samples = np.repeat(["S1", "S2"], 60)
    return embedding, labels, samples, rng.uniform(0, 9, (120, 2))


def test_clusters_are_those_of_sklearn_within_every_sample(tissue):
    embedding, labels, samples, coords = tissue
    labels = labels.astype(object)
    labels[samples == "S2"] = np.where(labels[samples == "S2"] == "c", "b", labels[samples == "S2"])
    found = cluster_samples(embedding, labels, samples, seed=7, fold=2)
    table = score_clusters(labels, found, samples=samples, patients=samples, coords=coords, fold=2)
    for sample, n_clusters in (("S1", 3), ("S2", 2)):
        rows = samples == sample
        seed = int_seed(stream(7, "domains", 2, sample))
        expected = KMeans(n_clusters, n_init=10, random_state=seed).fit_predict(embedding[rows])
        assert adjusted_rand_score(expected, found[rows]) == 1
        scores = table[table["sample"] == sample].set_index("metric")["value"]
        assert scores["ari"] == pytest.approx(adjusted_rand_score(labels[rows], found[rows]))
        assert scores["nmi"] == pytest.approx(normalized_mutual_info_score(labels[rows], found[rows]))
        assert scores["chaos"] == metrics.chaos(coords[rows], found[rows])
        assert scores["pas"] == metrics.pas(coords[rows], found[rows])
    assert set(table["fold"]) == {2}
    assert set(table["scope"]) == {"sample"}


def test_samples_of_one_label_or_few_observations_have_fewer_scores(tissue):
    embedding, labels, samples, coords = tissue
    rows = np.r_[0:10, 60:120]
    one = np.where(samples == "S2", "a", labels)
    found = kmeans(embedding, 3, seed=0)
    table = score_clusters(one[rows], found[rows], samples=samples[rows], patients=samples[rows], coords=coords[rows])
    assert set(table["sample"]) == {"S1"}
    assert set(table["metric"]) == {"ari", "nmi"}  # ten neighbours need twelve observations
    places = score_clusters(labels, found, samples=samples, patients=samples)
    assert set(places["metric"]) == {"ari", "nmi"}


def test_no_more_clusters_than_different_rows():
    assert kmeans(np.zeros((5, 2)), 3, seed=0).tolist() == [0] * 5
    assert len(np.unique(kmeans(np.repeat([[0.0], [1.0]], 4, axis=0), 3, seed=0))) == 2


@pytest.mark.parametrize("method", ["kmeans", "gmm"])
def test_clusters_are_numbered_from_the_largest(rng, method):
    sizes = (12, 40, 25)
    values = np.concatenate([rng.normal(10 * i, 0.5, size=(n, 2)) for i, n in enumerate(sizes)])
    found = cluster(values, 3, method=method, rng=rng)
    assert np.bincount(found).tolist() == sorted(sizes, reverse=True)
    assert found[12] == 0
