"""Made-up counts that the makers of fixtures and the tests both draw."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse


def gene_ids(n: int, *, prefix: str = "ENSG", start: int = 1) -> list[str]:
    """Return `n` identifiers that look like those of Ensembl."""
    return [f"{prefix}{start + i:011d}" for i in range(n)]


def synthetic_counts(genes: Sequence[str], *, n_obs: int = 12, seed: int = 0, density: float = 0.6) -> AnnData:
    """Return raw counts (n_obs, n_genes) without two equal positive values in a row.

    The counts of a row are distinct, so that no rule about ties enters a comparison. The gene order is shuffled.
    """
    draw = np.random.default_rng(seed)
    n_genes = len(genes)
    counts = np.zeros((n_obs, n_genes), dtype=np.float32)
    for row in range(n_obs):
        n_seen = max(3, int(n_genes * density * draw.uniform(0.5, 1.0)))
        seen = draw.choice(n_genes, size=n_seen, replace=False)
        counts[row, seen] = 1 + draw.permutation(3 * n_seen)[:n_seen]
    order = draw.permutation(n_genes)
    obs = pd.DataFrame(index=[f"cell{i}" for i in range(n_obs)])
    var = pd.DataFrame(index=[genes[i] for i in order])
    adata = AnnData(sparse.csr_matrix(counts[:, order]), obs=obs, var=var)
    adata.obsm["spatial"] = draw.uniform(0, 500, size=(n_obs, 2))
    return adata
