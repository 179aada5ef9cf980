"""Coherence of domains in space, and their agreement across slides; none of it needs a truth."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import sparse

from stfmkit._core.arguments import check_integer
from stfmkit._core.errors import InputError
from stfmkit._core.matrices import in_memory
from stfmkit._core.random import RNGLike, as_generator
from stfmkit.metrics._checks import labels as check_labels
from stfmkit.metrics._checks import table


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
    >>> line = np.column_stack([[0.0, 1, 10, 11], np.zeros(4)])
    >>> round(spatial_asw(line, ["a", "a", "b", "b"]), 3), round(spatial_asw(line, ["a", "b", "a", "b"]), 3)
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
    >>> chain = sparse.csr_array(np.eye(4, k=1) + np.eye(4, k=-1))
    >>> round(fide(["a", "a", "b", "b"], chain), 3), round(fide(["a", "b", "a", "b"], chain), 3)
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
    >>> domain_jsd(["a", "b", "a", "b"], ["S1", "S1", "S2", "S2"]), domain_jsd(["a", "a", "b"], ["S1", "S1", "S2"])
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
    edges = sparse.coo_array(graph)
    kept = edges.data != 0
    if not kept.any():
        raise InputError("a graph without an edge.", allowed="at least one edge", remedy="build it wider.")
    return edges.row[kept], edges.col[kept]
