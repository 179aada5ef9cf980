"""What an evaluation of an embedding reads, and what several of its metrics share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse
from threadpoolctl import threadpool_limits

from stfmkit import metrics
from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError
from stfmkit._core.random import int_seed, stream
from stfmkit._kernels._neighbors import knn_within
from stfmkit.metrics import Neighborhoods, Neighbors
from stfmkit.metrics._embedding_leaks import standardized
from stfmkit.metrics._scib import MOST

_STARTS = 10
_SILHOUETTES = 10_000
_GRAPH = 6
"""Neighbours in the graph of FIDE."""


class Tasks(NamedTuple):
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
    def by_sample(self) -> list[tuple[str, str, np.ndarray]]:
        """Sample, patient and rows of every sample."""
        names, first, codes = np.unique(self.samples, return_index=True, return_inverse=True)
        return [
            (str(name), str(self.patients[at]), np.flatnonzero(codes == code))
            for code, (name, at) in enumerate(zip(names, first, strict=True))
        ]

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
        """Each observation and its six nearest in space."""
        near = knn_within(self._coords(), self.samples, k=_GRAPH)
        row, column = np.nonzero(near >= 0)
        n = len(near)
        return sparse.csr_array((np.ones(len(row)), (row, near[row, column])), shape=(n, n))

    @cached_property
    def around(self) -> Neighborhoods:
        """The cell types that surround every observation."""
        types = self.patients if self.celltypes is None else self.celltypes
        size = {"n_neighbors": self.n_neighbors} if self.radius is None else {"radius": self.radius}
        return metrics.neighborhood_composition(self._coords(), types, self.samples, **size)

    @cached_property
    def composition(self) -> Tasks:
        """Shares of cell types around those that have neighbours."""
        held = self.around.counts > 0
        if not held.any():
            raise InputError(
                "no observation with a neighbour.", allowed="some neighbours", remedy="pass a larger radius."
            )
        truth = self.around.shares[held]
        return Tasks(truth, metrics.grouped_ridge(self.embedding[held], truth, self.patients[held]))

    @cached_property
    def density(self) -> Tasks:
        """Number of neighbours within the radius."""
        truth = self.around.counts.astype(np.float64)
        return Tasks(truth, metrics.grouped_ridge(self.embedding, truth[:, None], self.patients)[:, 0])

    def patient_mean(self, values: Mapping[str, float]) -> float:
        """Return the mean over patients of the mean over their samples."""
        patient = {sample: who for sample, who, _ in self.by_sample}
        frame = pd.Series(dict(values), dtype=float)
        return float(frame.groupby([patient[sample] for sample in frame.index]).mean().mean())

    def _kmeans(self, values: np.ndarray, *parts: object) -> np.ndarray:
        from sklearn.cluster import KMeans

        wanted = min(int(self.n_clusters or 1), len(np.unique(values, axis=0)))
        model = KMeans(n_clusters=wanted, n_init=_STARTS, random_state=self.seed_of("kmeans", *parts))
        with threadpool_limits(1):  # sums in one order, so that the bits do not depend on the cores
            return np.asarray(model.fit_predict(values.astype(np.float64)))

    def _coords(self) -> np.ndarray:
        if self.coords is None:
            raise InputError("no coordinates.", allowed="coordinates in obsm", remedy="pass spatial_key=.")
        return self.coords


def check_one_patient_each(samples: np.ndarray, patients: np.ndarray) -> None:
    """Refuse a sample of two patients."""
    pairs = pd.DataFrame({"sample": samples, "patient": patients}).drop_duplicates()
    twice = pairs["sample"][pairs["sample"].duplicated()].unique()
    if len(twice):
        raise InputError(
            f"samples of more than one patient: {listed(twice, most=5)}.",
            allowed="one patient for every sample",
            remedy="check sample_key and patient_key; make sample names unique across patients.",
        )
