"""The cell types around an observation."""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from stfmkit._core.arguments import check_integer
from stfmkit._kernels._neighbors import knn_within, mean_operator
from stfmkit.models.card import ModelCard
from stfmkit.models.contract import Block, EmbeddingModel

CARD = ModelCard(
    name="celltype_composition",
    target="stfmkit.models.baselines.celltype_composition:CelltypeComposition",
    family="baseline",
    summary="Share of every cell type among an observation and its spatial neighbours.",
    needs=("coordinates", "composition"),
    uses_neighbors=True,
    source="cellular neighbourhoods, Schürch et al. 2020, Cell 182:1341",
)
CARDS = (CARD,)


class _Batch(NamedTuple):
    shares: np.ndarray
    smooth: sparse.csr_array


class CelltypeComposition(EmbeddingModel):
    """Mean share of every cell type over an observation and its nearest neighbours in the same sample.

    Ten neighbours are the window of the cellular neighbourhoods of Schürch et al. 2020 (Cell 182:1341). Cell types are
    given by the user, as labels or as shares; they are never invented. Columns follow the sorted labels, or the
    columns of the shares.

    Parameters
    ----------
    n_neighbors
        Number of neighbours; a smaller sample gives all it has, and 0 takes the observation alone.
    """

    card = CARD

    def __init__(self, *, n_neighbors: int = 10) -> None:
        check_integer(n_neighbors, name="n_neighbors", least=0)
        self.n_neighbors = n_neighbors

    def prepare(self, block: Block) -> _Batch:
        """Return shares and the averaging matrix."""
        neighbors = knn_within(np.asarray(block.read("coordinates")), block.samples, k=self.n_neighbors)
        return _Batch(np.asarray(block.read("composition")), mean_operator(neighbors))

    def encode(self, batch: _Batch) -> np.ndarray:
        """Return (n_obs, n_types)."""
        return batch.smooth @ batch.shares
