"""The scIB metrics (Luecken et al. 2022), computed by scib-metrics with the neighbour counts of its ``Benchmarker``."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError
from stfmkit._core.optional import require
from stfmkit.metrics._checks import labels as check_labels
from stfmkit.metrics._checks import table
from stfmkit.metrics._neighbors import Neighbors, nearest

LISI, KBET, CONNECTIVITY = 90, 50, 15
"""Neighbours of each metric, the observation itself among them, as the Benchmarker counts."""

MOST = LISI - 1
"""The `k` of `embedding_neighbors` that serves all of them."""

BIO = (
    "scib_isolated_labels",
    "scib_kmeans_nmi",
    "scib_kmeans_ari",
    "scib_silhouette_label",
    "scib_clisi",
)
BATCH = ("scib_bras", "scib_ilisi", "scib_kbet", "scib_graph_connectivity", "scib_pcr")
_SMALLEST = 10  # scib-metrics leaves labels with fewer members out of kBET


def scib_isolated_labels(embedding: ArrayLike, labels: ArrayLike, batches: ArrayLike) -> float:
    """Return the silhouette, rescaled to [0, 1], of the labels that the fewest batches hold.

    Parameters
    ----------
    embedding
        Embedding (n_obs, d), as it is.
    labels
        Cell type or niche of every observation (n_obs,), at least two.
    batches
        Patient, slide or platform of every observation (n_obs,), at least two.

    Returns
    -------
    A number in [0, 1]; higher is better. 0.5 where these labels are not told from the rest.

    Raises
    ------
    InputError
        If labels or batches do not differ, values are not finite, or lengths differ.
    ImportError
        If scib-metrics is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> embedding = np.repeat([[0.0], [9.0]], 20, axis=0) + np.random.default_rng(0).normal(size=(40, 2))
    >>> celltype, patient = np.repeat(["B", "T"], 20), np.tile(["P1", "P2"], 20)
    >>> scib_isolated_labels(embedding, celltype, patient) > 0.8
    True
    """
    features, (what, who) = _inputs(embedding, labels=labels, batches=batches)
    with _scib() as scib:
        return float(scib.isolated_labels(features, what, who))


def scib_kmeans_nmi(embedding: ArrayLike, labels: ArrayLike) -> float:
    """Return the normalised mutual information of labels and k-means clusters, as many as labels.

    Parameters
    ----------
    embedding
        Embedding (n_obs, d), as it is.
    labels
        Cell type or niche of every observation (n_obs,), at least two.

    Returns
    -------
    A number in [0, 1]; higher is better.

    Raises
    ------
    InputError
        If labels or batches do not differ, values are not finite, or lengths differ.
    ImportError
        If scib-metrics is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> embedding = np.repeat([[0.0], [9.0]], 20, axis=0) + np.random.default_rng(0).normal(size=(40, 2))
    >>> celltype, patient = np.repeat(["B", "T"], 20), np.tile(["P1", "P2"], 20)
    >>> round(scib_kmeans_nmi(embedding, celltype), 6)
    1.0
    """
    return kmeans_scores(embedding, labels)["nmi"]


def scib_kmeans_ari(embedding: ArrayLike, labels: ArrayLike) -> float:
    """Return the adjusted Rand index of labels and k-means clusters, as many as labels.

    Parameters
    ----------
    embedding
        Embedding (n_obs, d), as it is.
    labels
        Cell type or niche of every observation (n_obs,), at least two.

    Returns
    -------
    A number in [-0.5, 1]; 0 is expected by chance.

    Raises
    ------
    InputError
        If labels or batches do not differ, values are not finite, or lengths differ.
    ImportError
        If scib-metrics is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> embedding = np.repeat([[0.0], [9.0]], 20, axis=0) + np.random.default_rng(0).normal(size=(40, 2))
    >>> celltype, patient = np.repeat(["B", "T"], 20), np.tile(["P1", "P2"], 20)
    >>> scib_kmeans_ari(embedding, celltype)
    1.0
    """
    return kmeans_scores(embedding, labels)["ari"]


def scib_silhouette_label(embedding: ArrayLike, labels: ArrayLike) -> float:
    """Return the mean silhouette width of the labels, rescaled to [0, 1].

    Parameters
    ----------
    embedding
        Embedding (n_obs, d), as it is.
    labels
        Cell type or niche of every observation (n_obs,), at least two.

    Returns
    -------
    A number in [0, 1]; higher is better. 0.5 where labels overlap entirely.

    Raises
    ------
    InputError
        If labels or batches do not differ, values are not finite, or lengths differ.
    ImportError
        If scib-metrics is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> embedding = np.repeat([[0.0], [9.0]], 20, axis=0) + np.random.default_rng(0).normal(size=(40, 2))
    >>> celltype, patient = np.repeat(["B", "T"], 20), np.tile(["P1", "P2"], 20)
    >>> scib_silhouette_label(embedding, celltype) > 0.8
    True
    """
    features, (what,) = _inputs(embedding, labels=labels)
    with _scib() as scib:
        return float(scib.silhouette_label(features, what))


def scib_clisi(embedding: ArrayLike, labels: ArrayLike, *, neighbors: Neighbors | None = None) -> float:
    """Return cLISI: how few labels are among the 90 nearest, median over observations, rescaled to [0, 1].

    The observation itself is one of the 90, as in the Benchmarker up to scib-metrics 0.5.

    Parameters
    ----------
    embedding
        Embedding (n_obs, d), as it is.
    labels
        Cell type or niche of every observation (n_obs,), at least two.
    neighbors
        Result of `embedding_neighbors` at 89 or more, exact where it is left out.

    Returns
    -------
    A number in [0, 1]; 1 where every neighbourhood holds one label.

    Raises
    ------
    InputError
        If labels do not differ, there are not more than 89 observations, or lengths differ.
    ImportError
        If scib-metrics is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> embedding = np.repeat([[0.0], [9.0]], 50, axis=0) + np.random.default_rng(0).normal(size=(100, 2))
    >>> celltype, patient = np.repeat(["B", "T"], 50), np.tile(["P1", "P2"], 50)
    >>> scib_clisi(embedding, celltype) > 0.8
    True
    """
    features, (what,) = _inputs(embedding, labels=labels)
    near = _neighbors(features, LISI, neighbors)
    with _scib() as scib:
        return float(scib.clisi_knn(_results(scib, near), what))


def scib_ilisi(embedding: ArrayLike, batches: ArrayLike, *, neighbors: Neighbors | None = None) -> float:
    """Return iLISI: how many batches are among the 90 nearest, median over observations, rescaled to [0, 1].

    Parameters
    ----------
    embedding
        Embedding (n_obs, d), as it is.
    batches
        Patient, slide or platform of every observation (n_obs,), at least two.
    neighbors
        Result of `embedding_neighbors` at 89 or more, exact where it is left out.

    Returns
    -------
    A number in [0, 1]; 1 where every neighbourhood holds all batches evenly.

    Raises
    ------
    InputError
        If batches do not differ, there are not more than 89 observations, or lengths differ.
    ImportError
        If scib-metrics is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> embedding = np.repeat([[0.0], [9.0]], 50, axis=0) + np.random.default_rng(0).normal(size=(100, 2))
    >>> celltype, patient = np.repeat(["B", "T"], 50), np.tile(["P1", "P2"], 50)
    >>> scib_ilisi(embedding, patient) > 0.8
    True
    """
    features, (who,) = _inputs(embedding, batches=batches)
    near = _neighbors(features, LISI, neighbors)
    with _scib() as scib:
        return float(scib.ilisi_knn(_results(scib, near), who))


def scib_graph_connectivity(embedding: ArrayLike, labels: ArrayLike, *, neighbors: Neighbors | None = None) -> float:
    """Return the share of every label in its largest connected part of the 15-neighbour graph, averaged.

    Parts are strongly connected, along the directed edges to the 15 nearest (the observation itself is one).

    Parameters
    ----------
    embedding
        Embedding (n_obs, d), as it is.
    labels
        Cell type or niche of every observation (n_obs,), at least two.
    neighbors
        Result of `embedding_neighbors` at 14 or more, exact where it is left out.

    Returns
    -------
    A number in (0, 1]; 1 where every label is one piece.

    Raises
    ------
    InputError
        If labels do not differ, there are not more than 14 observations, or lengths differ.
    ImportError
        If scib-metrics is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> embedding = np.repeat([[0.0], [9.0]], 20, axis=0) + np.random.default_rng(0).normal(size=(40, 2))
    >>> celltype, patient = np.repeat(["B", "T"], 20), np.tile(["P1", "P2"], 20)
    >>> 0 < scib_graph_connectivity(embedding, celltype) <= 1
    True
    """
    features, (what,) = _inputs(embedding, labels=labels)
    near = _neighbors(features, CONNECTIVITY, neighbors)
    with _scib() as scib:
        return float(scib.graph_connectivity(_results(scib, near), what))


def scib_bras(embedding: ArrayLike, labels: ArrayLike, batches: ArrayLike) -> float:
    """Return BRAS: one less the absolute silhouette of batches within labels, cosine, against all other batches.

    It takes the place of the batch silhouette, which nested batch effects mislead (Rautenstrauch and Ohler 2025).

    Parameters
    ----------
    embedding
        Embedding (n_obs, d), as it is.
    labels
        Cell type or niche of every observation (n_obs,), at least two.
    batches
        Patient, slide or platform of every observation (n_obs,), at least two.

    Returns
    -------
    A number in [0, 1]; 1 where batches overlap in every label. NaN where no label has two batches.

    Raises
    ------
    InputError
        If labels or batches do not differ, values are not finite, or lengths differ.
    ImportError
        If scib-metrics is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> embedding = np.repeat([[0.0], [9.0]], 20, axis=0) + np.random.default_rng(0).normal(size=(40, 2))
    >>> celltype, patient = np.repeat(["B", "T"], 20), np.tile(["P1", "P2"], 20)
    >>> scib_bras(embedding, celltype, patient) > 0.8
    True
    """
    features, (what, who) = _inputs(embedding, labels=labels, batches=batches)
    tab = pd.crosstab(what, who)
    levels = (tab > 0).sum(axis=1)
    if not ((levels > 1) & (levels < tab.sum(axis=1))).any():
        return float("nan")
    with _scib() as scib:
        return float(scib.bras(features, what, who))


def scib_kbet(
    embedding: ArrayLike, labels: ArrayLike, batches: ArrayLike, *, neighbors: Neighbors | None = None
) -> float:
    """Return kBET: the share of neighbourhoods within a label whose batches are as frequent as in the whole label.

    Within each label, diffusion distances on the graph of the 50 nearest (the observation itself is one) give as many
    neighbours as a quarter of a batch holds there, 10 to 70; their batches pass a χ² test at 0.05 or not. The mean over
    labels.

    Parameters
    ----------
    embedding
        Embedding (n_obs, d), as it is.
    labels
        Cell type or niche of every observation (n_obs,), at least two.
    batches
        Patient, slide or platform of every observation (n_obs,), at least two.
    neighbors
        Result of `embedding_neighbors` at 49 or more, exact where it is left out.

    Returns
    -------
    A number in [0, 1]; higher is better mixed. NaN where no label has ten members and two batches.

    Raises
    ------
    InputError
        If labels or batches do not differ, there are not more than 49 observations, or lengths differ.
    ImportError
        If scib-metrics is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> celltype, patient = np.repeat(["B", "T"], 30), np.repeat(["P1", "P2"], 30)
    >>> scib_kbet(np.random.default_rng(0).normal(size=(60, 2)), celltype, patient)  # no label has two batches
    nan
    """
    features, (what, who) = _inputs(embedding, labels=labels, batches=batches)
    near = _neighbors(features, KBET, neighbors)
    tab = pd.crosstab(what, who)
    if not (((tab > 0).sum(axis=1) > 1) & (tab.sum(axis=1) >= _SMALLEST)).any():
        return float("nan")
    with _scib() as scib:
        return float(scib.kbet_per_label(_results(scib, near), who, what))


def scib_pcr(embedding: ArrayLike, reference: ArrayLike, batches: ArrayLike) -> float:
    """Return by how much less of the variance the batch explains than before integration, as a share of before.

    Parameters
    ----------
    embedding
        Embedding (n_obs, d), as it is.
    reference
        Embedding (n_obs, d) before integration, such as ``hvg_pca``.
    batches
        Patient, slide or platform of every observation (n_obs,), at least two.

    Returns
    -------
    A number in [0, 1]; 0 where the batch explains as much as before, or more. NaN where it explained nothing.

    Raises
    ------
    InputError
        If labels or batches do not differ, values are not finite, or lengths differ.
    ImportError
        If scib-metrics is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> patient, noise = np.tile(["P1", "P2"], 20), np.random.default_rng(0).normal(size=(40, 2))
    >>> shifted = noise + 5.0 * (patient == "P2")[:, None]
    >>> scib_pcr(noise, shifted, patient) > 0.8, scib_pcr(shifted, noise, patient)
    (True, 0.0)
    """
    features, (who,) = _inputs(embedding, batches=batches)
    before = table(reference, name="reference", n=len(features)).astype(np.float32)
    with _scib() as scib, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="PCR comparison score is negative", category=UserWarning)
        if scib.utils.principal_component_regression(before, who, categorical=True) == 0:
            return float("nan")
        return float(scib.pcr_comparison(before, features, who, categorical=True))


def scib_total(scores: Mapping[str, float]) -> float:
    """Return the scIB total: 0.6 times the mean of the five scores of biology plus 0.4 times that of the five of batch.

    Parameters
    ----------
    scores
        The ten scores by name of their function, ``scib_isolated_labels`` to ``scib_pcr``. Others are not read.

    Returns
    -------
    A number of at most 1. NaN where one of the ten is NaN: a total of fewer is another total.

    Raises
    ------
    InputError
        If one of the ten is missing.

    Examples
    --------
    >>> from stfmkit.metrics._scib import BATCH, BIO
    >>> round(scib_total(dict.fromkeys(BIO, 1.0) | dict.fromkeys(BATCH, 0.5)), 6)
    0.8
    """
    missing = [name for name in (*BIO, *BATCH) if name not in scores]
    if missing:
        raise InputError(
            f"no score of {listed(missing)}.", allowed="all ten scores", remedy="compute these too, on the same data."
        )
    means = [float(np.mean([scores[name] for name in names])) for names in (BIO, BATCH)]
    return 0.6 * means[0] + 0.4 * means[1]


@contextmanager
def _scib() -> Iterator[ModuleType]:
    """Load scib-metrics; the import of umap says that it found no Tensorflow, which nothing here needs."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Tensorflow not installed", category=ImportWarning)
        module = require("scib_metrics", extra="scib")
    yield module


