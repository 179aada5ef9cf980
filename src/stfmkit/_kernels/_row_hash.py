"""Hashes of matrix rows, to find duplicates."""

import numpy as np
from scipy import sparse

_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def row_hashes(counts: sparse.csr_array) -> np.ndarray:
    """Return a 64-bit hash of every row (n_obs,); rows with equal entries have equal hashes, whatever the order."""
    entry = counts.indices.astype(np.uint64) * _MIX[0] + counts.data.astype(np.int64).astype(np.uint64) * _MIX[1]
    for shift in (30, 27, 31):  # the finaliser of splitmix64, so that sums of entries do not collide
        entry = (entry ^ (entry >> np.uint64(shift))) * _MIX[2]
    total = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(entry, dtype=np.uint64)])
    return total[counts.indptr[1:]] - total[counts.indptr[:-1]]
