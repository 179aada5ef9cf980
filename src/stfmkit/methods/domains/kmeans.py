"""Domains by k-means."""

from dataclasses import dataclass

import numpy as np

from stfmkit._core.arguments import check_integer
from stfmkit._core.random import global_state_kept, int_seed, stream
from stfmkit._data.view import View
from stfmkit.methods.contract import Method, MethodCard, Output, Requirements, Slots
from stfmkit.methods.domains._clustering import Clusters, check_n_clusters, cluster

CARD = MethodCard(
    task="domains",
    name="kmeans",
    target="stfmkit.methods.domains.kmeans:KMeans",
    title="k-means",
    summary="Domains of equal spread around centres in an embedding, from the best of several starts.",
    needs=("embedding",),
    transductive=True,
    draws=True,
    source="Lloyd's algorithm with k-means++ starts, by scikit-learn",
    paper="https://doi.org/10.1109/TIT.1982.1056489",
    bib_key="lloyd1982",
)


@dataclass(frozen=True, kw_only=True)
class KMeans(Method):
    """k-means of the vectors as they are: dimensions of larger variance weigh more.

    Parameters
    ----------
    embedding_key
        Key of the embedding in ``obsm``.
    n_clusters
        Number of domains.
    n_starts
        Number of random starts; the one of the smallest sum of squares is taken.
    """

    card = CARD

    embedding_key: str
    n_clusters: int
    n_starts: int = 10

    def __post_init__(self) -> None:
        check_n_clusters(self.n_clusters)
        check_integer(self.n_starts, name="n_starts", least=1)

    def requirements(self) -> Requirements:
        """Return the embedding."""
        return Requirements(data=Slots(obsm=(self.embedding_key,)))

    def run(self, view: View, reference: View | None, *, rng: int) -> Output:  # noqa: ARG002  takes none
        """Return one label for every observation."""
        seed = int_seed(stream(rng, "domains", "kmeans"))

        def find(values: np.ndarray) -> Clusters:
            with global_state_kept():  # the import draws from it
                from stfmkit.evaluation.clusters import fit_kmeans

            model = fit_kmeans(values, self.n_clusters, seed=seed, n_starts=self.n_starts)
            return Clusters(groups=model.labels_, facts={"inertia": float(model.inertia_)})

        return cluster(view, self.embedding_key, find, n_clusters=self.n_clusters)
