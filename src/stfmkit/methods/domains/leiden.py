"""Domains as communities of the graph of nearest neighbours."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from stfmkit._core.arguments import check_integer, check_positive, listed
from stfmkit._core.errors import InputError
from stfmkit._core.optional import require
from stfmkit._core.random import global_state_kept, int_seed, stream
from stfmkit._data.view import View
from stfmkit.methods.contract import Method, MethodCard, Output, Requirements, Slots
from stfmkit.methods.domains._clustering import Clusters, check_n_clusters, cluster

if TYPE_CHECKING:
    from anndata import AnnData

CARD = MethodCard(
    task="domains",
    name="leiden",
    target="stfmkit.methods.domains.leiden:Leiden",
    title="Leiden",
    summary="Communities of the graph of nearest neighbours in an embedding, at a resolution or a number of domains.",
    needs=("embedding",),
    transductive=True,
    draws=True,
    runs="package",
    source="scanpy.pp.neighbors, and scanpy.tl.leiden with flavor='igraph'",
    paper="https://doi.org/10.1038/s41598-019-41695-z",
    bib_key="traag2019",
    licence="BSD-3-Clause (stfmkit, scanpy), GPL-2.0-or-later (igraph)",
    extra="leiden",
)

_LOWEST, _HIGHEST, _STEPS = 1e-3, 64.0, 20
"""Resolutions between which a number of domains is searched for, and the steps of the bisection."""

_NEARBY = np.geomspace(0.7, 1.4, 29)
"""Ratios to the end of the bisection that are tried, too: the number does not rise with every step of resolution."""


@dataclass(frozen=True, kw_only=True)
class Leiden(Method):
    """Leiden communities that maximise modularity.

    Parameters
    ----------
    embedding_key
        Key of the embedding in ``obsm``.
    resolution
        Higher values give more domains. Exactly one of `resolution` and `n_clusters` is passed.
    n_clusters
        Number of domains; the resolution is found by bisection, on a scale of ratios.
    n_neighbors
        Number of neighbours in the graph.
    n_iterations
        Iterations of the algorithm; -1 goes on until nothing changes.
    """

    card = CARD

    embedding_key: str
    resolution: float | None = None
    n_clusters: int | None = None
    n_neighbors: int = 15
    n_iterations: int = 2

    def __post_init__(self) -> None:
        if (self.resolution is None) == (self.n_clusters is None):
            raise InputError(
                f"resolution={self.resolution!r} and n_clusters={self.n_clusters!r} for Leiden.",
                allowed="one of them",
                remedy="pass n_clusters=, or resolution= (1.0 is common) with n_clusters left out.",
            )
        if self.resolution is not None:
            check_positive(self.resolution, name="resolution")
        if self.n_clusters is not None:
            check_n_clusters(self.n_clusters)
        check_integer(self.n_neighbors, name="n_neighbors", least=2)
        check_integer(self.n_iterations, name="n_iterations", least=-1)

    def requirements(self) -> Requirements:
        """Return the embedding."""
        return Requirements(data=Slots(obsm=(self.embedding_key,)))

    def run(self, view: View, reference: View | None, *, rng: int) -> Output:  # noqa: ARG002  takes none
        """Return one label for every observation."""
        if self.n_neighbors >= view.table.n_obs:
            raise InputError(
                f"n_neighbors={self.n_neighbors} and {view.table.n_obs} observations.",
                allowed="fewer neighbours than observations",
                remedy="pass a smaller n_neighbors.",
            )
        seed = int_seed(stream(rng, "domains", "leiden"))
        return cluster(view, self.embedding_key, lambda values: self._find(values, seed), n_clusters=self.n_clusters)

    def _find(self, values: np.ndarray, seed: int) -> Clusters:
        require("igraph", extra="leiden")
        with global_state_kept():
            graph = self._graph(values, seed)
            if self.resolution is not None:
                groups, resolution = self._communities(graph, float(self.resolution), seed), float(self.resolution)
            else:
                groups, resolution = search(
                    lambda resolution: self._communities(graph, resolution, seed), int(self.n_clusters or 0)
                )
        versions = {name: version(name) for name in ("scanpy", "umap-learn", "igraph")}
        facts = {"resolution": resolution, "n_clusters": int(groups.max()) + 1, "versions": versions}
        return Clusters(groups=groups, facts=facts)

    def _graph(self, values: np.ndarray, seed: int) -> "AnnData":
        import scanpy as sc
        from anndata import AnnData

        graph = AnnData(obsm={"X_embedding": values})
        sc.pp.neighbors(graph, n_neighbors=self.n_neighbors, use_rep="X_embedding", random_state=seed)
        return graph

    def _communities(self, graph: "AnnData", resolution: float, seed: int) -> np.ndarray:
        import scanpy as sc

        sc.tl.leiden(
            graph,
            resolution=resolution,
            flavor="igraph",
            directed=False,
            n_iterations=self.n_iterations,
            random_state=seed,
        )
        return graph.obs["leiden"].astype(int).to_numpy()


def search(communities: Callable[[float], np.ndarray], n_clusters: int) -> tuple[np.ndarray, float]:
    """Return communities (n,) of the number that is wanted, and the resolution that gives it.

    Raises
    ------
    InputError
        No resolution that was tried gives this number.
    """
    number_at: dict[float, int] = {}
    for resolution in _resolutions(number_at, n_clusters):
        groups = communities(resolution)
        number_at[resolution] = int(groups.max()) + 1
        if number_at[resolution] == n_clusters:
            return groups, resolution
    numbers = sorted(set(number_at.values()), key=lambda number: (abs(number - n_clusters), number))[:4]
    raise InputError(
        f"no resolution between {_LOWEST:g} and {_HIGHEST:g} that gives {n_clusters} domains; the nearest numbers are "
        f"{listed(sorted(numbers))}.",
        allowed="a number of domains that Leiden reaches",
        remedy="pass one of these numbers, another n_neighbors or rng, or resolution=.",
    )


def _resolutions(number_at: dict[float, int], n_clusters: int) -> Iterator[float]:
    """Yield resolutions by bisection, and then around its end; `number_at` has the numbers of those before."""
    low, high, resolution = _LOWEST, _HIGHEST, 1.0
    for _ in range(_STEPS):
        yield resolution
        low, high = (resolution, high) if number_at[resolution] < n_clusters else (low, resolution)
        resolution = float(np.sqrt(low * high))
    yield from (resolution * _NEARBY).tolist()