def kmeans_scores(embedding: ArrayLike, labels: ArrayLike) -> dict[str, float]:
    """Return "nmi" and "ari" of labels and k-means clusters."""
    features, (what,) = _inputs(embedding, labels=labels)
    with _scib() as scib:
        found = scib.nmi_ari_cluster_labels_kmeans(features, what)
    return {name: float(found[name]) for name in ("nmi", "ari")}


def _inputs(embedding: ArrayLike, **groups: ArrayLike) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the embedding as float32 and the codes of every grouping, each of at least two levels."""
    features = table(embedding, name="embedding").astype(np.float32)
    codes = []
    for name, values in groups.items():
        found, levels = pd.factorize(check_labels(values, name=name, n=len(features)), sort=True)
        if not 2 <= len(levels) < len(features):
            raise InputError(
                f"{len(levels)} levels of {name} in {len(features)} observations.",
                allowed="at least two, and fewer than observations",
                remedy=f"pass {name} that group the observations.",
            )
        codes.append(found)
    return features, codes


def _neighbors(features: np.ndarray, n: int, neighbors: Neighbors | None) -> Neighbors:
    """Return `n` neighbours of which the first is the observation itself, as scib-metrics wants them."""
    others = nearest(features, n - 1, neighbors)
    itself = np.arange(len(features))[:, None]
    return Neighbors(
        np.concatenate([itself, others.indices], axis=1).astype(np.int32),
        np.concatenate([np.zeros_like(itself), others.distances], axis=1).astype(np.float32),
    )


def _results(scib: ModuleType, near: Neighbors) -> Any:
    return scib.nearest_neighbors.NeighborsResults(indices=near.indices, distances=near.distances)
