"""Eigenvalues, eigenvectors and modules of two correlation matrices.

Undefined genes are left out on both sides; `drop_undefined` counts them.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.linalg import eigh, eigvalsh
from scipy.spatial.distance import squareform
from sklearn.metrics import adjusted_rand_score

from stfmkit._core.arguments import check_integer
from stfmkit._core.errors import InputError
from stfmkit.metrics._arrays import constant
from stfmkit.metrics._correlation import drop_undefined
from stfmkit.metrics._metric import metric

_TIE = 1e-8  # eigenvalues closer than this, in units of their mean, share one subspace


@metric(
    title="Eigen-spectrum distance",
    label="Spectrum distance",
    family="coexpression",
    higher_is_better=False,
    bounds=(0, 2),
    chance=None,
    source="stfmkit documentation",
    summary="Wasserstein distance between eigenvalues divided by their mean.",
)
def eigen_spectrum_distance(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return the Wasserstein distance between the spectra of two correlation matrices.

    Eigenvalues are divided by their mean, and the distance is the mean difference of the sorted values. Smoothing puts
    the variance into few directions, which shows here whichever genes they hold; which genes vary together does not.

    Parameters
    ----------
    truth, predicted
        Correlation matrices (n_genes, n_genes).

    Returns
    -------
    A number in [0, 2] for correlation matrices; 0 for equal spectra, NaN where fewer than three genes are defined.

    Raises
    ------
    InputError
        As `drop_undefined`.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> round(sk.metrics.eigen_spectrum_distance(np.eye(4), np.ones((4, 4))), 6)
    1.5
    """
    common = drop_undefined(truth, predicted)
    if len(common.truth) < 3:
        return float("nan")
    spectra = [np.linalg.eigvalsh(m) / (np.trace(m) / len(m)) for m in (common.truth, common.predicted)]
    return float(np.abs(spectra[0] - spectra[1]).mean())


@metric(
    title="Participation ratio over truth",
    label="Participation ratio",
    family="coexpression",
    higher_is_better=None,
    bounds=(0, None),
    chance=None,
    source="Litwin-Kumar et al. 2017, Neuron 93:1153",
    summary="Number of directions a prediction varies in over that of the truth; 1 is best.",
)
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
    >>> import stfmkit as sk
    >>> sk.metrics.participation_ratio(np.eye(4), np.ones((4, 4)))
    0.25
    """
    common = drop_undefined(truth, predicted)
    if len(common.truth) < 3:
        return float("nan")
    sizes = [np.trace(m) ** 2 / np.square(m).sum() for m in (common.truth, common.predicted)]
    return float(sizes[1] / sizes[0])


@metric(
    title="Subspace affinity",
    family="coexpression",
    higher_is_better=True,
    bounds=(0, 1),
    chance=None,
    source="Krzanowski 1979, J Am Stat Assoc 74:703",
    summary="Mean squared cosine of the angles between leading eigenvectors; chance is their share of the genes.",
)
def subspace_affinity(truth: ArrayLike, predicted: ArrayLike, *, n_eigenvectors: int = 10) -> float:
    """Return how much of the leading eigenvectors of the truth lies in the span of those of the prediction.

    ``‖UᵀV‖² / k`` with the eigenvectors of the k largest eigenvalues of either matrix: the mean squared cosine of the
    principal angles. Where the k-th eigenvalue is shared by more directions than fit, each of them counts in part, so
    that a prediction without any co-expression has exactly the chance level.

    Parameters
    ----------
    truth, predicted
        Correlation matrices (n_genes, n_genes).
    n_eigenvectors
        Number k of eigenvectors, fewer than genes.

    Returns
    -------
    A number in [0, 1]; ``k / n_genes`` by chance, NaN where not more than k genes, or fewer than three, are defined.

    Raises
    ------
    InputError
        If there are not more than k genes, or as `drop_undefined`.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> truth = np.array([[1, 0.6, 0.0], [0.6, 1, 0.0], [0.0, 0.0, 1]])
    >>> [round(sk.metrics.subspace_affinity(truth, predicted, n_eigenvectors=1), 6) for predicted in (truth, np.eye(3))]
    [1.0, 0.333333]
    """
    check_integer(n_eigenvectors, name="n_eigenvectors", least=1)
    k = int(n_eigenvectors)
    common = drop_undefined(truth, predicted)
    if k >= len(common.kept):
        raise InputError(
            f"n_eigenvectors={k} of {len(common.kept)} genes.",
            allowed="fewer than genes",
            remedy="pass a smaller n_eigenvectors.",
        )
    if len(common.truth) < max(3, k + 1):
        return float("nan")
    (u, a), (v, b) = (_leading(m, k) for m in (common.truth, common.predicted))
    return float(np.clip(a @ np.square(u.T @ v) @ b / k, 0, 1))


@metric(
    title="Module preservation",
    label="Modules",
    family="coexpression",
    higher_is_better=True,
    bounds=(-0.5, 1),
    chance=0,
    source="stfmkit documentation",
    summary="Adjusted Rand index of the clusters of genes in truth and prediction, at a fixed number of clusters.",
)
def module_preservation(truth: ArrayLike, predicted: ArrayLike, *, n_modules: int = 8) -> float:
    """Return the adjusted Rand index of the modules of genes in truth and prediction.

    Modules are the clusters of Ward's method on ``√(2 (1 - r))``, the distance of standardised genes, cut at a number
    that is fixed beforehand; choosing it on the result would be optimistic.

    Parameters
    ----------
    truth, predicted
        Correlation matrices (n_genes, n_genes).
    n_modules
        Number of modules on both sides, at least 2 and fewer than genes.

    Returns
    -------
    A number in [-0.5, 1]; 0 is expected by chance, and given where all predicted pairs are equal. NaN where all true
    pairs are, or where not more genes than modules are defined.

    Raises
    ------
    InputError
        If there are not more genes than modules, or as `drop_undefined`.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> truth = np.kron(np.eye(2), np.full((3, 3), 0.8)) + 0.2 * np.eye(6)
    >>> (
    ...     sk.metrics.module_preservation(truth, truth**2, n_modules=2),
    ...     sk.metrics.module_preservation(truth, np.eye(6), n_modules=2),
    ... )
    (1.0, 0.0)
    """
    check_integer(n_modules, name="n_modules", least=2)
    common = drop_undefined(truth, predicted)
    if n_modules >= len(common.kept):
        raise InputError(
            f"n_modules={n_modules} of {len(common.kept)} genes.",
            allowed="fewer modules than genes",
            remedy="pass a smaller n_modules.",
        )
    if len(common.truth) < max(3, n_modules + 1):
        return float("nan")
    upper = np.triu_indices(len(common.truth), 1)
    if constant(common.truth[upper][:, None])[0]:
        return float("nan")
    if constant(common.predicted[upper][:, None])[0]:
        return 0.0
    first, second = (_modules(m, int(n_modules)) for m in (common.truth, common.predicted))
    return float(adjusted_rand_score(first, second))


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


def _modules(matrix: np.ndarray, n_modules: int) -> np.ndarray:
    distance = np.sqrt(np.clip(2 * (1 - (matrix + matrix.T) / 2), 0, None))
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), method="ward")
    return np.asarray(fcluster(tree, n_modules, criterion="maxclust"))
