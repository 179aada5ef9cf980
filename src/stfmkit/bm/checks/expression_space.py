"""Components of the counts, against which labels and embeddings are held, and the noise of counting in them."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.decomposition import PCA

_GENES = 1000


@dataclass(frozen=True, eq=False)
class ExpressionSpace:
    """Principal components of log-normalised counts of the most counted genes.

    Attributes
    ----------
    values
        Components (n_rows, n_components).
    directions
        Loadings (n_components, n_genes).
    variance
        Variance that Poisson counting alone gives every log-normalised value (n_rows, n_genes), to first order.
    """

    values: np.ndarray
    directions: np.ndarray
    variance: np.ndarray

    def noise(self, rows: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """Return the standard deviation that counting gives some rows along a direction (n_components,)."""
        along = (direction @ self.directions) ** 2
        return np.asarray(np.sqrt(self.variance[rows] @ along), dtype=np.float64)


def expression_space(counts: sparse.csr_array, *, n_components: int) -> ExpressionSpace:
    """Return the components of some rows of counts."""
    total = np.bincount(counts.indices, weights=counts.data, minlength=counts.shape[1])
    genes = np.argsort(-total, kind="stable")[:_GENES]
    part = counts[:, genes].toarray().astype(np.float32)
    depth = np.maximum(part.sum(axis=1), 1)
    scale = (np.median(depth) / depth)[:, None]
    values = np.log1p(part * scale)
    n = max(min(n_components, min(values.shape) - 1), 1)
    pca = PCA(n, svd_solver="randomized", random_state=0).fit(values)
    return ExpressionSpace(
        values=pca.transform(values).astype(np.float64),
        directions=pca.components_,
        variance=(scale / (1 + part * scale)) ** 2 * part,
    )
