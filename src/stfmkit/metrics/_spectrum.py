"""What the eigenvalues and eigenvectors of two correlation matrices have in common.

Undefined genes are left out on both sides; `drop_undefined` counts them.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import eigh, eigvalsh

from stfmkit._core.arguments import check_integer
from stfmkit._core.errors import InputError
from stfmkit.metrics._correlation import drop_undefined

_TIE = 1e-8  # eigenvalues closer than this, in units of their mean, share one subspace


def participation_ratio(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return how many directions the prediction varies in, over how many the truth does.

    The participation ratio of a matrix is ``(Σλ)² / Σλ²`` of its eigenvalues: n for n genes that vary alone, 1 where
    all vary as one. Predictions that are too smooth score below 1, noise without co-expression above 1.

    Parameters
    ----------
    truth, predicted
        Correlation matrices (n_genes, n_genes).

    Returns
    -------
    The ratio, above 0; 1 is best. NaN where fewer than three genes are defined.

    Raises
    ------
    InputError
        As `drop_undefined`.

    Examples
    --------
    >>> import numpy as np
    >>> participation_ratio(np.eye(4), np.ones((4, 4)))
    0.25
    """
    common = drop_undefined(truth, predicted)
    if len(common.truth) < 3:
        return float("nan")
    sizes = [np.trace(m) ** 2 / np.square(m).sum() for m in (common.truth, common.predicted)]
    return float(sizes[1] / sizes[0])


def subspace_affinity(truth: ArrayLike, predicted: ArrayLike, *, k: int = 10) -> float:
    """Return how much of the leading eigenvectors of the truth lies in the span of those of the prediction.

    ``‖UᵀV‖² / k`` with the eigenvectors of the `k` largest eigenvalues of either matrix: the mean squared cosine of the
    principal angles. Where the k-th eigenvalue is shared by more directions than fit, each of them counts in part, so
    that a prediction without any co-expression has exactly the chance level.

    Parameters
    ----------
    truth, predicted
        Correlation matrices (n_genes, n_genes).
    k
        Number of eigenvectors, fewer than genes.

    Returns
    -------
    A number in [0, 1]; ``k / n_genes`` by chance, NaN where not more than `k` genes, or fewer than three, are defined.

    Raises
    ------
    InputError
        If there are not more than `k` genes, or as `drop_undefined`.

    Examples
    --------
    >>> import numpy as np
    >>> truth = np.array([[1, 0.6, 0.0], [0.6, 1, 0.0], [0.0, 0.0, 1]])
    >>> round(subspace_affinity(truth, truth, k=1), 6), round(subspace_affinity(truth, np.eye(3), k=1), 6)
    (1.0, 0.333333)
    """
    check_integer(k, name="k", least=1)
    common = drop_undefined(truth, predicted)
    if k >= len(common.kept):
        raise InputError(f"k={k} of {len(common.kept)} genes.", allowed="fewer than genes", remedy="pass a smaller k.")
    if len(common.truth) < max(3, k + 1):
        return float("nan")
    (u, a), (v, b) = (_leading(m, int(k)) for m in (common.truth, common.predicted))
    return float(np.clip(a @ np.square(u.T @ v) @ b / k, 0, 1))


def _leading(matrix: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the eigenvectors (n, m) of the `k` largest eigenvalues and of those tied with the last; their weights."""
    n = len(matrix)
    values = eigvalsh(matrix)
    gap = _TIE * np.abs(values).mean()
    tied = np.flatnonzero(np.abs(values - values[n - k]) <= gap)
    low, high = int(tied[0]), int(tied[-1])
    vectors = eigh(matrix, subset_by_index=(low, n - 1))[1]
    weights = np.ones(n - low)
    weights[: high - low + 1] = (k - (n - 1 - high)) / (high - low + 1)
    return vectors, weights
