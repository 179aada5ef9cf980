"""True and predicted signatures of every niche, and how well they agree."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit import metrics
from stfmkit._kernels._thinning import thin
from stfmkit._random import stream
from stfmkit.metrics._signature_patients import PatientStatistics
from stfmkit.tl._signature_input import Matrix, SignatureInput, normalized

ALL_GENES = 0
"""Size in the table for a score that has none."""

_SPLITS = 10
_COLUMNS = ("auroc", "log2fc", "pct_in", "pct_out", "n_patients", "p_value", "p_adj")


class Thresholds(NamedTuple):
    """What a gene of a true signature has to pass, as in :func:`stfmkit.metrics.signature_sets`."""

    min_auroc: float
    min_log2fc: float
    min_pct: float
    alpha: float


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


def find_signatures(data: SignatureInput, *, most: int, thresholds: Thresholds) -> Signatures:
    """Rank genes by niche, and choose the true signatures of at most `most` genes."""
    statistics = _statistics(data, data.truth, data.niche)
    table = statistics.table()
    scores = fold_changes = None
    if data.predicted is not None:
        guess = _statistics(data, data.predicted, data.predicted_niche)
        scores = guess.scores()
        fold_changes = np.full(scores.shape, np.nan)
        for k in np.flatnonzero(guess.usable.any(axis=1)):
            fold_changes[k] = guess.of_niche(int(k))["log2fc"]
    up, down = (metrics.signature_sets(table, n=most, direction=d, **thresholds._asdict()) for d in ("up", "down"))
    return Signatures(statistics=statistics, table=table, up=up, down=down, scores=scores, fold_changes=fold_changes)


def _statistics(data: SignatureInput, values: Matrix, niche: np.ndarray) -> PatientStatistics:
    return PatientStatistics.of(values, niche, data.patient, niches=data.niches, min_obs=data.min_obs)


def gene_table(found: Signatures, genes: pd.Index) -> pd.DataFrame:
    """Return the table that is stored: one row per niche and gene, names instead of positions."""
    names = found.statistics.niches.tolist()
    n_genes = len(genes)
    columns: dict[str, object] = {
        "niche": pd.Categorical.from_codes(np.repeat(np.arange(len(names)), n_genes), categories=names),
        "gene": pd.Categorical.from_codes(np.tile(np.arange(n_genes), len(names)), categories=genes.astype(str)),
    }
    columns |= {name: found.table[name].to_numpy() for name in _COLUMNS}
    rank = np.zeros((len(names), n_genes), dtype=np.int64)
    low = np.zeros_like(rank, dtype=bool)
    for k, name in enumerate(names):
        rank[k, found.up[name]] = np.arange(1, len(found.up[name]) + 1)
        low[k, found.down[name]] = True
    columns |= {"selected": rank.ravel() > 0, "rank": rank.ravel(), "selected_down": low.ravel()}
    if found.scores is not None and found.fold_changes is not None:
        columns |= {"predicted_auroc": found.scores.ravel(), "predicted_log2fc": found.fold_changes.ravel()}
    return _text_index(pd.DataFrame(columns))


def top(scores: np.ndarray, n: int) -> np.ndarray:
    """Return the positions of the best `n` genes; none where nothing was predicted."""
    return np.empty(0, dtype=np.int64) if np.isnan(scores).all() or n == 0 else metrics.signature_top(scores, n)


def score_table(
    found: Signatures, sizes: tuple[int, ...], ceilings: dict[str, dict[tuple[str, int], float]]
) -> pd.DataFrame:
    """Return the long table of scores: niche, n, metric, value."""
    rows = [row for k in range(len(found.statistics.niches)) for row in _score_niche(found, k, sizes, ceilings)]
    table = pd.DataFrame(rows, columns=["niche", "n", "metric", "value"])
    for column in ("niche", "metric"):
        table[column] = pd.Categorical(table[column], categories=list(dict.fromkeys(table[column])))
    return _text_index(table)


def _score_niche(
    found: Signatures, k: int, sizes: tuple[int, ...], ceilings: dict[str, dict[tuple[str, int], float]]
) -> Iterator[tuple[str, int, str, float]]:
    niche = found.statistics.niches.tolist()[k]
    n_genes = found.statistics.auroc.shape[2]
    if found.scores is not None and found.fold_changes is not None:
        own_changes = found.table.loc[found.table["niche"] == niche, "log2fc"].to_numpy()
        rho = float("nan")
        if not np.isnan(found.fold_changes[k]).any() and n_genes > 1:
            rho = metrics.signature_fold_change_correlation(own_changes, found.fold_changes[k])
        yield niche, ALL_GENES, "fold_change_correlation", rho
    for n in sizes:
        up, down = found.up[niche][:n], found.down[niche][:n]
        yield niche, n, "n_true", float(len(up))
        yield niche, n, "n_true_down", float(len(down))
        chance = metrics.expected_jaccard(len(up), len(up), n_genes=n_genes) if len(up) else float("nan")
        yield niche, n, "chance_jaccard", chance
        limits = {name: chance + table[niche, n] * (1 - chance) for name, table in ceilings.items()}
        for name, limit in limits.items():
            yield niche, n, f"ceiling_{name}", limit
        if found.scores is None:
            continue
        scored = _agreement(found, k, up, down) if len(up) else dict.fromkeys(_AGREEMENT, float("nan"))
        for metric in _AGREEMENT:
            yield niche, n, metric, scored[metric]
        for name, limit in limits.items():
            value = float("nan")
            if len(up):
                guess = top(found.scores[k], len(up))
                value = metrics.normalized_jaccard(up, guess, n_genes=n_genes, ceiling=limit)
            yield niche, n, f"normalized_jaccard_{name}", value


_AGREEMENT = (
    "jaccard",
    "adjusted_jaccard",
    "dice",
    "overlap_coefficient",
    "rank_biased_overlap",
    "signed_jaccard",
    "specificity",
    "ranking_auroc",
)


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


def thinned_ceiling(
    data: SignatureInput, counts: sparse.csr_array, sizes: tuple[int, ...], *, seed: int, thresholds: Thresholds
) -> dict[tuple[str, int], float]:
    """Return, per niche and size, the adjusted Jaccard index between two halves of the counts.

    One half makes the true signature, the other is ranked as a prediction would be; both ways are averaged.
    """
    halves = [
        _statistics(data, normalized(half), data.niche)
        for half in thin(counts, rng=stream(seed, "niche_signatures", "thinning"))
    ]
    sets = [metrics.signature_sets(half.table(), n=max(sizes), **thresholds._asdict()) for half in halves]
    scores = [half.scores() for half in halves]
    return {
        (niche, n): _mean([_adjusted(sets[a][niche][:n], scores[1 - a][k]) for a in (0, 1)])
        for k, niche in enumerate(data.niches.tolist())
        for n in sizes
    }


def patient_ceiling(
    statistics: PatientStatistics, sizes: tuple[int, ...], *, seed: int, thresholds: Thresholds
) -> dict[tuple[str, int], float]:
    """Return, per niche and size, the adjusted Jaccard index between two halves of the patients.

    The mean over ten random splits, both ways; NaN for a niche of one patient.
    """
    out = {}
    for k, niche in enumerate(statistics.niches.tolist()):
        pairs = []
        for part in _splits(statistics.usable[k], stream(seed, "niche_signatures", "patients", niche)):
            sides = (part, statistics.usable[k] & ~part)
            sets = [
                metrics.signature_sets(statistics.of_niche(k, side), n=max(sizes), **thresholds._asdict())[niche]
                for side in sides
            ]
            scores = [statistics.mean_auroc(k, side) for side in sides]
            pairs += [(sets[0], scores[1]), (sets[1], scores[0])]
        for n in sizes:
            out[niche, n] = _mean([_adjusted(own[:n], scores) for own, scores in pairs])
    return out


def _splits(usable: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Return masks of half of the patients, no split twice."""
    who = np.flatnonzero(usable)
    found: dict[frozenset[int], np.ndarray] = {}
    for _ in range(_SPLITS if len(who) > 1 else 0):
        part = rng.permutation(who)[: len(who) // 2]
        if frozenset(set(who) - set(part)) not in found:
            found[frozenset(part)] = np.isin(np.arange(len(usable)), part)
    return list(found.values())


def _adjusted(own: np.ndarray, scores: np.ndarray) -> float:
    if not len(own):
        return float("nan")
    return metrics.adjusted_jaccard(own, top(scores, len(own)), n_genes=len(scores))


def _mean(values: list[float]) -> float:
    known = [v for v in values if not np.isnan(v)]
    return float(np.mean(known)) if known else float("nan")


def _text_index(table: pd.DataFrame) -> pd.DataFrame:
    table.index = table.index.astype(str)  # as AnnData stores it
    return table
