"""The Wilcoxon rank-sum test of every gene, in one pass over the values."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import sparse, stats

from stfmkit._core.errors import InputError
from stfmkit._kernels._ranks import GroupSums, group_sums
from stfmkit.metrics._arrays import read_values
from stfmkit.metrics._auroc import auroc_of, group_codes

_TINY = 1e-9  # scanpy's guard against division by zero in fold changes
_LARGEST = 50.0


def rank_sum_test(
    X: ArrayLike | sparse.sparray,
    labels: ArrayLike,
    *,
    groups: Sequence[Any] | np.ndarray | None = None,
    tie_correct: bool = True,
    continuity: bool = False,
) -> pd.DataFrame:
    """Test every gene of every group against all other observations, by the rank-sum test.

    AUROC, normal score, two-sided p-value, fold change and detection come from one pass over the values. Observations
    are taken as independent, which those of one tissue are not: spots share a patient and neighbours share molecules.
    The p-values describe the sample at hand and say nothing of other patients; `signature_statistics` tests over
    patients.

    Parameters
    ----------
    X
        Size-factor log1p expression (n_obs, n_genes), dense or sparse; a sparse matrix is not densified.
    labels
        Group of every observation (n_obs,).
    groups
        Groups to test and their order; by default ``np.unique(labels)``. A group that is absent, or holds all
        observations, gets NaN.
    tie_correct
        Account for ties in the variance, as scipy does; scanpy leaves that out by default, which makes p-values of
        sparse genes too large.
    continuity
        Move U by one half towards its mean, as ``scipy.stats.mannwhitneyu`` does by default and scanpy does not.

    Returns
    -------
    One row per group and gene: group; gene (position in `X`); auroc; z, positive where the group has more; p_value; 1
    for a constant gene; log2fc, of the mean of ``expm1(X)`` inside over that outside, values below 0 as 0; pct_in and
    pct_out, shares of observations above 0.

    Raises
    ------
    InputError
        If there is one group only, a label is missing, or a value is not finite or too large for a logarithm.

    References
    ----------
    Mann and Whitney 1947, Ann Math Stat 18:50; Lehmann 1975, Nonparametrics, section 1.4 (ties).

    Examples
    --------
    >>> import stfmkit as sk
    >>> table = sk.metrics.rank_sum_test([[3.0, 0], [2, 1], [1, 0], [0, 1]], ["core", "core", "rim", "rim"])
    >>> table.loc[0, ["auroc", "pct_in", "pct_out"]].astype(float).tolist()
    [1.0, 1.0, 0.5]
    >>> float(table.loc[0, "p_value"].round(3))
    0.121
    """
    values = read_values(X)
    codes, wanted = group_codes(labels, groups, n=values.shape[0])
    if values.shape[1] and values.max() > _LARGEST:
        raise InputError(
            f"values up to {values.max():g} in X.",
            allowed=f"log1p expression, at most {_LARGEST:g}",
            remedy="pass size-factor log1p, such as sk.pp.normalize writes.",
        )
    sums = group_sums(values, codes=codes, n_groups=len(wanted) + 1, amounts=True)
    size = np.bincount(codes, minlength=len(wanted) + 1).astype(np.float64)
    score = auroc_of(sums.ranks, size)
    z = normal_score(score, size, sums.ties, tie_correct=tie_correct, continuity=continuity)
    p = 2 * stats.norm.sf(np.abs(z))
    inside, outside, pct_in, pct_out = shares(sums, size)
    n_genes = values.shape[1]
    columns = {
        "auroc": score,
        "z": z,
        "p_value": np.minimum(p, 1.0),
        "log2fc": np.log2((inside + _TINY) / (outside + _TINY)),
        "pct_in": pct_in,
        "pct_out": pct_out,
    }
    ids = {"group": np.repeat(wanted.to_numpy(), n_genes), "gene": np.tile(np.arange(n_genes), len(wanted))}
    return pd.DataFrame(ids | {name: part[:-1].ravel() for name, part in columns.items()})


def normal_score(
    auroc: np.ndarray, size: np.ndarray, ties: np.ndarray, *, tie_correct: bool = True, continuity: bool = False
) -> np.ndarray:
    """Return the rank-sum score (n_groups, n_genes): 0 for a constant gene, NaN where a group has no rest.

    Parameters
    ----------
    auroc
        Of every group against the rest (n_groups, n_genes).
    size
        Observations of every group (n_groups,).
    ties
        ``Σ (t³ - t)`` of every gene (n_genes,).
    """
    n = float(size.sum())
    pairs = (size * (n - size))[:, None]
    lost = ties / (n * (n - 1)) if tie_correct and n > 1 else np.zeros(len(ties))
    spread = np.sqrt(pairs / 12 * np.maximum(n + 1 - lost, 0.0))
    apart = (auroc - 0.5) * pairs
    if continuity:
        apart = np.sign(apart) * np.maximum(np.abs(apart) - 0.5, 0.0)
    flat = spread < 0.1 * np.sqrt(pairs)  # one value that differs from all others already makes it 0.5
    z = np.divide(apart, spread, out=np.zeros_like(apart), where=~flat)
    return np.where(np.isnan(auroc), np.nan, z)


def shares(sums: GroupSums, size: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return mean expression inside and outside every group, and shares with the gene (n_groups, n_genes) each."""
    inside, outside = np.maximum(size, 1)[:, None], np.maximum(size.sum() - size, 1)[:, None]
    found = []
    for part in (sums.total, sums.detected):
        others = np.maximum(part.sum(axis=0) - part, 0)
        found += [part / inside, others / outside]
    return found[0], found[1], found[2], found[3]
