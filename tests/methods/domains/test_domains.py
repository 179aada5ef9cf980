"""Clusterings against planted groups, against scikit-learn and scanpy, and in any order of the rows."""

import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from anndata import AnnData
from sklearn.cluster import KMeans as SklearnKMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

import stfmkit as sk
from stfmkit._data.view import View
from stfmkit.errors import InputError, StfmkitWarning
from stfmkit.methods._run_method import run_method
from stfmkit.methods.domains.leiden import search

ALL = [("kmeans", {}), ("gmm", {}), ("leiden", {})]


def view_of(vectors, names=None) -> View:
    names = [f"c{i}" for i in range(len(vectors))] if names is None else names
    adata = AnnData(np.ones((len(vectors), 1), dtype=np.float32), obs=pd.DataFrame(index=names))
    adata.obsm["X_e"] = np.asarray(vectors)
    return View(table=adata)


def run(name, vectors, *, rng=0, names=None, **options):
    method = sk.methods.load_method(name, task="domains", embedding_key="X_e", **options)
    return run_method(method, view_of(vectors, names), rng=rng)


@pytest.fixture
def planted(rng):
    """Four groups of unequal sizes."""
    groups = np.repeat(np.arange(4), [150, 90, 40, 20])
    order = rng.permutation(len(groups))
    return (6 * np.eye(4, 7)[groups] + rng.normal(size=(300, 7)))[order], groups[order]


@pytest.mark.parametrize(("name", "options"), ALL)
def test_planted_groups_are_found_and_numbered_by_size(planted, name, options):
    vectors, groups = planted
    found = run(name, vectors, n_clusters=4, **options)
    assert adjusted_rand_score(groups, found.result) > 0.97
    assert list(found.result.cat.categories) == ["0", "1", "2", "3"]
    counts = found.result.value_counts(sort=False).to_numpy()
    assert (np.diff(counts) <= 0).all()


@pytest.mark.parametrize(("name", "options"), ALL)
def test_the_order_of_the_rows_changes_no_bit(planted, name, options, rng):
    vectors, _ = planted
    order = rng.permutation(len(vectors))
    names = np.array([f"c{i}" for i in range(len(vectors))])
    found = run(name, vectors, n_clusters=4, **options)
    turned = run(name, vectors[order], names=names[order], n_clusters=4, **options)
    pd.testing.assert_series_equal(found.result, turned.result.loc[names])
    if found.probabilities is not None:
        pd.testing.assert_frame_equal(found.probabilities, turned.probabilities.loc[names], check_exact=True)


@pytest.mark.parametrize("name", ["kmeans", "gmm"])
def test_the_number_of_threads_changes_no_bit(planted, name):
    vectors, _ = planted
    found = run(name, vectors, n_clusters=6)
    with threadpool_limits(1):
        alone = run(name, vectors, n_clusters=6)
    assert found.result.equals(alone.result)
    assert found.facts == alone.facts


def test_kmeans_reaches_the_sum_of_squares_of_scikit_learn(planted):
    vectors, _ = planted
    oracle = SklearnKMeans(4, n_init=20, random_state=1).fit(vectors)
    found = run("kmeans", vectors, n_clusters=4)
    assert found.facts["inertia"] == pytest.approx(oracle.inertia_)
    assert adjusted_rand_score(oracle.labels_, found.result) == 1
    assert found.probabilities is None


@pytest.mark.parametrize("covariance", ["tied", "full", "diag", "spherical"])
def test_gmm_reaches_the_likelihood_of_scikit_learn(planted, covariance):
    vectors, _ = planted
    oracle = GaussianMixture(4, covariance_type=covariance, n_init=5, random_state=1).fit(vectors)
    found = run("gmm", vectors, n_clusters=4, covariance=covariance)
    assert found.facts["log_likelihood"] == pytest.approx(oracle.score(vectors), abs=1e-3)
    assert found.facts["converged"]
    shares = np.sort(oracle.predict_proba(vectors), axis=1)
    np.testing.assert_allclose(np.sort(found.probabilities, axis=1), shares, atol=0.02)
    best = found.probabilities.idxmax(axis=1)
    assert (best == found.result.astype(str)).all()


