"""Tests of spatial autocorrelation: analytic and by permutation."""

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import sparse, stats

from stfmkit._core.arguments import check_choice, check_integer
from stfmkit._core.errors import InputError
from stfmkit._core.random import RNGLike, as_generator
from stfmkit._kernels import _autocorrelation_null as null
from stfmkit.metrics._arrays import constant, read_values, read_weights
from stfmkit.metrics._autocorrelation import gearys_c, morans_i

Alternative = Literal["positive", "negative", "two-sided"]
Adjustment = Literal["bh", "by"]

ALTERNATIVES = ("positive", "negative", "two-sided")
ADJUSTMENTS = ("bh", "by")
_FEWEST = 4


def morans_i_test(
    X: ArrayLike | sparse.sparray,
    graph: sparse.sparray,
    *,
    n_permutations: int | None = None,
    alternative: Alternative = "positive",
    adjust: Adjustment = "bh",
    rng: RNGLike = 0,
) -> pd.DataFrame:
    """Test Moran's I of every gene against no spatial structure.

    Three answers side by side: with the variance under normality, with the variance over all orders of the values
    ("randomisation", which reads the kurtosis of the gene and is the one for skewed counts), and with random orders.
    With a row-normalised graph, ``statistic``, ``variance_norm`` and ``p_norm`` are those of
    ``squidpy.gr.spatial_autocorr``: its ``two_tailed=True`` is ``alternative="two-sided"``, its one-tailed p-value is
    that of the tail in which a gene lies. A random order moves an observation with all its edges, so that edges keep
    both ends; squidpy shuffles the rows of the graph alone, which has another variance.

    Parameters
    ----------
    X
        Values (n_obs, n_genes), dense or sparse; a sparse matrix is not densified.
    graph
        Weights (n_obs, n_obs), sparse, not negative, without loops; see `morans_i`.
    n_permutations
        Random orders, the same for all genes; none where it is left out. The smallest p-value is one over one more.
    alternative
        "positive" for neighbours that are alike (the one of a gene with a pattern), "negative" for neighbours that
        differ, or "two-sided".
    adjust
        Adjustment for the number of genes: "bh" (Benjamini and Hochberg 1995) or "by" (Benjamini and Yekutieli 2001,
        for any dependence between genes).
    rng
        Seed of the random orders.

    Returns
    -------
    One row per gene; NaN for a constant one, which is not counted in the adjustment.

    ``statistic``, ``expectation``
        Moran's I, and ``-1 / (n - 1)``.
    ``variance_norm``, ``z_norm``, ``p_norm``, ``p_norm_adjusted``
        Under normality.
    ``variance_rand``, ``z_rand``, ``p_rand``, ``p_rand_adjusted``
        Under randomisation.
    ``mean_sim``, ``variance_sim``, ``z_sim``, ``p_z_sim``, ``p_z_sim_adjusted``, ``p_sim``, ``p_sim_adjusted``
        With `n_permutations` only: ``p_sim = (k + 1) / (n_permutations + 1)``, k orders being at least as far out
        (two-sided: twice the smaller tail), and ``p_z_sim`` from mean and variance of the orders.

    Raises
    ------
    InputError
        If there are under four observations, the graph has loops or no edge, or values are not finite.

    References
    ----------
    Moran 1950, Biometrika 37:17; Cliff and Ord 1981, Spatial Processes; Phipson and Smyth 2010, SAGMB 9:39.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> import stfmkit as sk
    >>> ring = sparse.csr_array(np.roll(np.eye(8), 1, axis=1) + np.roll(np.eye(8), -1, axis=1))
    >>> X = np.array([[1.0, 1], [1, 0], [1, 1], [1, 0], [0, 1], [0, 0], [0, 1], [0, 0]])
    >>> found = sk.metrics.morans_i_test(X, ring, n_permutations=99)
    >>> found["statistic"].tolist()
    [0.5, -1.0]
    >>> (found["p_rand"] < 0.05).tolist()
    [True, False]
    """
    arguments = (alternative, adjust, n_permutations)
    return _inference("moran", X, graph, arguments=arguments, rng=rng)


def gearys_c_test(
    X: ArrayLike | sparse.sparray,
    graph: sparse.sparray,
    *,
    n_permutations: int | None = None,
    alternative: Alternative = "positive",
    adjust: Adjustment = "bh",
    rng: RNGLike = 0,
) -> pd.DataFrame:
    """Test Geary's C of every gene against no spatial structure.

    As `morans_i_test`, with an expectation of 1. Alike neighbours make C small, so that positive autocorrelation is
    a z below 0.

    Parameters
    ----------
    X
        Values (n_obs, n_genes), dense or sparse; a sparse matrix is not densified.
    graph
        Weights (n_obs, n_obs), sparse, not negative, without loops; see `morans_i`.
    n_permutations
        Random orders, the same for all genes; none where it is left out.
    alternative
        "positive" for neighbours that are alike, "negative" for neighbours that differ, or "two-sided".
    adjust
        Adjustment for the number of genes: "bh" or "by".
    rng
        Seed of the random orders.

    Returns
    -------
    One row per gene with the columns of `morans_i_test`.

    Raises
    ------
    InputError
        If there are under four observations, the graph has loops or no edge, or values are not finite.

    References
    ----------
    Geary 1954, Incorporated Statistician 5:115; Cliff and Ord 1981, Spatial Processes.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> import stfmkit as sk
    >>> ring = sparse.csr_array(np.roll(np.eye(8), 1, axis=1) + np.roll(np.eye(8), -1, axis=1))
    >>> found = sk.metrics.gearys_c_test(np.array([[1.0], [1], [1], [1], [0], [0], [0], [0]]), ring)
    >>> found[["statistic", "expectation"]].iloc[0].tolist()
    [0.4375, 1.0]
    """
    arguments = (alternative, adjust, n_permutations)
    return _inference("geary", X, graph, arguments=arguments, rng=rng)


