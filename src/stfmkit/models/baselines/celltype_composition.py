"""Cell types of the neighbourhood."""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from stfmkit._core.arguments import check_integer
from stfmkit._kernels._neighbors import knn_within, mean_operator
from stfmkit.models.contract import Block
from stfmkit.models._cards import CELLTYPE_COMPOSITION
from stfmkit.models._contract import check_needs


class _Batch(NamedTuple):
    shares: np.ndarray
    smooth: sparse.csr_array


class CelltypeComposition:
    """Mean share of every cell type over an observation and its nearest neighbours in the same sample.

    Ten neighbours are the window of the cellular neighbourhoods of Schürch et al. 2020 (Cell 182:1341). Cell types are
    given by the user, as labels or as shares; they are never invented. Columns follow the sorted labels, or the
    columns of the shares.

    Parameters
    ----------
    k
        Number of neighbours; a smaller sample gives all it has, and 0 takes the observation alone.
    """

    card = CELLTYPE_COMPOSITION

    def __init__(self, *, k: int = 10) -> None:
        check_integer(k, name="k", least=0)
        self.k = k

    def prepare(self, block: Block) -> _Batch:
        """Return shares and the averaging matrix."""
        check_needs(self.card, block)
        neighbors = knn_within(np.asarray(block.coords), block.samples, k=self.k)
        return _Batch(np.asarray(block.composition), mean_operator(neighbors))

    def encode(self, batch: _Batch) -> np.ndarray:
        """Return (n_obs, n_types)."""
        return batch.smooth @ batch.shares
