"""The scIB metrics of biology: whether an embedding tells labels apart."""

from numpy.typing import ArrayLike

from stfmkit.metrics._metric import metric
from stfmkit.metrics._neighbors import Neighbors
from stfmkit.metrics._scib import LISI, SOURCE, load_scib, own_first, read_inputs, results


@metric(
    title="scIB isolated labels",
    label="Isolated labels",
    family="embedding",
    higher_is_better=True,
    bounds=(0, 1),
    chance=None,
    source=SOURCE,
    summary="Rescaled silhouette of the labels that are present in the fewest batches.",
)
def scib_isolated_labels(embedding: ArrayLike, labels: ArrayLike, batches: ArrayLike) -> float:
    """Return the silhouette, rescaled to [0, 1], of the labels that are present in the fewest batches.

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
    >>> import stfmkit as sk
    >>> embedding = np.repeat([[0.0], [9.0]], 20, axis=0) + np.random.default_rng(0).normal(size=(40, 2))
    >>> celltype, patient = np.repeat(["B", "T"], 20), np.tile(["P1", "P2"], 20)
    >>> sk.metrics.scib_isolated_labels(embedding, celltype, patient) > 0.8
    True
    """
    features, (what, who) = read_inputs(embedding, labels=labels, batches=batches)
    with load_scib() as scib:
        return float(scib.isolated_labels(features, what, who))


@metric(
    title="scIB k-means NMI",
    label="k-means NMI",
    family="embedding",
    higher_is_better=True,
    bounds=(0, 1),
    chance=None,
    source=SOURCE,
    summary="Normalised mutual information of labels and k-means clusters.",
)
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
    >>> import stfmkit as sk
    >>> embedding = np.repeat([[0.0], [9.0]], 20, axis=0) + np.random.default_rng(0).normal(size=(40, 2))
    >>> celltype, patient = np.repeat(["B", "T"], 20), np.tile(["P1", "P2"], 20)
    >>> round(sk.metrics.scib_kmeans_nmi(embedding, celltype), 6)
    1.0
    """
    return kmeans_scores(embedding, labels)["nmi"]


@metric(
    title="scIB k-means ARI",
    label="k-means ARI",
    family="embedding",
    higher_is_better=True,
    bounds=(-0.5, 1),
    chance=0,
    source=SOURCE,
    summary="Adjusted Rand index of labels and k-means clusters.",
)
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
    >>> import stfmkit as sk
    >>> embedding = np.repeat([[0.0], [9.0]], 20, axis=0) + np.random.default_rng(0).normal(size=(40, 2))
    >>> celltype, patient = np.repeat(["B", "T"], 20), np.tile(["P1", "P2"], 20)
    >>> sk.metrics.scib_kmeans_ari(embedding, celltype)
    1.0
    """
    return kmeans_scores(embedding, labels)["ari"]


@metric(
    title="scIB silhouette label",
    label="Silhouette label",
    family="embedding",
    higher_is_better=True,
    bounds=(0, 1),
    chance=None,
    source=SOURCE,
    summary="Rescaled mean silhouette of the labels; 0.5 where they overlap.",
)
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
    >>> import stfmkit as sk
    >>> embedding = np.repeat([[0.0], [9.0]], 20, axis=0) + np.random.default_rng(0).normal(size=(40, 2))
    >>> celltype, patient = np.repeat(["B", "T"], 20), np.tile(["P1", "P2"], 20)
    >>> sk.metrics.scib_silhouette_label(embedding, celltype) > 0.8
    True
    """
    features, (what,) = read_inputs(embedding, labels=labels)
    with load_scib() as scib:
        return float(scib.silhouette_label(features, what))


@metric(
    title="scIB cLISI",
    label="cLISI",
    family="embedding",
    higher_is_better=True,
    bounds=(0, 1),
    chance=None,
    source=SOURCE,
    summary="How few labels are among the 90 nearest.",
)
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
    >>> import stfmkit as sk
    >>> embedding = np.repeat([[0.0], [9.0]], 50, axis=0) + np.random.default_rng(0).normal(size=(100, 2))
    >>> celltype, patient = np.repeat(["B", "T"], 50), np.tile(["P1", "P2"], 50)
    >>> sk.metrics.scib_clisi(embedding, celltype) > 0.8
    True
    """
    features, (what,) = read_inputs(embedding, labels=labels)
    near = own_first(features, LISI, neighbors)
    with load_scib() as scib:
        return float(scib.clisi_knn(results(scib, near), what))


def kmeans_scores(embedding: ArrayLike, labels: ArrayLike) -> dict[str, float]:
    """Return "nmi" and "ari" of labels and k-means clusters."""
    features, (what,) = read_inputs(embedding, labels=labels)
    with load_scib() as scib:
        found = scib.nmi_ari_cluster_labels_kmeans(features, what)
    return {name: float(found[name]) for name in ("nmi", "ari")}
