"""Counts beside the values that they became: what tells signal from the noise of counting."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from stfmkit import metrics
from stfmkit._kernels._normalize import on_scale
from stfmkit._kernels._thinning import thin
from stfmkit.metrics._latent_correlation import CLEAR


@dataclass(frozen=True, kw_only=True, eq=False)
class Molecules:
    """Counts of some genes, and how they are brought to the scale that genes are compared on.

    Attributes
    ----------
    counts
        Raw counts (n_obs, n_genes).
    library_size
        Library size of every observation over all genes (n_obs,).
    target_sum
        Library size that all observations are scaled to.
    scale
        "size_factor_log1p" or "log1p".
    """

    counts: sparse.csr_array
    library_size: np.ndarray
    target_sum: float
    scale: str = "size_factor_log1p"

    def of(self, rows: np.ndarray) -> "Molecules":
        """Return the counts of some observations."""
        return replace(self, counts=sparse.csr_array(self.counts[rows]), library_size=self.library_size[rows])

    def scaled(self) -> sparse.csr_array:
        """Return the values on the scale (n_obs, n_genes)."""
        return on_scale(self.counts, scale=self.scale, depth=self.library_size, target=self.target_sum)

    def halves(self, rng: np.random.Generator) -> tuple["Molecules", "Molecules"]:
        """Return two independent halves, by a coin for every molecule."""
        first, second = thin(self.counts, rng=rng)
        size = self.library_size / 2
        return replace(self, counts=first, library_size=size), replace(self, counts=second, library_size=size)

    def latent_correlation(
        self,
        rng: np.random.Generator,
        *,
        groups: np.ndarray | None = None,
        covariate: np.ndarray | None = None,
        min_z: float = CLEAR,
    ) -> np.ndarray:
        """Return `sk.metrics.latent_correlation` of the genes (n_genes, n_genes)."""
        return metrics.latent_correlation(
            self.counts,
            scale=self.scale,  # type: ignore[arg-type]
            library_size=self.library_size,
            target_sum=self.target_sum,
            groups=groups,
            covariate=covariate,
            min_z=min_z,
            rng=rng,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class PredictedStructure:
    """Correlations of the genes in place of predicted values, such as those of other patients.

    Attributes
    ----------
    by_sample
        Correlations (n_genes, n_genes) by sample. A gene that is NaN says nothing of its correlations.
    """

    by_sample: Mapping[str, np.ndarray]