def adjusted(p: np.ndarray, *, method: str) -> np.ndarray:
    """Return p-values adjusted for their number (n_genes,); NaN stays, and is not counted."""
    out = np.full(len(p), np.nan)
    known = ~np.isnan(p)
    if known.any():
        out[known] = stats.false_discovery_control(p[known], method=method)
    return out


def _inference(
    statistic: str,
    X: ArrayLike | sparse.sparray,
    graph: sparse.sparray,
    *,
    arguments: tuple[str, str, int | None],
    rng: RNGLike,
) -> pd.DataFrame:
    alternative, adjust, n_permutations = arguments
    check_choice(alternative, ALTERNATIVES, name="alternative")
    check_choice(adjust, ADJUSTMENTS, name="adjust")
    if n_permutations is not None:
        check_integer(n_permutations, name="n_permutations", least=1)
    values = read_values(X)
    weights = read_weights(graph, n=values.shape[0])
    _check_testable(weights)
    observed = (morans_i if statistic == "moran" else gearys_c)(values, weights)
    columns = _centered(values)
    moments = null.weight_moments(weights)
    expected = null.expectation(statistic, moments.n)
    found = {"statistic": observed, "expectation": np.full(len(observed), expected)}
    random = null.variance_random(statistic, moments, null.kurtosis_of(columns))
    normal = np.full(len(observed), null.variance_normal(statistic, moments))
    sign = 1 if statistic == "moran" else -1
    for name, variance in (("norm", normal), ("rand", random)):
        z, p = _from_z(observed - expected, variance, sign=sign, alternative=alternative)
        found |= {f"variance_{name}": variance, f"z_{name}": z, f"p_{name}": p}
        found[f"p_{name}_adjusted"] = adjusted(p, method=adjust)
    if n_permutations is not None:
        sims = null.permutation_null(
            columns,
            weights,
            observed=observed,
            statistic=statistic,
            n_permutations=int(n_permutations),
            rng=as_generator(rng),
        )
        z, p = _from_z(observed - sims.mean, sims.variance, sign=sign, alternative=alternative)
        found |= {"mean_sim": sims.mean, "variance_sim": sims.variance, "z_sim": z, "p_z_sim": p}
        found["p_z_sim_adjusted"] = adjusted(p, method=adjust)
        found["p_sim"] = _from_ranks(sims, sign=sign, alternative=alternative)
        found["p_sim_adjusted"] = adjusted(np.where(np.isnan(observed), np.nan, found["p_sim"]), method=adjust)
    table = pd.DataFrame(found)
    table.loc[np.isnan(observed)] = np.nan
    return table


def _check_testable(weights: sparse.csr_array) -> None:
    if weights.shape[0] < _FEWEST:
        raise InputError(
            f"{weights.shape[0]} observations.",
            allowed=f"at least {_FEWEST}",
            remedy="test on a whole slide; with so few there is no variance to compare with.",
        )
    loops = int(np.count_nonzero(weights.diagonal()))
    if loops:
        raise InputError(
            f"a graph with {loops} loops: observations that are their own neighbours.",
            allowed="edges between different observations",
            remedy="remove them, such as with `graph.setdiag(0); graph.eliminate_zeros()`.",
        )


def _centered(values: np.ndarray | sparse.csr_array) -> sparse.csr_array:
    """Return values whose statistics are the same, for kernels that read sparse matrices."""
    if isinstance(values, sparse.csr_array):
        return values
    return sparse.csr_array(np.where(constant(values), 0.0, values - values.mean(axis=0)))


def _from_z(apart: np.ndarray, variance: np.ndarray, *, sign: int, alternative: str) -> tuple[np.ndarray, np.ndarray]:
    z = np.full(len(apart), np.nan)
    np.divide(apart, np.sqrt(np.maximum(variance, 0.0)), out=z, where=variance > 0)
    if alternative == "two-sided":
        return z, 2 * stats.norm.sf(np.abs(z))
    return z, stats.norm.sf(z * sign if alternative == "positive" else -z * sign)


def _from_ranks(sims: null.Permuted, *, sign: int, alternative: str) -> np.ndarray:
    above, below = ((k + 1) / (sims.n + 1) for k in (sims.at_least, sims.at_most))
    if alternative == "two-sided":
        return np.minimum(1.0, 2 * np.minimum(above, below))
    return above if (alternative == "positive") == (sign > 0) else below
