"""Highly variable genes by normalised dispersion within bins of the mean."""

import numpy as np
import pandas as pd
from scipy import sparse

_BINS = 20


def normalized_dispersion(logged: sparse.csr_array) -> np.ndarray:
    """Return the normalised dispersion of every gene (n_genes,), larger for more variable genes.

    The method is that of Satija et al. 2015 (Nat Biotechnol 33:495) as scanpy's flavor "seurat" has it: dispersion
    = variance / mean of the un-logged values, logged, z-scored within 20 equal-width bins of the logged mean; a gene
    alone in its bin gets 1. Genes without counts get -inf.

    Parameters
    ----------
    logged
        Size-factor log1p expression (n_obs, n_genes).
    """
    n = logged.shape[0]
    values = sparse.csr_array((np.expm1(logged.data), logged.indices, logged.indptr), shape=logged.shape)
    mean = np.asarray(values.sum(axis=0)).ravel() / n
    squares = sparse.csr_array((values.data**2, values.indices, values.indptr), shape=values.shape)
    variance = (np.asarray(squares.sum(axis=0)).ravel() / n - mean**2) * n / max(n - 1, 1)
    mean[mean == 0] = 1e-12
    dispersion = variance / mean
    dispersion[dispersion <= 0] = np.nan
    table = pd.DataFrame({"mean": np.log1p(mean), "dispersion": np.log(dispersion)})
    bins = pd.cut(table["mean"], bins=_BINS)
    grouped = table.groupby(bins, observed=True)["dispersion"]
    center, spread = grouped.transform("mean"), grouped.transform("std")
    alone = spread.isna()
    spread = spread.mask(alone, center)
    center = center.mask(alone, 0.0)
    score = ((table["dispersion"] - center) / spread).to_numpy(copy=True)
    score[np.isnan(score)] = -np.inf
    return score
