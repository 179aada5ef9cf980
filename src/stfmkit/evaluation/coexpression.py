"""Score the co-expression of genes: how much of a correlation structure a prediction keeps.

The truth stands in the setting of every score. "truth=latent" are correlations without the noise of counting
(`sk.metrics.latent_correlation`): they rank predictions as noise-free correlations do. "truth=raw" are those of
measured values, which the noise of counting brings nearer to 0, so that noise in a prediction makes it look better.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from stfmkit import metrics
from stfmkit._core.random import stream
from stfmkit.evaluation.bounds import upper_bound
from stfmkit.evaluation.expression import ExpressionTruth
from stfmkit.evaluation.molecules import Molecules, PredictedStructure
from stfmkit.evaluation.samples import SampleRows
from stfmkit.evaluation.scores import Score, concat_scores, to_table
from stfmkit.metrics._latent_correlation import CLEAR

CEILED = ("ssim_ordered", "ssim_permuted", "offdiagonal_correlation", "rv_coefficient")
"""Metrics that are 0 by chance, and so have a share of a ceiling."""
WINDOW = 7
N_ORDERS = 100
N_PERMUTATIONS = 199
N_MODULES = 8
N_EIGENVECTORS = 10

LATENT, RAW = "truth=latent", "truth=raw"
"""Settings: what a prediction is compared with."""
_NO_AGREEMENT = "two halves of the counts do not agree"
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
    kind: Literal["latent", "raw"] = "raw",
    sizes: CoexpressionSizes = SIZES,
    **where: Any,
) -> pd.DataFrame:
    """Return every score of a predicted correlation matrix against the true one.

    Genes without a true correlation (NaN rows: no variation, or none beyond the noise of counting) are left out of
    every score, and their share is a row of its own. A gene that a prediction leaves constant is left out of the
    comparison with raw correlations; it counts as uncorrelated in that with latent ones, so that all predictions are
    judged on the same genes. Where fewer genes than the window are left, as in a constant prediction, there is no
    co-expression: scores of agreement are 0, others are undefined. Where fewer genes have a latent correlation there is
    nothing to predict, and all scores are undefined.

    Parameters
    ----------
    truth, predicted
        Correlation matrices (n_genes, n_genes).
    order
        Positions of all genes in the order for ``ssim_ordered`` (n_genes,), learned in training.
    seed
        Of the random orders and permutations; the same ones for every prediction with as many genes that vary. Fold and
        sample in `where` have a stream of their own.
    kind
        What the true correlations are.
    sizes
        Numbers that the metrics depend on.
    where
        Other columns of the rows, such as scope, sample and contender.

    Returns
    -------
    A table of scores; the sizes, and the kind of the truth, are in ``setting``.
    """
    known, varies = (~np.isnan(np.diagonal(matrix)) for matrix in (truth, predicted))
    n_true, n_both = int(known.sum()), int((known & varies).sum())
    if kind == "latent":
        predicted = uncorrelated(predicted)
    n_kept = n_true if kind == "latent" else n_both
    a, b = (matrix[np.ix_(order, order)] for matrix in (truth, predicted))
    names = (where.get("fold", -1), where.get("sample", ""))
    reason = "undefined on these correlations"
    if kind == "latent" and n_true < sizes.window:
        scores = dict.fromkeys(_without_structure(sizes), np.nan)
        reason = "fewer genes have a latent correlation than the window has"
    elif n_both < sizes.window:
        scores, reason = _without_structure(sizes), "fewer genes vary in truth and prediction than the window has"
    else:
        scores = _scores(a, b, n_kept=n_kept, sizes=sizes, names=(seed, *names))
    told = f"truth={kind}"
    rows = [
        Score(metric=m, setting=f"{s}, {told}" if s else told, value=v, reason=reason, **where)
        for (m, s), v in scores.items()
    ]
    return to_table([*rows, Score(metric="share_degenerate", setting=told, value=1 - n_kept / len(order), **where)])


def score_coexpression(
    truth: ExpressionTruth,
    predicted: np.ndarray | PredictedStructure,
    *,
    order: np.ndarray,
    seed: int,
    sizes: CoexpressionSizes = SIZES,
    latent: Mapping[str, np.ndarray] | None = None,
) -> pd.DataFrame:
    """Return the scores of `compare_structures` for every sample, from the correlations within it.

    Parameters
    ----------
    truth
        Without counts nothing is compared with latent correlations.
    predicted
        Prediction (n_obs, n_genes), on the scale of the truth, or correlations.
    order
        Positions of all genes (n_genes,), such as ``metrics.coexpression_order`` of the correlations in training.
    seed
        Of halvings, orders and permutations.
    latent
        The result of `latent_truths`, where several predictions are compared with it.
    """
    latent = latent_truths(truth, seed=seed) if latent is None else latent
    parts = []
    for sample in truth.scored_samples():
        how: dict[str, Any] = {"order": order, "seed": seed, "sizes": sizes, **_where(truth, sample)}
        name = sample.sample
        if isinstance(predicted, PredictedStructure):
            guess = uncorrelated(predicted.by_sample[name])
        else:
            guess = metrics.correlation(predicted[sample.rows])
        if name in latent:
            parts.append(compare_structures(latent[name], guess, kind="latent", **how))
        raw = metrics.correlation(truth.expression[sample.rows])
        parts.append(compare_structures(raw, guess, kind="raw", **how))
    return concat_scores(parts)


def latent_truths(truth: ExpressionTruth, *, seed: int, min_z: float = CLEAR) -> dict[str, np.ndarray]:
    """Return the latent correlations (n_genes, n_genes) of every sample that is scored; none without counts.

    Genes that vary less clearly than `min_z` have none, as in `sk.metrics.latent_correlation`.
    """
    if truth.molecules is None:
        return {}
    return {
        sample.sample: truth.molecules.of(sample.rows).latent_correlation(
            stream(seed, "latent", truth.fold, sample.sample), min_z=min_z
        )
        for sample in truth.scored_samples()
    }


def coexpression_ceilings(
    truth: ExpressionTruth, *, order: np.ndarray, seed: int, sizes: CoexpressionSizes = SIZES
) -> pd.DataFrame:
    """Return upper bounds of the scores against latent correlations, from two independent halves of the molecules.

    Each half, halved again, gives latent correlations; what these agree on bounds a prediction that knows the truth
    (`upper_bound`). Raw correlations of halves bound nothing: noise lowers both alike.
    """
    molecules, parts = truth.molecules, []
    if molecules is None:
        return concat_scores([])
    for sample in truth.scored_samples():
        halves = latent_halves(molecules.of(sample.rows), seed=seed, names=(truth.fold, sample.sample))
        how: dict[str, Any] = {"order": order, "seed": seed, "sizes": sizes, **_where(truth, sample)}
        parts.append(compare_structures(*halves, kind="latent", **how))
    return as_ceilings(concat_scores(parts))


def latent_halves(
    molecules: Molecules, *, seed: int, names: tuple[Any, ...], **known: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Return the latent correlations (n_genes, n_genes) of two independent halves of the molecules.

    A gene that varies beyond its counting noise in one half only tells nothing of what halves agree on, and is NaN in
    both: as uncorrelated with all others it would make them disagree, and their bound too low.

    Parameters
    ----------
    names
        Fold and sample, which have a stream of their own.
    known
        Groups and covariate of `sk.metrics.latent_correlation`.
    """
    rng = stream(seed, "latent halves", *names)
    first, second = (half.latent_correlation(rng, **known) for half in molecules.halves(rng))
    unclear = np.isnan(first).all(axis=0) | np.isnan(second).all(axis=0)
    for half in (first, second):
        half[unclear], half[:, unclear] = np.nan, np.nan
    return first, second


def as_ceilings(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of one half of the molecules against the other as ceilings, for the metrics that have one.

    Halves that do not agree at all, as in a sample where too few genes show any signal, bound nothing: the ceiling is
    not known, and is a row without a value.
    """
    of_ceiling = scores["metric"].isin(CEILED) & ~scores["setting"].str.contains("method=")
    rows = scores[of_ceiling]
    known = rows["value"] > 0
    bound = pd.Series(upper_bound(rows["value"]), index=rows.index).where(known)
    return rows.assign(status="ceiling", value=bound, reason=np.where(known, "", _NO_AGREEMENT))


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


def _where(truth: ExpressionTruth, sample: SampleRows) -> dict[str, Any]:
    return {"scope": "sample", "fold": truth.fold, **sample.columns}


def uncorrelated(matrix: np.ndarray) -> np.ndarray:
    """Return the correlations with genes that have none as uncorrelated with all others."""
    filled = np.nan_to_num(matrix, nan=0.0)
    np.fill_diagonal(filled, 1.0)
    return filled


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
