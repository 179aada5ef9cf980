"""Coherence of domains in space, and their agreement across slides; none of it needs a truth."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.spatial import cKDTree

from stfmkit._core.arguments import check_integer
from stfmkit._core.errors import InputError
from stfmkit._core.matrices import in_memory, sound_rows
from stfmkit._core.random import RNGLike, as_generator
from stfmkit._kernels._neighbors import knn_within
from stfmkit.metrics._arrays import labels as check_labels
from stfmkit.metrics._arrays import table
from stfmkit.metrics._metric import metric


@metric(
    title="CHAOS",
    family="clustering",
    higher_is_better=False,
    bounds=(0, None),
    chance=None,
    source="Shang and Zhou 2022, Nat Commun 13:7203; SDMBench",
    summary="Mean distance to the nearest member of the own cluster; one cluster for everything is the best score.",
)
def chaos(coords: ArrayLike, labels: ArrayLike) -> float:
    """Return CHAOS: the mean distance to the nearest member of the own cluster, on z-scored coordinates.

    As SDMBench and SpatialPCA define it: each axis is scaled to unit standard deviation, distances are summed over the
    clusters of more than two members, and the sum is divided by the number of all observations. Three pitfalls follow.
    One cluster for everything is the best score, so biology is ignored: always print k-means of the coordinates beside
    it. Tiny clusters leave the numerator only, which rewards them. Scaling is by axis and the value shrinks with the
    number of observations, so compare only on the same slide.

    Parameters
    ----------
    coords
        Coordinates (n_obs, n_axes) of one sample.
    labels
        Cluster of every observation (n_obs,).

    Returns
    -------
    A number of at least 0; lower is more coherent.

    Raises
    ------
    InputError
        If coordinates are not finite, or lengths differ.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> line = np.column_stack([np.arange(6.0), np.zeros(6)])
    >>> bool(sk.metrics.chaos(line, [0, 0, 0, 1, 1, 1]) < sk.metrics.chaos(line, [0, 1, 0, 1, 0, 1]))
    True
    """
    xy, codes = _placed(coords, labels)
    spread = xy.std(axis=0)
    spread[np.ptp(xy, axis=0) == 0] = 1.0
    scaled = (xy - xy.mean(axis=0)) / spread
    total = 0.0
    by_cluster = scaled[np.argsort(codes, kind="stable")]
    for members in np.split(by_cluster, np.cumsum(np.bincount(codes))[:-1]):
        if len(members) > 2:
            total += cKDTree(members).query(members, k=2)[0][:, 1].sum()
    return float(total / len(xy))


@metric(
    title="Abnormal spots (PAS)",
    label="PAS",
    family="clustering",
    higher_is_better=False,
    bounds=(0, 1),
    chance=None,
    source="Shang and Zhou 2022, Nat Commun 13:7203; SDMBench",
    summary="Share of spots with most neighbours in other clusters; one cluster for everything is the best score.",
)
def pas(coords: ArrayLike, labels: ArrayLike, *, n_neighbors: int = 10) -> float:
    """Return PAS: the share of observations of which more than half of the nearest others lie in another cluster.

    As SDMBench and SpatialPCA define it. One cluster for everything scores a perfect 0, so print k-means of the
    coordinates beside it. On a lattice the last neighbour is often tied; ties go to the lower x, then y, here,
    where the original leaves them to the sort.

    Parameters
    ----------
    coords
        Coordinates (n_obs, n_axes) of one sample.
    labels
        Cluster of every observation (n_obs,).
    n_neighbors
        Number of neighbours.

    Returns
    -------
    A number in [0, 1]; lower is more coherent.

    Raises
    ------
    InputError
        If coordinates are not finite, lengths differ, or there are not more than `n_neighbors` observations.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> line = np.column_stack([np.arange(6.0), np.zeros(6)])
    >>> sk.metrics.pas(line, ["a", "a", "a", "b", "b", "b"], n_neighbors=2)
    0.0
    """
    check_integer(n_neighbors, name="n_neighbors", least=1)
    xy, codes = _placed(coords, labels)
    if len(xy) <= n_neighbors:
        raise InputError(
            f"{len(xy)} observations and n_neighbors={n_neighbors}.",
            allowed="more observations than neighbours",
            remedy="pass a smaller n_neighbors, or leave this sample out.",
        )
    neighbors = knn_within(xy, np.zeros(len(xy), dtype=np.int64), k=int(n_neighbors))
    others = (codes[neighbors] != codes[:, None]).sum(axis=1)
    return float((others > n_neighbors / 2).mean())


@metric(
    title="Spatial ASW",
    family="clustering",
    higher_is_better=True,
    bounds=(-1, 1),
    chance=None,
    source="Yuan et al. 2024, Nat Methods 21:712 (SDMBench)",
    summary="Mean silhouette of domains on the coordinates; high for round domains, whatever the biology.",
)
def spatial_asw(coords: ArrayLike, labels: ArrayLike, *, n_sampled: int | None = None, rng: RNGLike = 0) -> float:
    """Return the mean silhouette width of domains on the coordinates of one sample.

    Euclidean distances, as scikit-learn's ``silhouette_score``, without a matrix of distances: memory is flat, and time
    grows with the square of the observations. It asks for compact round domains: layers and ducts score low however
    right they are, and k-means of the coordinates scores high. Print that beside it.

    Parameters
    ----------
    coords
        Coordinates (n_obs, n_axes) of one sample.
    labels
        Domain of every observation (n_obs,), at least two domains and fewer than observations.
    n_sampled
        Average over so many observations drawn without replacement, each compared with all: an unbiased estimate for
        a million of them, within 2 / √n_sampled of the whole 19 times in 20. All where it is left out.
    rng
        Seed or generator of the draw.

    Returns
    -------
    A number in [-1, 1]; higher is more compact.

    Raises
    ------
    InputError
        If there is one domain, every observation is its own, coordinates are not finite, lengths differ, or
        `n_sampled` is below 1.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> line = np.column_stack([[0.0, 1, 10, 11], np.zeros(4)])
    >>> (
    ...     round(sk.metrics.spatial_asw(line, ["a", "a", "b", "b"]), 3),
    ...     round(sk.metrics.spatial_asw(line, ["a", "b", "a", "b"]), 3),
    ... )
    (0.9, -0.45)
    """
    from stfmkit._kernels._silhouette import silhouettes

    xy = np.ascontiguousarray(table(coords, name="coords"), dtype=np.float64)
    codes, names = pd.factorize(check_labels(labels, name="labels", n=len(xy)), sort=True)
    if not 2 <= len(names) < len(xy):
        raise InputError(
            f"{len(names)} domains of {len(xy)} observations.",
            allowed="at least two domains, and fewer than observations",
            remedy="leave this sample out, or cluster it otherwise.",
        )
    rows = None
    if n_sampled is not None:
        check_integer(n_sampled, name="n_sampled", least=1)
        if n_sampled < len(xy):
            rows = np.sort(as_generator(rng).choice(len(xy), size=int(n_sampled), replace=False))
    return float(silhouettes(xy, codes.astype(np.int64), np.bincount(codes), rows=rows).mean())


@metric(
    title="FIDE",
    family="clustering",
    higher_is_better=True,
    bounds=(0, 1),
    chance=None,
    source="Blampey et al. 2025, Nat Methods 22:2539 (Novae)",
    summary="F1 of graph edges that stay inside a domain, averaged over domains; best for one domain.",
)
def fide(labels: ArrayLike, graph: Any, *, n_classes: int | None = None) -> float:
    """Return FIDE: the F1 score of the edges that stay inside a domain, averaged over domains.

    As Novae defines it: every edge of the graph is one pair of the domains at its two ends, these are scored like a
    truth and a prediction, and the F1 scores of the domains are averaged. Weights are ignored; what counts is that
    there is an edge. One domain for everything scores a perfect 1, unless `n_classes` asks for more.

    Parameters
    ----------
    labels
        Domain of every observation (n_obs,).
    graph
        Spatial graph (n_obs, n_obs), sparse, of one sample or of several that are not connected.
    n_classes
        Number of domains that were asked for. Those that are not at any edge enter the mean as 0.

    Returns
    -------
    A number in [0, 1]; higher is more coherent.

    Raises
    ------
    InputError
        If the graph has another shape or no edge, or there are more domains than `n_classes`.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> import stfmkit as sk
    >>> chain = sparse.csr_array(np.eye(4, k=1) + np.eye(4, k=-1))
    >>> round(sk.metrics.fide(["a", "a", "b", "b"], chain), 3), round(sk.metrics.fide(["a", "b", "a", "b"], chain), 3)
    (0.667, 0.0)
    """
    codes, names = pd.factorize(check_labels(labels, name="labels"), sort=True)
    edges = _edges(graph, n=len(codes))
    left, right = codes[edges[0]], codes[edges[1]]
    at_edges = np.bincount(left, minlength=len(names)) + np.bincount(right, minlength=len(names))
    inside = np.bincount(left[left == right], minlength=len(names))
    present = at_edges > 0
    n = int(present.sum())
    if n_classes is not None:
        check_integer(n_classes, name="n_classes", least=1)
        if n_classes < n:
            raise InputError(
                f"{n} domains, and n_classes={n_classes}.",
                allowed="as many domains as were asked for, or fewer",
                remedy="pass the number that the clustering was asked for.",
            )
        n = int(n_classes)
    return float((2 * inside[present] / at_edges[present]).sum() / n)


@metric(
    title="Domain JSD",
    family="clustering",
    higher_is_better=False,
    bounds=(0, None),
    chance=None,
    source="Blampey et al. 2025, Nat Methods 22:2539 (Novae)",
    summary="Jensen–Shannon divergence in bits of the domain shares of samples; 0 where all share them alike.",
)
def domain_jsd(labels: ArrayLike, samples: ArrayLike) -> float:
    """Return the Jensen–Shannon divergence of the domain shares of samples, in bits.

    The entropy of the mean composition less the mean entropy of the compositions, every sample with the same weight.
    Low means that domains are shared by all slides; slides that truly differ cannot reach 0, and one domain for
    everything does.

    Parameters
    ----------
    labels
        Domain of every observation (n_obs,).
    samples
        Sample, slide or patient of every observation (n_obs,), at least two.

    Returns
    -------
    A number from 0 to the binary logarithm of the number of samples.

    Raises
    ------
    InputError
        If there is one sample, or lengths differ.

    Examples
    --------
    >>> import stfmkit as sk
    >>> (
    ...     sk.metrics.domain_jsd(["a", "b", "a", "b"], ["S1", "S1", "S2", "S2"]),
    ...     sk.metrics.domain_jsd(["a", "a", "b"], ["S1", "S1", "S2"]),
    ... )
    (0.0, 1.0)
    """
    codes, names = pd.factorize(check_labels(labels, name="labels"), sort=True)
    where, slides = pd.factorize(check_labels(samples, name="samples", n=len(codes)), sort=True)
    if len(slides) < 2:
        raise InputError("one sample.", allowed="at least two", remedy="pass all samples together.")
    counts = np.zeros((len(slides), len(names)))
    np.add.at(counts, (where, codes), 1.0)
    shares = counts / counts.sum(axis=1, keepdims=True)
    return float(max(_entropy(shares.mean(axis=0)[None])[0] - _entropy(shares).mean(), 0.0))


def _entropy(shares: np.ndarray) -> np.ndarray:
    """Entropy in bits of every row."""
    safe = np.where(shares > 0, shares, 1.0)
    return np.asarray(-(safe * np.log2(safe)).sum(axis=1))


def _edges(graph: Any, *, n: int) -> tuple[np.ndarray, np.ndarray]:
    graph = in_memory(graph)
    if not sparse.issparse(graph) or graph.shape != (n, n):
        found = f"shape {graph.shape}" if hasattr(graph, "shape") else f"type {type(graph).__name__}"
        raise InputError(
            f"a graph of {found}, {n} labels.",
            allowed=f"a sparse matrix ({n}, {n})",
            remedy="pass adata.obsp['spatial_connectivities'] of the same observations.",
        )
    edges = sparse.coo_array(sound_rows(graph, name="graph"))
    kept = edges.data != 0
    if not kept.any():
        raise InputError("a graph without an edge.", allowed="at least one edge", remedy="build it wider.")
    return edges.row[kept], edges.col[kept]


def _placed(coords: ArrayLike, cluster: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return the coordinates, and the cluster of every observation as a number from 0 up."""
    xy = table(coords, name="coords").astype(np.float64)
    if xy.shape[1] < 2:
        raise InputError(
            f"coords of shape {xy.shape}.", allowed="two axes or more", remedy="add a column of zeros for a line."
        )
    return xy, pd.factorize(check_labels(cluster, name="labels", n=len(xy)), sort=True)[0]
