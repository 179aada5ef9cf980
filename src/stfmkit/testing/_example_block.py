"""A small block to try models on."""

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit.models.contract import Block


def example_block(*, n_obs: int = 90, n_genes: int = 30, n_samples: int = 3, n_types: int = 4, rng: int = 0) -> Block:
    """Return a small block with counts, coordinates and cell-type shares.

    Parameters
    ----------
    n_obs
        Number of observations.
    n_genes
        Number of genes.
    n_samples
        Number of samples; their frames overlap.
    n_types
        Number of cell types.
    rng
        Seed.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.testing.example_block(n_obs=12).read("counts").shape
    (12, 30)
    """
    draw = np.random.default_rng(rng)
    counts = draw.poisson(draw.gamma(2.0, 1.0, size=n_genes) * draw.lognormal(0, 0.5, size=(n_obs, 1)))
    counts[:, 0] += 1  # no empty observation
    return Block(
        obs_names=pd.Index([f"cell{i}" for i in range(n_obs)]),
        samples=np.arange(n_obs) % n_samples,
        inputs={
            "counts": sparse.csr_array(counts.astype(np.float32)),
            "coordinates": draw.uniform(0, 1000, size=(n_obs, 2)),
            "composition": draw.dirichlet(np.ones(n_types), size=n_obs),
        },
        genes=pd.Index([f"GENE{g}" for g in range(n_genes)]),
    )
