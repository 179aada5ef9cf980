"""The library size: what sequencing depth alone tells."""

import numpy as np
from scipy import sparse

from stfmkit._kernels._normalize import totals
from stfmkit.models.card import ModelCard
from stfmkit.models.contract import Block, EmbeddingModel

CARD = ModelCard(
    name="library_size",
    target="stfmkit.models.baselines.library_size:LibrarySize",
    family="baseline",
    summary="Sequencing depth: log1p of the total counts and of the number of detected genes.",
    needs=("counts",),
    dimension=2,
    source="control for sequencing depth",
    control=True,
)
CARDS = (CARD,)


class LibrarySize(EmbeddingModel):
    """Two numbers per observation: log1p of the total counts, log1p of the number of detected genes.

    A representation that does not beat these says no more than how deeply an observation was sequenced. Only the genes
    that the model is given count.
    """

    card = CARD

    def prepare(self, block: Block) -> sparse.csr_array:
        """Return the counts."""
        return sparse.csr_array(block.read("counts"))

    def encode(self, batch: sparse.csr_array) -> np.ndarray:
        """Return (n_obs, 2)."""
        detected = np.asarray((batch != 0).sum(axis=1), dtype=np.float64).ravel()
        return np.log1p(np.column_stack([totals(batch), detected]))
