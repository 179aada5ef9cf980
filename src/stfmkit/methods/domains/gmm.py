"""Domains by a mixture of Gaussians."""

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np

from stfmkit._core.arguments import check_integer
from stfmkit._core.errors import StfmkitWarning
from stfmkit._core.random import global_state_kept, int_seed, stream
from stfmkit._data.view import View
from stfmkit.methods.contract import Method, MethodCard, Output, Requirements, Slots
from stfmkit.methods.domains._clustering import Clusters, check_n_clusters, cluster

CARD = MethodCard(
    task="domains",
    name="gmm",
    target="stfmkit.methods.domains.gmm:GMM",
    title="Gaussian mixture",
    summary="Domains as Gaussians in an embedding, with probabilities; suits domains of unequal sizes.",
    needs=("embedding",),
    transductive=True,
    draws=True,
    source="expectation maximisation by scikit-learn; one shared covariance is model EEE of mclust",
    paper="https://doi.org/10.32614/RJ-2016-021",
    bib_key="scrucca2016",
)


@dataclass(frozen=True, kw_only=True)
class GMM(Method):
    """A mixture of Gaussians, started from k-means.

    Parameters
    ----------
    embedding_key
        Key of the embedding in ``obsm``.
    n_clusters
        Number of Gaussians; a Gaussian that is most probable nowhere leaves its domain empty.
    covariance
        "tied" (one for all), "full" (one each), "diag" or "spherical".
    n_starts
        Number of random starts; the most likely result is taken.
    max_iter
        Most steps of a start.
    """

    card = CARD

    embedding_key: str
    n_clusters: int
    covariance: Literal["tied", "full", "diag", "spherical"] = "tied"
    n_starts: int = 3
    max_iter: int = 500

    def __post_init__(self) -> None:
        check_n_clusters(self.n_clusters)
        check_integer(self.n_starts, name="n_starts", least=1)
        check_integer(self.max_iter, name="max_iter", least=1)

    def requirements(self) -> Requirements:
        """Return the embedding."""
        return Requirements(data=Slots(obsm=(self.embedding_key,)))

    def run(self, view: View, reference: View | None, *, rng: int) -> Output:  # noqa: ARG002  takes none
        """Return one label for every observation, and the probability of every domain."""
        seed = int_seed(stream(rng, "domains", "gmm"))
        return cluster(view, self.embedding_key, lambda values: self._find(values, seed), n_clusters=self.n_clusters)

    def _find(self, values: np.ndarray, seed: int) -> Clusters:
        with global_state_kept():  # the import draws from it
            from sklearn.exceptions import ConvergenceWarning

            from stfmkit.evaluation.clusters import fit_mixture

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = fit_mixture(
                values,
                self.n_clusters,
                seed=seed,
                n_starts=self.n_starts,
                covariance=self.covariance,
                max_iter=self.max_iter,
            )
        groups = model.predict(values)
        if not model.converged_:
            warnings.warn(
                f"The mixture of {self.n_clusters} Gaussians still changed after {self.max_iter} steps: pass a larger "
                "max_iter, fewer domains, or covariance='tied'.",
                StfmkitWarning,
                stacklevel=5,
            )
        facts = {"log_likelihood": float(model.score(values)), "converged": bool(model.converged_)}
        return Clusters(groups=groups, probabilities=model.predict_proba(values), facts=facts)
