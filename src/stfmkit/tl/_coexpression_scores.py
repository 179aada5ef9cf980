"""Every score of the co-expression suite, for one pair of correlation matrices."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from stfmkit import metrics
from stfmkit._core.random import stream

_CLEAR = 0.1  # lagged correlations are small


class Settings(NamedTuple):
    """What is fixed for all comparisons: the order of the genes, the sizes, and the seed."""

    order: np.ndarray
    window: int
    n_orders: int
    n_permutations: int
    n_modules: int
    k: int
    seed: int


def score_matrices(truth: np.ndarray, predicted: np.ndarray, settings: Settings) -> pd.DataFrame:
    """Return all scores of two matrices as rows of metric, value, n_compared and n_degenerate.

    The random orders and permutations are the same for every prediction.
    """
    streams = {name: stream(settings.seed, "coexpression", name) for name in ("ssim", "mantel")}
    window = settings.window
    permuted = metrics.ssim_permuted(truth, predicted, n_orders=settings.n_orders, window=window, rng=streams["ssim"])
    mantel = metrics.mantel(truth, predicted, n_permutations=settings.n_permutations, rng=streams["mantel"])
    scores = {
        "ssim_ordered": metrics.ssim_ordered(truth, predicted, order=settings.order, window=window),
        "ssim_permuted": permuted.mean,
        "ssim_permuted_sd": permuted.sd,
        "ssim_global": metrics.ssim_global(truth, predicted),
        "offdiagonal_pearson": mantel.r,
        "mantel_p": mantel.p,
        "offdiagonal_spearman": metrics.offdiagonal_correlation(truth, predicted, method="spearman"),
        "mean_absolute_difference": metrics.mean_absolute_difference(truth, predicted),
        "rv_coefficient": metrics.rv_coefficient(truth, predicted),
        "frobenius_error": metrics.frobenius_error(truth, predicted),
        "eigen_spectrum_distance": metrics.eigen_spectrum_distance(truth, predicted),
        "participation_ratio": metrics.participation_ratio(truth, predicted),
        "subspace_affinity": metrics.subspace_affinity(truth, predicted, n_eigenvectors=settings.k),
        "module_preservation": metrics.module_preservation(truth, predicted, n_modules=settings.n_modules),
        "sign_agreement": metrics.sign_agreement(truth, predicted),
    }
    n_degenerate = int((np.isnan(truth.diagonal()) | np.isnan(predicted.diagonal())).sum())
    return _rows(scores, n_compared=len(truth) - n_degenerate, n_degenerate=n_degenerate)


def score_pairs(truth: np.ndarray, predicted: np.ndarray) -> pd.DataFrame:
    """Return the scores of the lagged correlations (n_pairs,) of ligands and receptors, in the same columns."""
    defined = ~(np.isnan(truth) | np.isnan(predicted))
    a, b = truth[defined], predicted[defined]
    scores = dict.fromkeys(("lr_pearson", "lr_mean_absolute_difference", "lr_sign_agreement"), np.nan)
    if len(a):
        scores["lr_mean_absolute_difference"] = float(np.abs(a - b).mean())
    if len(a) > 2 and np.ptp(a) > 0:
        scores["lr_pearson"] = float(np.corrcoef(a, b)[0, 1]) if np.ptp(b) > 0 else 0.0
    clear = np.abs(a) > _CLEAR
    if clear.any():
        scores["lr_sign_agreement"] = float((np.sign(a[clear]) == np.sign(b[clear])).mean())
    return _rows(scores, n_compared=len(a), n_degenerate=int((~defined).sum()))


def _rows(scores: dict[str, float], *, n_compared: int, n_degenerate: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "metric": list(scores),
            "value": np.array(list(scores.values()), dtype=np.float64),
            "n_compared": n_compared,
            "n_degenerate": n_degenerate,
        }
    )
