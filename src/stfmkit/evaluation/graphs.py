"""The graph of nearest neighbours that maps are scored on where no other graph is given."""

import numpy as np
from scipy import sparse

from stfmkit._kernels._neighbors import knn_within, mean_operator

N_NEIGHBORS = 6
"""Neighbours of an observation; the six of a Visium lattice."""


def neighbor_graph(
    coords: np.ndarray, samples: np.ndarray | None = None, *, n_neighbors: int = N_NEIGHBORS
) -> sparse.csr_array:
    """Return row-stochastic weights of the nearest neighbours within every sample, without observations themselves.

    Parameters
    ----------
    coords
        Coordinates (n_obs, 2), in any unit.
    samples
        Sample of every observation (n_obs,); all are one sample where it is left out. No edge crosses samples.
    n_neighbors
        Neighbours of every observation; fewer where a sample has no more.

    Returns
    -------
    Weights (n_obs, n_obs), CSR, whose rows sum to 1; a row is empty where an observation is alone in its sample.
    """
    codes = np.zeros(len(coords), dtype=np.int64) if samples is None else np.unique(samples, return_inverse=True)[1]
    return mean_operator(knn_within(coords, codes, k=n_neighbors), include_self=False)
