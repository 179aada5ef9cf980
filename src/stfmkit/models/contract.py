"""The contract of a model: a card, and what it does with a block of observations."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit.models.card import ModelCard


@dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """Observations as a model sees them; whole samples where the model uses neighbours.

    Attributes
    ----------
    obs_names
        Names of the observations (n_obs,).
    samples
        Integer code of the sample of every observation (n_obs,); in all blocks that one model sees, a code stands
        for the same sample.
    counts
        Raw counts (n_obs, n_genes), or None for models that do not read expression.
    genes
        Gene names (n_genes,), in the order of `counts`.
    coords
        Coordinates (n_obs, 2), or None.
    composition
        Share of every cell type (n_obs, n_types), or None.
    obs
        Further columns of obs by name (n_obs,), those that the options of a model name.
    var
        Further names of the genes by column of var (n_genes,).
    """

    obs_names: pd.Index
    samples: np.ndarray
    counts: sparse.csr_array | None = None
    genes: pd.Index | None = None
    coords: np.ndarray | None = None
    composition: np.ndarray | None = None
    obs: Mapping[str, np.ndarray] = field(default_factory=dict)
    var: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def n_obs(self) -> int:
        """Number of observations."""
        return len(self.obs_names)

    def take(self, rows: np.ndarray) -> Self:
        """Return the block of some rows."""
        return replace(
            self,
            obs_names=self.obs_names[rows],
            samples=self.samples[rows],
            counts=None if self.counts is None else self.counts[rows],
            coords=None if self.coords is None else self.coords[rows],
            composition=None if self.composition is None else self.composition[rows],
            obs={name: values[rows] for name, values in self.obs.items()},
        )

    def without_genes(self, hidden: np.ndarray) -> Self:
        """Return the block without the genes at the positions `hidden`; their counts are gone, not zero."""
        if self.counts is None or self.genes is None:
            return self
        keep = np.setdiff1d(np.arange(len(self.genes)), hidden)
        names = {name: values[keep] for name, values in self.var.items()}
        return replace(self, counts=self.counts[:, keep], genes=self.genes[keep], var=names)


@runtime_checkable
class EmbeddingModel(Protocol):
    """Anything with a card and the two verbs `prepare` and `encode`.

    A model whose card says ``fits=True`` also has ``fit(block) -> Self``, called once, with training observations
    only, before `prepare`.
    """

    card: ModelCard

    def prepare(self, block: Block) -> Any:
        """Turn a block into what `encode` takes (tokens, matrices, graphs)."""
        ...

    def encode(self, batch: Any) -> np.ndarray:
        """Return the embedding (n_obs, d) of a prepared block, rows in the order of the block."""
        ...


@runtime_checkable
class FittedModel(EmbeddingModel, Protocol):
    """A model that learns from the data it is given."""

    def fit(self, block: Block) -> Self:
        """Learn from training observations and return self."""
        ...


@runtime_checkable
class ModelWithGaps(EmbeddingModel, Protocol):
    """A model that gives zeros to observations of which it knows nothing."""

    def knows_nothing(self, batch: Any) -> bool:
        """Return whether that is so for all observations of a prepared block; `encode` is then not called."""
        ...


@runtime_checkable
class GeneModel(EmbeddingModel, Protocol):
    """A model that also defines a vector of a gene."""

    def encode_genes(self, block: Block) -> np.ndarray:
        """Return (n_genes, d) in the order of the block's genes, NaN for those that the model does not know."""
        ...
