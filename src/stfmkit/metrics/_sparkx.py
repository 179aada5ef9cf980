"""SPARK-X, a test of whether a gene varies with the place, whatever the shape of the pattern."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import sparse

from stfmkit._core.arguments import check_choice
from stfmkit._core.errors import InputError
from stfmkit._kernels._combine_p import log_cauchy
from stfmkit._kernels._sparkx import KERNELS, log_p_by_kernel
from stfmkit.metrics._arrays import read_values, table
from stfmkit.metrics._autocorrelation_inference import ADJUSTMENTS, Adjustment, adjusted

_FEWEST = 10


def sparkx_test(X: ArrayLike | sparse.sparray, coords: ArrayLike, *, adjust: Adjustment = "by") -> pd.DataFrame:
    """Test whether the counts of a gene vary with the place, by the covariance test of SPARK-X.

    Eleven kernels, each a pair of functions of the two coordinates: the coordinates themselves, and Gaussians and
    cosines at five length scales (quantiles of the distance to the centre). For each, the share of the sum of squares
    of the counts that lies along the pair is compared with its null distribution, a mixture of χ² variables whose
    weights are all equal here, so that p-values are exact in closed form however small; the original package
    evaluates the same mixture to 1e-4. The kernels are combined by the Cauchy rule.

    Library size is not taken out: where it varies with the place, most genes do. Test one sample at a time.

    Parameters
    ----------
    X
        Raw counts (n_obs, n_genes), dense or sparse; a sparse matrix is not densified. Observations without any count
        are left out.
    coords
        Coordinates (n_obs, 2), in any unit.
    adjust
        Adjustment for the number of genes, "by" as in the original, or "bh"; see `morans_i_test`.

    Returns
    -------
    One row per gene; NaN for a constant one.

    ``p``, ``log10_p``, ``p_adjusted``
        Combined over kernels; ``log10_p`` also where ``p`` is too small for a float.
    ``p_projection``, ``p_gaussian_1`` … ``p_gaussian_5``, ``p_cosine_1`` … ``p_cosine_5``
        Per kernel, short length scales first.

    Raises
    ------
    InputError
        If shapes differ, a value is negative or not finite, or under ten observations have counts.

    References
    ----------
    Zhu, Sun and Zhou 2021, Genome Biology 22:184; Liu and Xie 2020, JASA 115:393.

    Examples
    --------
    >>> import numpy as np
    >>> import stfmkit as sk
    >>> xy = np.stack(np.meshgrid(np.arange(12.0), np.arange(12.0)), axis=-1).reshape(-1, 2)
    >>> X = np.column_stack([np.where(xy[:, 0] < 6, 5, 1), np.random.default_rng(0).poisson(2, 144), np.ones(144)])
    >>> found = sk.metrics.sparkx_test(X, xy)
    >>> found["p"].lt(0.01).tolist(), found["p"].isna().tolist()
    ([True, False, False], [False, False, True])
    """
    check_choice(adjust, ADJUSTMENTS, name="adjust")
    values = read_values(X)
    counts = sparse.csr_array(values)
    places = table(coords, name="coords", n=counts.shape[0]).astype(np.float64)
    used = np.flatnonzero(np.asarray(counts.sum(axis=1)).ravel() > 0)
    _check_usable(counts, places, n_used=len(used))
    by_kernel = log_p_by_kernel(sparse.csr_array(counts[used]), places[used])
    log_p = log_cauchy(by_kernel)
    p = np.exp(log_p)
    found = {"p": p, "log10_p": log_p / np.log(10), "p_adjusted": adjusted(p, method=adjust)}
    return pd.DataFrame(found | {f"p_{k}": np.exp(v) for k, v in zip(KERNELS, by_kernel, strict=True)})


def _check_usable(counts: sparse.csr_array, places: np.ndarray, *, n_used: int) -> None:
    if places.shape[1] != 2:
        raise InputError(
            f"coords of shape {places.shape}.", allowed="two columns", remedy="pass x and y, one sample at a time."
        )
    if counts.nnz and counts.data.min() < 0:
        raise InputError(
            f"values down to {counts.data.min():g} in X.",
            allowed="counts, at least 0",
            remedy="pass raw counts; centred or scaled values are not what the test is made for.",
        )
    if n_used < _FEWEST:
        raise InputError(
            f"{n_used} observations with counts.",
            allowed=f"at least {_FEWEST}",
            remedy="test on a whole slide.",
        )
