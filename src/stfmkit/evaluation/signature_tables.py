"""Niche signatures of all patients together, from arrays: found, scored, and laid out as tables."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit import metrics
from stfmkit._core.random import stream
from stfmkit.evaluation.ceilings import relative_scores
from stfmkit.evaluation.scores import concat_scores
from stfmkit.evaluation.signatures import (
    Signatures,
    Thresholds,
    ceiling_rows,
    choose_signatures,
    halves_ceiling,
    overlap_bounds,
    score_agreement,
    score_chance,
    score_sizes,
)
from stfmkit.metrics._signature_patients import PatientStatistics

Matrix: TypeAlias = np.ndarray | sparse.csr_array

_SPLITS = 10
_COLUMNS = ("auroc", "log2fc", "pct_in", "pct_out", "n_patients", "p_value", "p_adj")
_OF_PATIENTS = ", halves of patients"


@dataclass(frozen=True, kw_only=True, eq=False)
class SignatureInput:
    """Labelled observations, ready to be ranked.

    Attributes
    ----------
    niche, patient
        Names (n,).
    niches
        The niches that can be scored in some patient, sorted.
    truth
        True log expression (n, n_genes), CSR.
    halves
        Two independent halves of the counts on the same scale, or None.
    predicted
        Predicted log expression (n, n_genes), or None.
    predicted_niche
        Niche after which the prediction is ranked (n,): that of the annotation unless the caller wants otherwise.
    min_obs
        Fewest observations inside and outside a niche for which a patient counts.
    """

    niche: np.ndarray
    patient: np.ndarray
    niches: np.ndarray
    truth: sparse.csr_array
    halves: tuple[sparse.csr_array, sparse.csr_array] | None
    predicted: Matrix | None
    predicted_niche: np.ndarray
    min_obs: int


def find_signatures(data: SignatureInput, *, most: int, thresholds: Thresholds) -> Signatures:
    """Rank genes by niche, and choose the true signatures of at most `most` genes."""
    guess = None if data.predicted is None else _statistics(data, data.predicted, data.predicted_niche)
    return choose_signatures(_statistics(data, data.truth, data.niche), guess, most=most, thresholds=thresholds)


def score_cohort(
    data: SignatureInput,
    found: Signatures,
    sizes: tuple[int, ...],
    *,
    contender: str,
    thresholds: Thresholds,
    ceiling: bool,
    seed: int,
) -> pd.DataFrame:
    """Return every score of the predicted signatures, chance, sizes of the true ones, and ceilings.

    The rows are of ``scope="cohort"``. Ceilings come from two halves of the counts ("n=10", for example) and from two
    halves of the patients ("n=10, halves of patients"): what another cohort of as many patients would agree on. The
    second is no bound for a prediction of these patients, so that no score is a share of it.

    Parameters
    ----------
    data, found
        The observations, and their signatures.
    sizes
        Sizes of signatures.
    contender
        Name of the prediction.
    thresholds
        What a gene of a true signature has to pass.
    ceiling
        Whether ceilings are estimated.
    seed
        Of the splits of patients.
    """
    agreement = score_agreement(found, sizes, scope="cohort", contender=contender)
    parts = [agreement, score_sizes(found, sizes, scope="cohort"), score_chance(found, sizes, scope="cohort")]
    if ceiling and data.halves is not None:
        halves = [_statistics(data, half, data.niche) for half in data.halves]
        limits = halves_ceiling(halves, sizes, thresholds=thresholds)
        rows = ceiling_rows(limits, scope="cohort", contender="control:thinned")
        parts += [rows, relative_scores(concat_scores([agreement, rows]))]
    if ceiling:
        limits = _patients_ceiling(found.statistics, sizes, seed=seed, thresholds=thresholds)
        rows = ceiling_rows(limits, scope="cohort", contender="control:patients")
        parts.append(rows.assign(setting=rows["setting"] + _OF_PATIENTS))
    return concat_scores(parts)


def _statistics(data: SignatureInput, values: Matrix, niche: np.ndarray) -> PatientStatistics:
    return PatientStatistics.of(values, niche, data.patient, niches=data.niches, min_obs=data.min_obs)


def gene_table(found: Signatures, genes: pd.Index) -> pd.DataFrame:
    """Return the table that is stored: one row per niche and gene, names instead of positions."""
    names = found.niches
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
    return pd.DataFrame(columns)


def within_table(found: Signatures, genes: pd.Index) -> pd.DataFrame:
    """Return the rank-sum tests within patients, names instead of positions."""
    table = found.statistics.within()
    table["gene"] = pd.Categorical.from_codes(table["gene"], categories=genes.astype(str))
    for column in ("niche", "patient"):
        table[column] = pd.Categorical(table[column])
    return table


def _patients_ceiling(
    statistics: PatientStatistics, sizes: tuple[int, ...], *, seed: int, thresholds: Thresholds
) -> dict[tuple[str, str, int], float]:
    """Return, by metric, niche and size, what two halves of the patients agree on, brought to all patients.

    The mean over ten random splits, both ways; NaN for a niche of one patient.
    """
    out: dict[tuple[str, str, int], float] = {}
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
            found = overlap_bounds((own[:n], scores) for own, scores in pairs)
            out |= {(metric, niche, n): bound for metric, bound in found.items()}
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
