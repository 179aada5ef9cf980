"""Cluster observations, and score clusters against labels within a sample."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from stfmkit import metrics
from stfmkit._core.random import int_seed, stream
from stfmkit.evaluation.canonical import numbers_by_size
from stfmkit.evaluation.samples import SampleRows, sample_rows
from stfmkit.evaluation.scores import Score, to_table

METHODS = ("kmeans", "gmm")
N_STARTS = 10
"""Starts of k-means, of which the best is taken."""
MIN_OBS_COMPACT = 12
"""Observations from which CHAOS and PAS, which read ten neighbours, are defined."""

_RIDGE = 1e-6
"""Added to the diagonal of a covariance, in units of the mean variance; keeps it invertible."""


def kmeans(values: np.ndarray, n_clusters: int, *, seed: int, n_starts: int = N_STARTS) -> np.ndarray:
    """Return the cluster of every row (n_obs,); no more clusters than there are different rows.

    Parameters
    ----------
    values
        Embedding (n_obs, d).
    seed
        Of the starts.
    """
    wanted = min(n_clusters, len(np.unique(values, axis=0)))
    if wanted < 2:
        return np.zeros(len(values), dtype=np.int64)
    with threadpool_limits(1):  # sums in one order, so that the bits do not depend on the cores
        model = fit_kmeans(values.astype(np.float64), wanted, seed=seed, n_starts=n_starts)
    return np.asarray(model.labels_, dtype=np.int64)


def fit_kmeans(values: np.ndarray, n_clusters: int, *, seed: int, n_starts: int) -> KMeans:
    """Return the best of several starts of k-means, fitted on values (n_obs, d)."""
    return KMeans(n_clusters=n_clusters, n_init=n_starts, random_state=seed).fit(values)


def fit_mixture(
    values: np.ndarray,
    n_clusters: int,
    *,
    seed: int,
    n_starts: int = 3,
    covariance: str = "tied",
    max_iter: int = 500,
) -> GaussianMixture:
    """Return the most likely of several starts of a mixture of Gaussians, fitted on values (n_obs, d)."""
    ridge = _RIDGE * max(float(values.var(axis=0).mean()), np.finfo(np.float64).tiny)
    return GaussianMixture(
        n_clusters,
        covariance_type=covariance,
        n_init=n_starts,
        max_iter=max_iter,
        reg_covar=ridge,
        random_state=seed,
    ).fit(values)


def cluster(
    values: np.ndarray, n_clusters: int, *, method: str, rng: np.random.Generator, few_starts: bool = False
) -> np.ndarray:
    """Return the cluster of every row (n_obs,), numbered from the largest; clusters of one size by their first row.

    Parameters
    ----------
    values
        Features (n_obs, d).
    method
        "kmeans", or "gmm" for Gaussians that share one covariance matrix.
    rng
        Draws the starts.
    few_starts
        Fewer starts, for clusters that are compared with many others.
    """
    seed = int_seed(rng)
    if method == "kmeans":
        found = kmeans(values, n_clusters, seed=seed, n_starts=3 if few_starts else N_STARTS)
    else:
        mixture = fit_mixture(values, n_clusters, seed=seed, n_starts=1 if few_starts else 3)
        found = mixture.predict(values)
    return numbers_by_size(found, n_clusters)[found]


def cluster_samples(
    embedding: np.ndarray, labels: np.ndarray, samples: np.ndarray, *, seed: int, fold: int = -1
) -> np.ndarray:
    """Return the cluster of every observation (n_obs,): k-means within a sample, as many clusters as it has labels.

    Parameters
    ----------
    embedding
        (n_obs, d).
    labels, samples
        Label and sample of every observation (n_obs,).
    seed
        Every fold and sample has a stream of its own.
    fold
        Number of the fold.
    """
    found = np.zeros(len(embedding), dtype=np.int64)
    for sample, _, rows in sample_rows(samples, samples):
        own = int_seed(stream(seed, "domains", fold, sample))
        found[rows] = kmeans(embedding[rows], len(np.unique(labels[rows])), seed=own)
    return found


def score_clusters(
    truth: np.ndarray,
    clusters: np.ndarray,
    *,
    samples: np.ndarray,
    patients: np.ndarray,
    coords: np.ndarray | None = None,
    fold: int = -1,
) -> pd.DataFrame:
    """Return agreement of clusters with labels, and their compactness in space, for every sample of two labels or more.

    Parameters
    ----------
    truth, clusters
        Label and cluster of every observation (n_obs,).
    samples, patients
        Names of the sample and of the patient of every observation (n_obs,).
    coords
        Coordinates (n_obs, 2); None leaves out what needs places.
    fold
        Number of the fold that tests these observations; -1 where there is none.

    Returns
    -------
    A table of scores of ``scope="sample"``: ``ari`` and ``nmi``, and ``chaos`` and ``pas`` of 12 observations or more.
    """
    found = []
    for sample in sample_rows(samples, patients):
        if len(np.unique(truth[sample.rows])) > 1:
            for metric, value in _sample_scores(truth, clusters, sample, coords):
                found.append(Score(metric=metric, value=value, scope="sample", fold=fold, **sample.columns))
    return to_table(found)


def _sample_scores(
    truth: np.ndarray, clusters: np.ndarray, sample: SampleRows, coords: np.ndarray | None
) -> Iterator[tuple[str, float]]:
    true, found = truth[sample.rows], clusters[sample.rows]
    yield "ari", metrics.ari(true, found)
    yield "nmi", metrics.nmi(true, found)
    if coords is not None and len(found) >= MIN_OBS_COMPACT:
        yield "chaos", metrics.chaos(coords[sample.rows], found)
        yield "pas", metrics.pas(coords[sample.rows], found)
