"""Principal components of highly variable genes."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit._core.arguments import check_integer
from stfmkit._kernels._normalize import median_total, normalized_dispersion, size_factor_log1p, totals
from stfmkit.models.card import ModelCard
from stfmkit.models.contract import Block, EmbeddingModel
from stfmkit.models.genes.alignment import counts_of
from stfmkit.models.principal_components import Pca

CARD = ModelCard(
    name="hvg_pca",
    target="stfmkit.models.baselines.hvg_pca:HvgPca",
    family="baseline",
    summary="Principal components of the log-normalised highly variable genes.",
    needs=("counts",),
    fits=True,
    source="Satija et al. 2015, Nat Biotechnol 33:495 (gene choice); PCA",
)
CARDS = (CARD,)


@dataclass(frozen=True, eq=False)
class _State:
    genes: pd.Index
    target: float
    chosen: np.ndarray
    pca: Pca


class HvgPca(EmbeddingModel):
    """Size-factor log1p, the most variable genes by normalised dispersion, principal components.

    Library sizes, over the genes that the model is given, are scaled to their median in the training observations. The
    normalised dispersion of a gene is log(variance / mean) of the values without logarithm, standardised among the
    genes of its bin: 20 bins of equal width of log1p of the mean; a gene alone in its bin has 1. Genes, median and
    components come from `fit` alone; later blocks need all genes of the fit, in any order.

    Parameters
    ----------
    n_genes
        Number of highly variable genes, of equal ones the first; all detected genes where there are fewer.
    n_components
        Number of components; fewer where the training matrix has a lower rank. The width of the result is the number
        that is in use.
    """

    card = CARD

    def __init__(self, *, n_genes: int = 2000, n_components: int = 50) -> None:
        check_integer(n_genes, name="n_genes", least=1)
        check_integer(n_components, name="n_components", least=1)
        self.n_genes, self.n_components = n_genes, n_components
        self._state: _State | None = None

    def genes_read(self, block: Block) -> np.ndarray:
        """Return which genes are the highly variable ones of the fit (n_genes,)."""
        state = self.learned(self._state)
        return np.asarray(pd.Index(block.genes).isin(state.genes[state.chosen]))

    def fit(self, block: Block) -> Self:
        """Choose genes and find the components."""
        counts, genes = block.read("counts"), pd.Index(block.genes)
        depth = totals(counts)
        target = median_total(depth)
        logged = size_factor_log1p(counts, depth=depth, target=target)
        chosen = _choose(logged, self.n_genes)
        pca = Pca.fit(sparse.csr_array(logged[:, chosen]), n_components=self.n_components)
        self._state = _State(genes=genes, target=target, chosen=chosen, pca=pca)
        return self

    def prepare(self, block: Block) -> sparse.csr_array:
        """Return log-normalised expression of the chosen genes."""
        state = self.learned(self._state)
        counts = counts_of(block.read("counts"), pd.Index(block.genes), state.genes, what=self.card.name)
        logged = size_factor_log1p(counts, depth=totals(counts), target=state.target)
        return sparse.csr_array(logged[:, state.chosen])

    def encode(self, batch: sparse.csr_array) -> np.ndarray:
        """Return the scores (n_obs, k)."""
        return self.learned(self._state).pca.project(batch)


def _choose(logged: sparse.csr_array, n_genes: int) -> np.ndarray:
    """Positions of the most variable genes, ascending; ties go to the first."""
    detected = np.flatnonzero(np.asarray((logged != 0).sum(axis=0)).ravel())
    if len(detected) <= n_genes:
        return detected
    score = normalized_dispersion(logged)
    best = np.argsort(-score, kind="stable")[:n_genes]
    return np.sort(best[np.isfinite(score[best])])
