"""Score the co-expression of genes: how much of a correlation structure a prediction keeps."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from stfmkit import metrics
from stfmkit._core.random import stream
from stfmkit.evaluation.expression import ExpressionTruth
from stfmkit.evaluation.scores import Score, concat_scores, to_table

CEILED = ("ssim_ordered", "ssim_permuted", "ssim_global", "offdiagonal_correlation")
"""Metrics that are 0 by chance, and so have a share of a ceiling."""
WINDOW = 7
N_ORDERS = 100
N_PERMUTATIONS = 199
N_MODULES = 8
N_EIGENVECTORS = 10

_CLEAR = 0.1  # lagged correlations are small


@dataclass(frozen=True)
class CoexpressionSizes:
    """Numbers that the metrics of co-expression depend on.

    Attributes
    ----------
    window
        Side of the window of SSIM, in genes; odd.
    n_orders
        Random orders of the genes for ``ssim_permuted``.
    n_permutations
        Permutations of ``mantel_p``.
    n_modules
        Modules of ``module_preservation``.
    n_eigenvectors
        Eigenvectors of ``subspace_affinity``.
    """

    window: int = WINDOW
    n_orders: int = N_ORDERS
    n_permutations: int = N_PERMUTATIONS
    n_modules: int = N_MODULES
    n_eigenvectors: int = N_EIGENVECTORS


SIZES = CoexpressionSizes()


def compare_structures(
    truth: np.ndarray,
    predicted: np.ndarray,
    *,
    order: np.ndarray,
    seed: int,
    sizes: CoexpressionSizes = SIZES,
    **where: Any,
) -> pd.DataFrame:
    """Return every score of a predicted correlation matrix against the true one.

    Genes that do not vary on either side (NaN rows) are left out of every score, and their share is a row of its own.
    Where fewer genes than the window are left, as in a constant prediction, there is no co-expression: scores of
    agreement are 0, others are undefined.

    Parameters
    ----------
    truth, predicted
        Correlation matrices (n_genes, n_genes).
    order
        Positions of all genes in the order for ``ssim_ordered`` (n_genes,), learned in training.
    seed
        Of the random orders and permutations; the same ones for every prediction with as many genes that vary. Fold and
        sample in `where` have a stream of their own.
    sizes
        Numbers that the metrics depend on.
    where
        Other columns of the rows, such as scope, sample and contender.

    Returns
    -------
    A table of scores; the sizes are in ``setting``.
    """
    varies = ~(np.isnan(np.diagonal(truth)) | np.isnan(np.diagonal(predicted)))
    n_kept = int(varies.sum())
    a, b = (matrix[np.ix_(order, order)] for matrix in (truth, predicted))
    names = (where.get("fold", -1), where.get("sample", ""))
    if n_kept < sizes.window:
        scores, reason = _without_structure(sizes), "fewer genes vary in truth and prediction than the window has"
    else:
        scores, reason = (
            _scores(a, b, n_kept=n_kept, sizes=sizes, names=(seed, *names)),
            "undefined on these correlations",
        )
    rows = [Score(metric=m, setting=s, value=v, reason=reason, **where) for (m, s), v in scores.items()]
    return to_table([*rows, Score(metric="share_degenerate", value=1 - n_kept / len(order), **where)])


def score_coexpression(
    truth: ExpressionTruth, predicted: np.ndarray, *, order: np.ndarray, seed: int, sizes: CoexpressionSizes = SIZES
) -> pd.DataFrame:
    """Return the scores of `compare_structures` for every sample, from the correlations within it.

    Parameters
    ----------
    predicted
        Prediction (n_obs, n_genes), on the scale of the truth.
    order
        Positions of all genes (n_genes,), such as ``metrics.coexpression_order`` of the correlations in training.
    seed
        Of orders and permutations.
    """
    return _by_sample(truth, truth.expression, predicted, order=order, seed=seed, sizes=sizes)


def coexpression_ceilings(
    truth: ExpressionTruth, *, order: np.ndarray, seed: int, sizes: CoexpressionSizes = SIZES
) -> pd.DataFrame:
    """Return what the structure of one half of the molecules scores against that of the other, as ceilings.

    Both sides are noisier than the truth that models are judged by, so that these ceilings are on the low side, and a
    prediction that smooths noise away may pass them.
    """
    if truth.halves is None:
        return concat_scores([])
    return as_ceilings(_by_sample(truth, *truth.halves, order=order, seed=seed, sizes=sizes))


def as_ceilings(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of one half of the molecules against the other as ceilings, for the metrics that have one."""
    of_ceiling = scores["metric"].isin(CEILED) & ~scores["setting"].str.contains("method=")
    rows = scores[of_ceiling]
    return rows.assign(status="ceiling")


