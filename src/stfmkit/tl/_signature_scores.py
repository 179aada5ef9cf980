"""Signatures of one table: found, scored, and written down as tables."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit import metrics
from stfmkit._core.random import stream
from stfmkit._kernels._thinning import thin
from stfmkit.metrics._signature_patients import PatientStatistics
from stfmkit.tl._signature_agreement import (
    ALL_GENES,
    Signatures,
    Thresholds,
    adjusted_overlap,
    agreement_rows,
    choose_signatures,
    halves_ceiling,
    mean_known,
    top,
)
from stfmkit.tl._signature_input import Matrix, SignatureInput, normalized

_SPLITS = 10
_COLUMNS = ("auroc", "log2fc", "pct_in", "pct_out", "n_patients", "p_value", "p_adj")


def find_signatures(data: SignatureInput, *, most: int, thresholds: Thresholds) -> Signatures:
    """Rank genes by niche, and choose the true signatures of at most `most` genes."""
    guess = None if data.predicted is None else _statistics(data, data.predicted, data.predicted_niche)
    return choose_signatures(_statistics(data, data.truth, data.niche), guess, most=most, thresholds=thresholds)


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


def within_table(found: Signatures, genes: pd.Index) -> pd.DataFrame:
    """Return the rank-sum tests within patients, names instead of positions."""
    table = found.statistics.within()
    table["gene"] = pd.Categorical.from_codes(table["gene"], categories=genes.astype(str))
    for column in ("niche", "patient"):
        table[column] = pd.Categorical(table[column])
    return _text_index(table)


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
    scored = list(agreement_rows(found, k, sizes))
    yield from ((niche, n, metric, value) for n, metric, value in scored if n == ALL_GENES)
    for n in sizes:
        up, down = found.up[niche][:n], found.down[niche][:n]
        yield niche, n, "n_true", float(len(up))
        yield niche, n, "n_true_down", float(len(down))
        chance = metrics.expected_jaccard(len(up), len(up), n_genes=n_genes) if len(up) else float("nan")
        yield niche, n, "chance_jaccard", chance
        # signatures of halves can be larger than the whole one, and by chance share less than chance would say
        limits = {name: float(np.maximum(chance + t[niche, n] * (1 - chance), 0)) for name, t in ceilings.items()}
        for name, limit in limits.items():
            yield niche, n, f"ceiling_{name}", limit
        if found.scores is None:
            continue
        yield from ((niche, n, metric, value) for size, metric, value in scored if size == n)
        for name, limit in limits.items():
            value = float("nan")
            if len(up):
                guess = top(found.scores[k], len(up))
                value = metrics.normalized_jaccard(up, guess, n_genes=n_genes, ceiling=limit)
            yield niche, n, f"normalized_jaccard_{name}", value


def thinned_ceiling(
    data: SignatureInput, counts: sparse.csr_array, sizes: tuple[int, ...], *, seed: int, thresholds: Thresholds
) -> dict[tuple[str, int], float]:
    """Return, per niche and size, the adjusted Jaccard index between two halves of the counts."""
    halves = [
        _statistics(data, normalized(half), data.niche)
        for half in thin(counts, rng=stream(seed, "niche_signatures", "thinning"))
    ]
    return halves_ceiling(halves, sizes, thresholds=thresholds)


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
                metrics.signature_sets(statistics.of_niche(k, side), n_genes=max(sizes), **thresholds._asdict())[niche]
                for side in sides
            ]
            scores = [statistics.mean_auroc(k, side) for side in sides]
            pairs += [(sets[0], scores[1]), (sets[1], scores[0])]
        for n in sizes:
            out[niche, n] = mean_known([adjusted_overlap(own[:n], scores) for own, scores in pairs])
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


def _text_index(table: pd.DataFrame) -> pd.DataFrame:
    table.index = table.index.astype(str)  # as AnnData stores it
    return table
