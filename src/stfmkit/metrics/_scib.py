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
from stfmkit.metrics._arrays import labels as check_labels
from stfmkit.metrics._arrays import table
from stfmkit.metrics._metric import metric
from stfmkit.metrics._neighbors import Neighbors, nearest

SOURCE = "Luecken et al. 2022, Nat Methods 19:41, by scib-metrics"

LISI, KBET, CONNECTIVITY = 90, 50, 15
"""Neighbours of each metric, the observation itself among them, as the Benchmarker counts."""

MOST = LISI - 1
"""Number of neighbours from `embedding_neighbors` that serves all of them."""

BIO = (
    "scib_isolated_labels",
    "scib_kmeans_nmi",
    "scib_kmeans_ari",
    "scib_silhouette_label",
    "scib_clisi",
)

BATCH = ("scib_bras", "scib_ilisi", "scib_kbet", "scib_graph_connectivity", "scib_pcr")


@metric(
    title="scIB total",
    family="embedding",
    higher_is_better=True,
    bounds=(None, 1),
    chance=None,
    source=SOURCE,
    summary="0.6 times the mean score of biology plus 0.4 times that of batch.",
)
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
    >>> import stfmkit as sk
    >>> batch = dict.fromkeys(["scib_bras", "scib_ilisi", "scib_kbet", "scib_graph_connectivity", "scib_pcr"], 0.5)
    >>> biology = dict.fromkeys(
    ...     ["scib_isolated_labels", "scib_kmeans_nmi", "scib_kmeans_ari", "scib_silhouette_label", "scib_clisi"], 1.0
    ... )
    >>> round(sk.metrics.scib_total(biology | batch), 6)
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
def load_scib() -> Iterator[ModuleType]:
    """Load scib-metrics; the import of umap says that it found no Tensorflow, which nothing here needs."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Tensorflow not installed", category=ImportWarning)
        module = require("scib_metrics", extra="scib")
    yield module


def read_inputs(embedding: ArrayLike, **groups: ArrayLike) -> tuple[np.ndarray, list[np.ndarray]]:
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


def own_first(features: np.ndarray, n: int, neighbors: Neighbors | None) -> Neighbors:
    """Return `n` neighbours of which the first is the observation itself, as scib-metrics wants them."""
    others = nearest(features, n - 1, neighbors)
    itself = np.arange(len(features))[:, None]
    return Neighbors(
        np.concatenate([itself, others.indices], axis=1).astype(np.int32),
        np.concatenate([np.zeros_like(itself), others.distances], axis=1).astype(np.float32),
    )


def results(scib: ModuleType, near: Neighbors) -> Any:
    return scib.nearest_neighbors.NeighborsResults(indices=near.indices, distances=near.distances)
