"""True and predicted signatures of the same niches, and every score of how well they agree: the one definition."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from stfmkit import metrics
from stfmkit.metrics._signature_patients import PatientStatistics

ALL_GENES = 0
"""Size of a score that reads all genes."""

AGREEMENT = (
    "jaccard",
    "adjusted_jaccard",
    "dice",
    "overlap_coefficient",
    "rank_biased_overlap",
    "signed_jaccard",
    "specificity",
    "ranking_auroc",
)
"""Scores of a signature of one size."""


class Thresholds(NamedTuple):
    """What a gene of a true signature has to pass, as in :func:`stfmkit.metrics.signature_sets`."""

    min_auroc: float = 0.5
    min_log2fc: float = 0.5
    min_pct: float = 0.1
    alpha: float = 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class Signatures:
    """Positions of genes by niche, and the statistics behind them.

    Attributes
    ----------
    statistics
        Of the truth, by niche, patient and gene.
    table
        The truth averaged over patients: one row per niche and gene.
    up, down
        True signatures, best first, as long as the largest size allows; shorter ones are their beginnings.
    scores
        Predicted AUROC (n_niches, n_genes), NaN where a niche was never predicted; None without a prediction.
    fold_changes
        Predicted log2 fold changes, of the same shape.
    """

    statistics: PatientStatistics
    table: pd.DataFrame
    up: dict[str, np.ndarray]
    down: dict[str, np.ndarray]
    scores: np.ndarray | None
    fold_changes: np.ndarray | None


def choose_signatures(
    statistics: PatientStatistics, guess: PatientStatistics | None, *, most: int, thresholds: Thresholds
) -> Signatures:
    """Choose the true signatures of at most `most` genes; `guess` holds the statistics of the same niches, predicted.

    Every niche must be usable in some patient of the truth.
    """
    table = statistics.table()
    scores = fold_changes = None
    if guess is not None:
        scores = guess.scores()
        fold_changes = np.full(scores.shape, np.nan)
        for k in np.flatnonzero(guess.usable.any(axis=1)):
            fold_changes[k] = guess.of_niche(int(k))["log2fc"]
    up, down = (
        metrics.signature_sets(table, n_genes=most, direction=d, **thresholds._asdict()) for d in ("up", "down")
    )
    return Signatures(statistics=statistics, table=table, up=up, down=down, scores=scores, fold_changes=fold_changes)


def agreement_rows(found: Signatures, k: int, sizes: Sequence[int]) -> Iterator[tuple[int, str, float]]:
    """Yield size, metric and value for niche number `k`; NaN where no gene marks it, nothing without a prediction."""
    if found.scores is None or found.fold_changes is None:
        return
    niche = found.statistics.niches.tolist()[k]
    own_changes = found.table.loc[found.table["niche"] == niche, "log2fc"].to_numpy()
    rho = float("nan")
    if not np.isnan(found.fold_changes[k]).any() and len(own_changes) > 1:
        rho = metrics.signature_fold_change_correlation(own_changes, found.fold_changes[k])
    yield ALL_GENES, "fold_change_correlation", rho
    for n in sizes:
        up, down = found.up[niche][:n], found.down[niche][:n]
        scored = _agreement(found, k, up, down) if len(up) else dict.fromkeys(AGREEMENT, float("nan"))
        for metric in AGREEMENT:
            yield n, metric, scored[metric]


def top(scores: np.ndarray, n: int) -> np.ndarray:
    """Return the positions of the best `n` genes; none where nothing was predicted."""
    return np.empty(0, dtype=np.int64) if np.isnan(scores).all() or n == 0 else metrics.signature_top(scores, n)


def _agreement(found: Signatures, k: int, up: np.ndarray, down: np.ndarray) -> dict[str, float]:
    """Compare the true signature of niche number `k` with as many predicted genes."""
    scores = np.asarray(found.scores)
    names = found.statistics.niches.tolist()
    # as many predicted genes as true ones, for every niche, so that sizes do not tell niches apart
    guess = {name: top(scores[j], len(up)) for j, name in enumerate(names)}
    own = guess[names[k]]
    free = np.setdiff1d(np.arange(scores.shape[1]), own)
    low = free[top(-scores[k][free], min(len(down), len(free)))] if free.size else free
    predicted = not np.isnan(scores[k]).any()
    return {
        "jaccard": metrics.jaccard(up, own),
        "adjusted_jaccard": metrics.adjusted_jaccard(up, own, n_genes=scores.shape[1]),
        "dice": metrics.dice(up, own),
        "overlap_coefficient": metrics.overlap_coefficient(up, own),
        "rank_biased_overlap": metrics.rank_biased_overlap(up, own),
        "signed_jaccard": metrics.signed_jaccard((up, down), (own, low)),
        "specificity": (
            metrics.signature_specificity({names[k]: up}, guess)[names[k]] if len(names) > 1 else float("nan")
        ),
        "ranking_auroc": metrics.signature_ranking_auroc(up, scores[k]) if predicted else float("nan"),
    }


def halves_ceiling(
    halves: Sequence[PatientStatistics], sizes: Sequence[int], *, thresholds: Thresholds
) -> dict[tuple[str, int], float]:
    """Return, per niche and size, the adjusted Jaccard index between two independent halves of the counts.

    One half makes the true signature, the other is ranked as a prediction would be; both ways are averaged. NaN where
    no gene marks the niche in either half.
    """
    sets = [metrics.signature_sets(half.table(), n_genes=max(sizes), **thresholds._asdict()) for half in halves]
    scores = [half.scores() for half in halves]
    return {
        (niche, n): mean_known([adjusted_overlap(sets[a][niche][:n], scores[1 - a][k]) for a in (0, 1)])
        for k, niche in enumerate(halves[0].niches.tolist())
        for n in sizes
    }


def adjusted_overlap(own: np.ndarray, scores: np.ndarray) -> float:
    """Return the adjusted Jaccard index of a signature and as many genes by score; NaN for an empty signature."""
    if not len(own):
        return float("nan")
    return metrics.adjusted_jaccard(own, top(scores, len(own)), n_genes=len(scores))


def mean_known(values: Sequence[float]) -> float:
    """Return the mean of what is not NaN; NaN where nothing is left."""
    known = [v for v in values if not np.isnan(v)]
    return float(np.mean(known)) if known else float("nan")