def test_gmm_finds_elongated_groups_of_unequal_sizes(rng):
    """Where k-means cuts the large group in two."""
    long = rng.normal(size=(400, 2)) * [6, 0.4]
    small = rng.normal(size=(60, 2)) * [6, 0.4] + [0, 4]
    vectors, groups = np.vstack([long, small]), np.repeat([0, 1], [400, 60])
    assert adjusted_rand_score(groups, run("gmm", vectors, n_clusters=2, covariance="full").result) > 0.95
    assert adjusted_rand_score(groups, run("kmeans", vectors, n_clusters=2).result) < 0.2


def test_gmm_says_when_it_has_not_converged(planted):
    vectors, _ = planted
    with pytest.warns(StfmkitWarning, match="still changed after 1 steps"):
        found = run("gmm", vectors, n_clusters=7, max_iter=1, n_starts=1)
    assert not found.facts["converged"]


def test_gmm_of_features_that_sum_to_one(rng):
    """A covariance that has no inverse."""
    shares = rng.dirichlet(np.ones(4), size=200)
    assert run("gmm", shares, n_clusters=3).result.notna().all()


def test_leiden_equals_scanpy_on_well_separated_groups(planted):
    vectors, _ = planted
    adata = AnnData(obsm={"X_e": vectors})
    sc.pp.neighbors(adata, n_neighbors=15, use_rep="X_e", random_state=0)
    sc.tl.leiden(adata, resolution=0.3, flavor="igraph", directed=False, n_iterations=2, random_state=0)
    found = run("leiden", vectors, resolution=0.3)
    assert adjusted_rand_score(adata.obs["leiden"], found.result) > 0.99
    assert found.facts["resolution"] == 0.3


@pytest.mark.parametrize("n_clusters", [2, 3, 5, 8])
def test_leiden_finds_the_resolution_of_a_number(rng, n_clusters):
    vectors = rng.uniform(size=(300, 2))
    found = run("leiden", vectors, n_clusters=n_clusters)
    assert len(found.result.cat.categories) == n_clusters == found.facts["n_clusters"]
    again = run("leiden", vectors, resolution=found.facts["resolution"])
    assert found.result.equals(again.result)


def test_a_number_that_no_resolution_gives():
    def steps(resolution):
        return np.arange(3) if resolution > 0.4 else np.zeros(3, dtype=int)

    with pytest.raises(InputError, match="gives 2 domains; the nearest numbers are 1, 3"):
        search(steps, 2)
    groups, resolution = search(lambda r: np.arange(max(int(8 * r), 1)), 4)
    assert len(groups) == 4
    assert 0.5 <= resolution < 0.625


@pytest.mark.parametrize(("name", "options"), ALL)
def test_refusals(planted, name, options):
    vectors, _ = planted
    with pytest.raises(InputError, match=r"2 different vectors in obsm\['X_e'\], and n_clusters=3"):
        run(name, np.repeat([[0.0], [1.0]], 20, axis=0), n_clusters=3, **options)
    holes = vectors.copy()
    holes[5, 0] = np.inf
    with pytest.raises(InputError, match="1 observations with NaN or infinite values"):
        run(name, holes, n_clusters=3, **options)
    with pytest.raises(InputError, match=r"shape \(300,\)|shape \(300, 0\)"):
        run(name, vectors[:, :0], n_clusters=3, **options)
    method = sk.methods.load_method(name, task="domains", embedding_key="X_e", n_clusters=3)
    with pytest.raises(InputError, match="with a reference"):
        run_method(method, view_of(vectors), view_of(vectors), rng=0)


def test_leiden_wants_one_of_two_numbers(planted):
    for options in ({}, {"n_clusters": 3, "resolution": 1.0}):
        with pytest.raises(InputError, match="for Leiden"):
            run("leiden", planted[0], **options)
    with pytest.raises(InputError, match="resolution=0"):
        run("leiden", planted[0], resolution=0)
    with pytest.raises(InputError, match="n_neighbors=300 and 300 observations"):
        run("leiden", planted[0], n_clusters=3, n_neighbors=300)
