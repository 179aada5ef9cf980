"""Principal components of neighbourhood means (NichePCA)."""

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit._core.arguments import check_integer
from stfmkit._kernels._neighbors import knn_within, mean_operator
from stfmkit._kernels._normalize import median_total, size_factor_log1p, totals
from stfmkit.models.card import ModelCard
from stfmkit.models.contract import Block, EmbeddingModel
from stfmkit.models.genes.alignment import counts_of
from stfmkit.models.principal_components import Pca

CARD = ModelCard(
    name="neighbor_pca",
    target="stfmkit.models.baselines.neighbor_pca:NeighborPca",
    family="baseline",
    summary="Principal components of expression averaged over spatial neighbours (NichePCA).",
    needs=("counts", "coordinates"),
    fits=True,
    uses_neighbors=True,
    source="NichePCA, Bioinformatics 2025, btaf005",
)
CARDS = (CARD,)


@dataclass(frozen=True, eq=False)
class _State:
    genes: pd.Index
    target: float
    pca: Pca


class _Batch(NamedTuple):
    logged: sparse.csr_array
    smooth: sparse.csr_array


class NeighborPca(EmbeddingModel):
    """Size-factor log1p, mean over an observation and its nearest neighbours in the same sample, PCA.

    The definition is that of NichePCA (Bioinformatics 2025, btaf005): library sizes to their median, log1p, mean over
    the neighbourhood, components without scaling. All genes are used. The averaged matrix is never formed for large
    tables.

    Parameters
    ----------
    n_neighbors
        Number of neighbours; a smaller sample gives all it has.
    n_components
        Number of components; fewer where the training matrix has a lower rank. The width of the result is the number
        that is in use.
    """

    card = CARD

    def __init__(self, *, n_neighbors: int = 25, n_components: int = 30) -> None:
        check_integer(n_neighbors, name="n_neighbors", least=1)
        check_integer(n_components, name="n_components", least=1)
        self.n_neighbors, self.n_components = n_neighbors, n_components
        self._state: _State | None = None

    def genes_read(self, block: Block) -> np.ndarray:
        """Return which genes are those of the fit (n_genes,)."""
        return np.asarray(pd.Index(block.genes).isin(self.learned(self._state).genes))

    def fit(self, block: Block) -> Self:
        """Find the components of the training observations; only these are each other's neighbours."""
        counts, genes = block.read("counts"), pd.Index(block.genes)
        target = median_total(totals(counts))
        logged, smooth = self._batch(block, counts, target)
        self._state = _State(genes, target, Pca.fit(logged, n_components=self.n_components, smooth=smooth))
        return self

    def prepare(self, block: Block) -> _Batch:
        """Return log-normalised expression and the averaging matrix."""
        state = self.learned(self._state)
        counts = counts_of(block.read("counts"), pd.Index(block.genes), state.genes, what=self.card.name)
        return self._batch(block, counts, state.target)

    def encode(self, batch: _Batch) -> np.ndarray:
        """Return the scores (n_obs, k)."""
        return self.learned(self._state).pca.project(batch.logged, smooth=batch.smooth)

    def _batch(self, block: Block, counts: sparse.csr_array, target: float) -> _Batch:
        logged = size_factor_log1p(counts, depth=totals(counts), target=target)
        neighbors = knn_within(np.asarray(block.read("coordinates")), block.samples, k=self.n_neighbors)
        return _Batch(logged, mean_operator(neighbors))
