"""Agreement of clusters with labels, and spatial coherence of clusters."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from stfmkit._core.arguments import check_integer
from stfmkit._core.errors import InputError
from stfmkit._kernels._neighbors import knn_within
from stfmkit.metrics import _checks


def ari(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return the adjusted Rand index of two partitions (Hubert and Arabie 1985), as scikit-learn has it.

    Parameters
    ----------
    truth, predicted
        One label per observation (n_obs,). Names need not match; only who is with whom counts.

    Returns
    -------
    A number in [-0.5, 1]; 0 is expected by chance.

    Raises
    ------
    InputError
        If lengths differ, a label is missing, or there is none.

    Examples
    --------
    >>> ari(["a", "a", "b", "b"], ["x", "x", "y", "y"])
    1.0
    """
    first, second = _partitions(truth, predicted)
    return float(adjusted_rand_score(first, second))


def nmi(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return the mutual information of two partitions over the arithmetic mean of their entropies.

    It is not adjusted for chance: many small clusters score above 0 on random labels.

    Parameters
    ----------
    truth, predicted
        One label per observation (n_obs,).

    Returns
    -------
    A number in [0, 1].

    Raises
    ------
    InputError
        If lengths differ, a label is missing, or there is none.

    Examples
    --------
    >>> round(nmi(["a", "a", "b", "b"], ["x", "x", "y", "z"]), 3)
    0.8
    """
    first, second = _partitions(truth, predicted)
    return float(normalized_mutual_info_score(first, second, average_method="arithmetic"))


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
    >>> line = np.column_stack([np.arange(6.0), np.zeros(6)])
    >>> bool(chaos(line, [0, 0, 0, 1, 1, 1]) < chaos(line, [0, 1, 0, 1, 0, 1]))
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


def pas(coords: ArrayLike, labels: ArrayLike, *, k: int = 10) -> float:
    """Return PAS: the share of observations of which more than half of the `k` nearest others lie in another cluster.

    As SDMBench and SpatialPCA define it. One cluster for everything scores a perfect 0, so print k-means of the
    coordinates beside it. On a lattice the k-th neighbour is often tied; ties go to the lower x, then y, here,
    where the original leaves them to the sort.

    Parameters
    ----------
    coords
        Coordinates (n_obs, n_axes) of one sample.
    labels
        Cluster of every observation (n_obs,).
    k
        Number of neighbours.

    Returns
    -------
    A number in [0, 1]; lower is more coherent.

    Raises
    ------
    InputError
        If coordinates are not finite, lengths differ, or there are not more than `k` observations.

    Examples
    --------
    >>> import numpy as np
    >>> line = np.column_stack([np.arange(6.0), np.zeros(6)])
    >>> pas(line, ["a", "a", "a", "b", "b", "b"], k=2)
    0.0
    """
    check_integer(k, name="k", least=1)
    xy, codes = _placed(coords, labels)
    if len(xy) <= k:
        raise InputError(
            f"{len(xy)} observations and k={k}.",
            allowed="more observations than neighbours",
            remedy="pass a smaller k, or leave this sample out.",
        )
    neighbors = knn_within(xy, np.zeros(len(xy), dtype=np.int64), k=int(k))
    others = (codes[neighbors] != codes[:, None]).sum(axis=1)
    return float((others > k / 2).mean())


def _partitions(truth: ArrayLike, predicted: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    first = _checks.labels(truth, name="truth")
    second = _checks.labels(predicted, name="predicted", n=len(first))
    return first.astype(str), second.astype(str)


def _placed(coords: ArrayLike, cluster: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return the coordinates, and the cluster of every observation as a number from 0 up."""
    xy = _checks.table(coords, name="coords").astype(np.float64)
    if xy.shape[1] < 2:
        raise InputError(
            f"coords of shape {xy.shape}.", allowed="two axes or more", remedy="add a column of zeros for a line."
        )
    return xy, pd.factorize(_checks.labels(cluster, name="labels", n=len(xy)), sort=True)[0]