def score_pairs(truth: np.ndarray, predicted: np.ndarray, **where: Any) -> pd.DataFrame:
    """Return how well predicted lagged correlations of pairs of genes (n_pairs,) agree with true ones.

    The metric is ``lagged_correlation``; how the pairs are summarised is in the setting. Pairs of a gene that does not
    vary are left out, and their share is a row of its own.
    """
    defined = ~(np.isnan(truth) | np.isnan(predicted))
    a, b = truth[defined], predicted[defined]
    clear = np.abs(a) > _CLEAR
    scores = dict.fromkeys(("pearson", "mean absolute difference", "sign agreement"), np.nan)
    if len(a):
        scores["mean absolute difference"] = float(np.abs(a - b).mean())
    if len(a) > 2 and np.ptp(a) > 0:
        scores["pearson"] = float(np.corrcoef(a, b)[0, 1]) if np.ptp(b) > 0 else 0.0
    if clear.any():
        scores["sign agreement"] = float((np.sign(a[clear]) == np.sign(b[clear])).mean())
    one: dict[str, Any] = {"metric": "lagged_correlation", "reason": "too few pairs of genes that vary", **where}
    rows = [Score(value=value, setting=f"{name} over pairs", **one) for name, value in scores.items()]
    share = float(1 - defined.mean())
    return to_table([*rows, Score(metric="share_degenerate", value=share, setting="pairs", **where)])


def _by_sample(
    truth: ExpressionTruth,
    true: np.ndarray,
    predicted: np.ndarray,
    *,
    order: np.ndarray,
    seed: int,
    sizes: CoexpressionSizes,
) -> pd.DataFrame:
    parts = []
    for sample in truth.scored_samples():
        matrices = [metrics.correlation(part[sample.rows]) for part in (true, predicted)]
        where = {"scope": "sample", "fold": truth.fold, **sample.columns}
        parts.append(compare_structures(*matrices, order=order, seed=seed, sizes=sizes, **where))
    return concat_scores(parts)


def _scores(
    a: np.ndarray, b: np.ndarray, *, n_kept: int, sizes: CoexpressionSizes, names: tuple[Any, ...]
) -> dict[tuple[str, str], float]:
    """Return value by metric and setting, of matrices whose genes are in the fixed order."""
    seed, *where = names
    permuted = metrics.ssim_permuted(
        a, b, n_orders=sizes.n_orders, window=sizes.window, rng=stream(seed, "ssim", *where)
    )
    mantel = metrics.mantel(a, b, n_permutations=sizes.n_permutations, rng=stream(seed, "mantel", *where))
    subspace = modules = np.nan
    if n_kept > sizes.n_eigenvectors:
        subspace = metrics.subspace_affinity(a, b, n_eigenvectors=sizes.n_eigenvectors)
    if n_kept > sizes.n_modules:
        modules = metrics.module_preservation(a, b, n_modules=sizes.n_modules)
    window = f"window={sizes.window}"
    return {
        ("ssim_ordered", window): metrics.ssim_ordered(a, b, order=np.arange(len(a)), window=sizes.window),
        ("ssim_permuted", window): permuted.mean,
        ("ssim_permuted_sd", window): permuted.sd,
        ("ssim_global", ""): metrics.ssim_global(a, b),
        ("offdiagonal_correlation", ""): mantel.r,
        ("offdiagonal_correlation", "method=spearman"): metrics.offdiagonal_correlation(a, b, method="spearman"),
        ("mantel_p", f"n_permutations={sizes.n_permutations}"): mantel.p,
        ("rv_coefficient", ""): metrics.rv_coefficient(a, b),
        ("frobenius_error", ""): metrics.frobenius_error(a, b),
        ("mean_absolute_difference", ""): metrics.mean_absolute_difference(a, b),
        ("eigen_spectrum_distance", ""): metrics.eigen_spectrum_distance(a, b),
        ("participation_ratio", ""): metrics.participation_ratio(a, b),
        ("subspace_affinity", f"n_eigenvectors={sizes.n_eigenvectors}"): subspace,
        ("module_preservation", f"n_modules={sizes.n_modules}"): modules,
        ("sign_agreement", ""): metrics.sign_agreement(a, b),
    }


def _without_structure(sizes: CoexpressionSizes) -> dict[tuple[str, str], float]:
    """Return the scores of a prediction without any co-expression: 0 for agreement, undefined for the others."""
    window = f"window={sizes.window}"
    return {
        ("ssim_ordered", window): 0.0,
        ("ssim_permuted", window): 0.0,
        ("ssim_global", ""): 0.0,
        ("offdiagonal_correlation", ""): 0.0,
        ("mantel_p", f"n_permutations={sizes.n_permutations}"): 1.0,
        ("rv_coefficient", ""): 0.0,
        ("frobenius_error", ""): 1.0,
        ("eigen_spectrum_distance", ""): np.nan,
        ("sign_agreement", ""): 0.0,
    }
