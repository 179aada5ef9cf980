"""Modules of genes that vary together, and whether a prediction keeps them."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from sklearn.metrics import adjusted_rand_score

from stfmkit._core.arguments import check_integer
from stfmkit._core.errors import InputError
from stfmkit.metrics._checks import constant
from stfmkit.metrics._correlation import drop_undefined


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
    >>> truth = np.kron(np.eye(2), np.full((3, 3), 0.8)) + 0.2 * np.eye(6)
    >>> module_preservation(truth, truth**2, n_modules=2), module_preservation(truth, np.eye(6), n_modules=2)
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


def _modules(matrix: np.ndarray, n_modules: int) -> np.ndarray:
    distance = np.sqrt(np.clip(2 * (1 - (matrix + matrix.T) / 2), 0, None))
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), method="ward")
    return np.asarray(fcluster(tree, n_modules, criterion="maxclust"))
