"""Principal components of sparse matrices, exact, with signs that do not change."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, svds

from stfmkit._core.errors import InputError

_DENSE = 1_000_000
"""Below this number of entries a full decomposition of the dense matrix is faster."""


@dataclass(frozen=True, eq=False)
class Pca:
    """Centre and loadings.

    Attributes
    ----------
    offset
        The training mean in the space of the components (k,).
    loadings
        Orthonormal loadings (n_features, k), by falling variance; the largest entry of each is positive.
    variance
        Variance of the training scores (k,).
    """

    offset: np.ndarray
    loadings: np.ndarray
    variance: np.ndarray

    @classmethod
    def fit(cls, matrix: sparse.csr_array, *, n_components: int, smooth: sparse.csr_array | None = None) -> Self:
        """Return the first components of `matrix` (n_obs, n_features), centred but never densified at scale.

        Parameters
        ----------
        matrix
            Observations in rows.
        n_components
            Number of components; fewer are returned where the centred matrix has a lower rank.
        smooth
            Matrix (n_obs, n_obs) applied from the left first; the product is never formed at scale.
        """
        n, features = matrix.shape
        mean = (np.full(n, 1 / n) if smooth is None else smooth.T @ np.full(n, 1 / n)) @ matrix
        if n * features <= _DENSE or 3 * n_components >= min(n, features):
            dense = (matrix if smooth is None else smooth @ matrix).toarray() - mean
            _, singular, right = np.linalg.svd(dense, full_matrices=False)
        else:
            singular, right = _leading(matrix, mean, smooth, n_components)
        size = np.hypot(singular[0], np.sqrt(n) * np.linalg.norm(mean))  # of the matrix before centring
        rank = int((singular > size * max(n, features) * np.finfo(np.float64).eps).sum())
        if rank == 0:
            raise InputError(
                f"{n} observations that do not differ in any of {features} genes.",
                allowed="at least two observations that differ",
                remedy="fit on more observations or genes.",
            )
        singular, loadings = singular[: min(rank, n_components)], right[: min(rank, n_components)].T
        largest = np.abs(loadings).argmax(axis=0)
        loadings = loadings * np.sign(loadings[largest, np.arange(loadings.shape[1])])
        return cls(offset=mean @ loadings, loadings=loadings, variance=singular**2 / (n - 1))

    def project(self, matrix: sparse.csr_array, *, smooth: sparse.csr_array | None = None) -> np.ndarray:
        """Return the scores (n_obs, k) of `matrix`, after `smooth` where given."""
        scores = matrix @ self.loadings
        return (scores if smooth is None else smooth @ scores) - self.offset


def _leading(
    matrix: sparse.csr_array, mean: np.ndarray, smooth: sparse.csr_array | None, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Leading singular values and right vectors of the centred product, by Lanczos from a fixed start."""
    left = sparse.csr_array(sparse.eye_array(matrix.shape[0])) if smooth is None else smooth
    turned, left_turned = sparse.csr_array(matrix.T), sparse.csr_array(left.T)

    def times(vector: np.ndarray) -> np.ndarray:
        return left @ (matrix @ vector.ravel()) - mean @ vector.ravel()

    def turned_times(vector: np.ndarray) -> np.ndarray:
        return turned @ (left_turned @ vector.ravel()) - mean * vector.sum()

    operator = LinearOperator(matrix.shape, matvec=times, rmatvec=turned_times, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(min(matrix.shape))
    _, singular, right = svds(operator, k=k, v0=start, solver="arpack", return_singular_vectors="vh")
    order = np.argsort(singular)[::-1]
    return singular[order], right[order]
