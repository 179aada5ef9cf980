"""Principal components of neighbourhood means (NichePCA)."""

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit._core.arguments import check_integer
from stfmkit._kernels._neighbors import knn_within, mean_operator
from stfmkit._kernels._normalize import median_total, size_factor_log1p, totals
from stfmkit.models.contract import Block
from stfmkit.models._cards import NEIGHBOR_PCA
from stfmkit.models._contract import align_genes, expression, fitted
from stfmkit.models.baselines.components import Pca


@dataclass(frozen=True, eq=False)
class _State:
    genes: pd.Index
    target: float
    pca: Pca


class _Batch(NamedTuple):
    logged: sparse.csr_array
    smooth: sparse.csr_array


class NeighborPca:
    """Size-factor log1p, mean over an observation and its nearest neighbours in the same sample, PCA.

    The definition is that of NichePCA (Bioinformatics 2025, btaf005): library sizes to their median, log1p, mean over
    the neighbourhood, components without scaling. All genes are used. The averaged matrix is never formed for large
    tables.

    Parameters
    ----------
    k
        Number of neighbours; a smaller sample gives all it has.
    n_components
        Number of components; fewer where the training matrix has a lower rank. The width of the result is the number
        that is in use.
    """

    card = NEIGHBOR_PCA

    def __init__(self, *, k: int = 25, n_components: int = 30) -> None:
        check_integer(k, name="k", least=1)
        check_integer(n_components, name="n_components", least=1)
        self.k, self.n_components = k, n_components
        self._state: _State | None = None

    @property
    def genes_used(self) -> pd.Index:
        """The genes of the fit."""
        return fitted(self.card, self._state).genes

    def fit(self, block: Block) -> Self:
        """Find the components of the training observations; only these are each other's neighbours."""
        counts, genes = expression(block, card=self.card)
        target = median_total(totals(counts))
        logged, smooth = self._batch(block, counts, target)
        self._state = _State(genes, target, Pca.fit(logged, n_components=self.n_components, smooth=smooth))
        return self

    def prepare(self, block: Block) -> _Batch:
        """Return log-normalised expression and the averaging matrix."""
        state = fitted(self.card, self._state)
        return self._batch(block, align_genes(block, state.genes, card=self.card), state.target)

    def encode(self, batch: _Batch) -> np.ndarray:
        """Return the scores (n_obs, k)."""
        return fitted(self.card, self._state).pca.project(batch.logged, smooth=batch.smooth)

    def _batch(self, block: Block, counts: sparse.csr_array, target: float) -> _Batch:
        logged = size_factor_log1p(counts, depth=totals(counts), target=target)
        neighbors = knn_within(np.asarray(block.coords), block.samples, k=self.k)
        return _Batch(logged, mean_operator(neighbors))
