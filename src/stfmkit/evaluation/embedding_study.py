"""What the evaluation of an embedding reads, and what several of its metrics share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit import metrics
from stfmkit._core.errors import InputError
from stfmkit._core.random import int_seed, stream
from stfmkit._kernels._neighbors import neighbor_graph
from stfmkit.evaluation.clusters import kmeans
from stfmkit.evaluation.samples import SampleRows, sample_rows
from stfmkit.metrics import Neighborhoods, Neighbors
from stfmkit.metrics._embedding_leaks import standardized
from stfmkit.metrics._scib import MOST

_SILHOUETTES = 10_000
"""Most silhouettes that are computed where the search of neighbours is approximate."""


class HeldOut(NamedTuple):
    """Truth and held-out prediction of one target, for observations where it is defined."""

    truth: np.ndarray
    predicted: np.ndarray


@dataclass(frozen=True)
class EmbeddingStudy:
    """An embedding with all that it is judged against; None where the table does not hold it.

    `absent` says why, by name: "labels", "clusters", "coords", "celltypes", "radius", "counts", "reference",
    "patients" (two or more) and "scib".
    """

    embedding: np.ndarray
    patients: np.ndarray
    samples: np.ndarray
    labels: np.ndarray | None
    celltypes: np.ndarray | None
    coords: np.ndarray | None
    depth: np.ndarray | None
    reference: np.ndarray | None
    confounders: Mapping[str, np.ndarray]
    radius: float | None
    n_clusters: int | None
    n_neighbors: int
    search: str
    seed: int
    second_labels: np.ndarray | None = None
    """Labels of a second annotation, empty text where there is none."""
    absent: Mapping[str, str] = field(default_factory=dict)
    done: dict[str, float] = field(default_factory=dict)
    """Values that another metric asks for again."""
    found: dict[tuple[str, int], Neighbors] = field(default_factory=dict)
    """Neighbours that several scores ask for."""

    def seed_of(self, *parts: object) -> int:
        """Return the seed of one piece of work, whatever else is computed."""
        return int_seed(stream(self.seed, "evaluate_embedding", *parts))

    @cached_property
    def neighbors(self) -> Neighbors:
        """Neighbours at the largest k that a metric asks for."""
        return self.neighbors_of(self.embedding, min(MOST, len(self.embedding) - 1), "neighbors")

    def neighbors_of(self, features: np.ndarray, k: int, name: str) -> Neighbors:
        """Return neighbours in any features of these observations, by the search that was asked for."""
        return metrics.embedding_neighbors(features, k, method=self.search, rng=self.seed_of(name))

    def standardized_neighbors(self, k: int) -> Neighbors:
        """Return neighbours in the standardised embedding, the same for every confounder."""
        return self._once(("standardized", k), lambda: self.neighbors_of(standardized(self.embedding), k, "probe"))

    def neighbors_elsewhere(self, k: int) -> Neighbors:
        """Return neighbours in other samples."""
        return self._once(
            ("elsewhere", k),
            lambda: metrics.embedding_neighbors(self.embedding, k, method=self.search, exclude=self.samples),
        )

    def spread(self, groups: np.ndarray) -> bool:
        """Return whether any of the groups has observations in two samples."""
        pairs = pd.DataFrame({"group": groups, "sample": self.samples}).drop_duplicates()
        return bool(pairs["group"].duplicated().any())

    def most_silhouettes(self, n: int) -> int | None:
        """Return how many of n silhouettes are computed where the search is approximate, None for all."""
        return _SILHOUETTES if self.search == "approximate" and n > _SILHOUETTES else None

    @cached_property
    def sampled(self) -> np.ndarray:
        """Rows whose distances to each other are computed, in rising order."""
        n = len(self.embedding)
        size = self.most_silhouettes(n)
        rng = stream(self.seed, "evaluate_embedding", "silhouettes")
        return np.arange(n) if size is None else np.sort(rng.choice(n, size=size, replace=False))

    def _once(self, key: tuple[str, int], find: Callable[[], Neighbors]) -> Neighbors:
        if key not in self.found:
            self.found[key] = find()
        return self.found[key]

    @cached_property
    def by_sample(self) -> list[SampleRows]:
        """Sample, patient and rows of every sample."""
        return list(sample_rows(self.samples, self.patients))

    @cached_property
    def clusters(self) -> np.ndarray:
        """k-means of the whole embedding."""
        return self._kmeans(self.embedding, "embedding")

    @cached_property
    def places(self) -> np.ndarray:
        """k-means of the coordinates, sample by sample: what coherence in space is without any biology."""
        found = np.zeros(len(self.embedding), dtype=np.int64)
        for sample, _, rows in self.by_sample:
            found[rows] = self._kmeans(self._coords()[rows], sample)
        return found

    @cached_property
    def graph(self) -> sparse.csr_array:
        """Each observation and its six nearest in space, weights of one."""
        graph = neighbor_graph(self._coords(), self.samples)
        return sparse.csr_array((np.ones_like(graph.data), graph.indices, graph.indptr), shape=graph.shape)

    @cached_property
    def around(self) -> Neighborhoods:
        """The cell types that surround every observation."""
        types = self.patients if self.celltypes is None else self.celltypes
        size = {"n_neighbors": self.n_neighbors} if self.radius is None else {"radius": self.radius}
        return metrics.neighborhood_composition(self._coords(), types, self.samples, **size)

    @cached_property
    def composition(self) -> HeldOut:
        """Shares of cell types around those that have neighbours."""
        held = self.around.counts > 0
        if not held.any():
            raise InputError(
                "no observation with a neighbour.", allowed="some neighbours", remedy="pass a larger radius."
            )
        truth = self.around.shares[held]
        return HeldOut(truth, metrics.grouped_ridge(self.embedding[held], truth, self.patients[held]))

    @cached_property
    def density(self) -> HeldOut:
        """Number of neighbours within the radius."""
        truth = self.around.counts.astype(np.float64)
        return HeldOut(truth, metrics.grouped_ridge(self.embedding, truth[:, None], self.patients)[:, 0])

    def _kmeans(self, values: np.ndarray, *parts: object) -> np.ndarray:
        return kmeans(values, int(self.n_clusters or 1), seed=self.seed_of("kmeans", *parts))

    def _coords(self) -> np.ndarray:
        if self.coords is None:
            raise InputError("no coordinates.", allowed="coordinates in obsm", remedy="pass spatial_key=.")
        return self.coords
