"""Depth alone."""

import numpy as np
from scipy import sparse

from stfmkit._kernels._normalize import totals
from stfmkit.models.contract import Block
from stfmkit.models._cards import LIBRARY_SIZE
from stfmkit.models._contract import check_needs


class LibrarySize:
    """Two numbers per observation: log1p of the total counts, log1p of the number of detected genes.

    A representation that does not beat these says no more than how deeply an observation was sequenced. Only the genes
    that the model is given count.
    """

    card = LIBRARY_SIZE

    def prepare(self, block: Block) -> sparse.csr_array:
        """Return the counts."""
        check_needs(self.card, block)
        return sparse.csr_array(block.counts)

    def encode(self, batch: sparse.csr_array) -> np.ndarray:
        """Return (n_obs, 2)."""
        detected = np.asarray((batch != 0).sum(axis=1), dtype=np.float64).ravel()
        return np.log1p(np.column_stack([totals(batch), detected]))
