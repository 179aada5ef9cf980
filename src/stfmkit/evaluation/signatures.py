"""Niche signatures: the genes that mark a niche, and how well predicted ones agree with true ones."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from stfmkit import metrics
from stfmkit.evaluation.bounds import overlap_bound
from stfmkit.evaluation.scores import Score, concat_scores, to_table
from stfmkit.metrics._signature_patients import PatientStatistics

SIZES = (10, 20, 50)
"""Sizes of signatures."""
MIN_OBS = 3
"""Fewest observations inside and outside a niche for which a patient counts for it."""
AGREEMENT = (
    "jaccard",
    "adjusted_jaccard",
    "dice",
    "overlap_coefficient",
    "rank_biased_overlap",
    "signed_jaccard",
    "signature_specificity",
    "signature_ranking_auroc",
)
"""Metrics of a signature of one size."""
CEILED = ("adjusted_jaccard", "rank_biased_overlap")
"""Metrics of agreement with an upper bound."""
MARKERS = {
    "fold": "int64",
    "patient": "str",
    "niche": "str",
    "gene": "str",
    "auroc": "float64",
    "mean_in": "float64",
    "mean_out": "float64",
}
"""What is kept of a prediction of one fold, from which the whole cohort is scored when all folds are there."""

_NO_MARKER = "no gene marks this niche"


class Thresholds(NamedTuple):
    """What a gene of a true signature has to pass, as in :func:`stfmkit.metrics.signature_sets`."""

    min_auroc: float = 0.5
    min_log2fc: float = 0.5
    min_pct: float = 0.1
    alpha: float = 0.05


THRESHOLDS = Thresholds()


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

    @property
    def niches(self) -> list[str]:
        """Names of the niches, sorted."""
        return [str(name) for name in self.statistics.niches]


def choose_signatures(
    statistics: PatientStatistics, predicted: PatientStatistics | None, *, most: int, thresholds: Thresholds
) -> Signatures:
    """Choose the true signatures of at most `most` genes; `predicted` holds the statistics of the same niches.

    Every niche must be usable in some patient of the truth.
    """
    table = statistics.table()
    scores = fold_changes = None
    if predicted is not None:
        scores = predicted.scores()
        fold_changes = np.full(scores.shape, np.nan)
        for k in np.flatnonzero(predicted.usable.any(axis=1)):
            fold_changes[k] = predicted.of_niche(int(k))["log2fc"]
    up, down = (
        metrics.signature_sets(table, n_genes=most, direction=d, **thresholds._asdict()) for d in ("up", "down")
    )
    return Signatures(statistics=statistics, table=table, up=up, down=down, scores=scores, fold_changes=fold_changes)


def score_agreement(found: Signatures, sizes: Sequence[int], **where: Any) -> pd.DataFrame:
    """Return every score of how well predicted signatures agree with true ones, for every niche and size.

    A predicted signature is chosen by rank alone, as many genes as the true one has. Sets score 0 for a niche that was
    never predicted; all scores are undefined for a niche that no gene marks.

    Parameters
    ----------
    found
        True and predicted signatures; without a prediction there are no rows.
    sizes
        Sizes of signatures; the setting is "n=10", for example, and empty for ``signature_fold_change_correlation``,
        which reads all genes.
    where
        Other columns of the rows, such as scope, patient and fold.
    """
    if found.scores is None or found.fold_changes is None:
        return to_table([])
    rows = []
    for k, niche in enumerate(found.niches):
        one: dict[str, Any] = {"niche": niche, **where}
        rho, reason = _fold_changes(found, k), "the niche was never predicted, or there is one gene"
        rows.append(Score(metric="signature_fold_change_correlation", value=rho, reason=reason, **one))
        for n in sizes:
            up, down = found.up[niche][:n], found.down[niche][:n]
            scored = _agreement(found, k, up, down) if len(up) else dict.fromkeys(AGREEMENT, np.nan)
            reason = "there is no other niche, or this one was never predicted" if len(up) else _NO_MARKER
            rows += [Score(metric=m, value=scored[m], setting=f"n={n}", reason=reason, **one) for m in AGREEMENT]
    return to_table(rows)


def score_sizes(found: Signatures, sizes: Sequence[int], **where: Any) -> pd.DataFrame:
    """Return ``signature_size`` of every niche and size: genes with more ("n=10") and with less ("n=10, down")."""
    one: dict[str, Any] = {"metric": "signature_size", **where}
    return to_table(
        Score(value=float(len(chosen[niche][:n])), setting=f"n={n}{side}", niche=niche, **one)
        for niche in found.niches
        for n in sizes
        for side, chosen in (("", found.up), (", down", found.down))
    )


def score_chance(found: Signatures, sizes: Sequence[int], **where: Any) -> pd.DataFrame:
    """Return the Jaccard index that a random signature of the same size is expected to have, as a contender."""
    n_genes = found.statistics.auroc.shape[2]
    rows = []
    for niche in found.niches:
        for n in sizes:
            size = len(found.up[niche][:n])
            value = metrics.expected_jaccard(size, size, n_genes=n_genes) if size else np.nan
            one: dict[str, Any] = {"setting": f"n={n}", "niche": niche, "contender": "control:chance", **where}
            rows.append(Score(metric="jaccard", value=value, reason=_NO_MARKER, **one))
    return to_table(rows)


def ceiling_rows(limits: Mapping[tuple[str, str, int], float], **where: Any) -> pd.DataFrame:
    """Return ceilings by metric, niche and size as rows of a table of scores."""
    reason = "no gene marks this niche in a half of the data"
    return to_table(
        Score(metric=metric, value=value, setting=f"n={n}", niche=niche, status="ceiling", reason=reason, **where)
        for (metric, niche, n), value in limits.items()
    )


def halves_ceiling(
    halves: Sequence[PatientStatistics], sizes: Sequence[int], *, thresholds: Thresholds
) -> dict[tuple[str, str, int], float]:
    """Return upper bounds of `CEILED`, by metric, niche and size, from two independent halves of the counts.

    One half makes the true signature, the other is ranked as a prediction would be; both ways are averaged, and
    `overlap_bound` brings the agreement to the whole counts. NaN where no gene marks the niche in either half.
    """
    sets = [metrics.signature_sets(half.table(), n_genes=max(sizes), **thresholds._asdict()) for half in halves]
    scores = [half.scores() for half in halves]
    ways = {
        (niche, n): [(sets[a][niche][:n], scores[1 - a][k]) for a in (0, 1)]
        for k, niche in enumerate(halves[0].niches.tolist())
        for n in sizes
    }
    return {(metric, *key): bound for key, pairs in ways.items() for metric, bound in overlap_bounds(pairs).items()}


def overlap_bounds(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Return upper bounds of `CEILED` from pairs of a signature and the scores of all genes in the other half."""
    found: dict[str, list[float]] = {metric: [] for metric in CEILED}
    for own, scores in pairs:
        guess, some = top(scores, len(own)), len(own) > 0
        adjusted = metrics.adjusted_jaccard(own, guess, n_genes=len(scores)) if some else np.nan
        found["adjusted_jaccard"].append(adjusted)
        found["rank_biased_overlap"].append(metrics.rank_biased_overlap(own, guess) if some else np.nan)
    return {metric: float(overlap_bound(mean_known(values))) for metric, values in found.items()}


def top(scores: np.ndarray, n: int) -> np.ndarray:
    """Return the positions of the best `n` genes; none where nothing was predicted."""
    return np.empty(0, dtype=np.int64) if np.isnan(scores).all() or n == 0 else metrics.signature_top(scores, n)


def mean_known(values: Sequence[float]) -> float:
    """Return the mean of what is not NaN; NaN where nothing is left."""
    known = [v for v in values if not np.isnan(v)]
    return float(np.mean(known)) if known else float("nan")


def sizes_for(n_genes: int, sizes: Sequence[int] = SIZES) -> list[int]:
    """Return the sizes of signatures that half of the genes can hold; with more, chance alone shares most of them."""
    return [n for n in sizes if n <= n_genes // 2]


@dataclass(frozen=True, kw_only=True, eq=False)
class SignatureTruth:
    """True expression of held-out observations, and their niches.

    Attributes
    ----------
    expression
        True log expression (n_obs, n_genes).
    genes
        Names (n_genes,).
    niches
        Niche of every observation in the annotation (n_obs,), empty text where there is none.
    samples, patients
        Names of the sample and of the patient of every observation (n_obs,).
    halves
        Two independent halves of the counts on the same scale, or None.
    sizes
        Sizes of signatures; larger ones than half of the genes are left out.
    thresholds
        What a gene of a true signature has to pass.
    min_obs
        Fewest observations inside and outside a niche for which a patient counts for it.
    fold
        Number of the fold that tests these observations; -1 where there is none.
    """

    expression: np.ndarray
    genes: np.ndarray
    niches: np.ndarray
    samples: np.ndarray
    patients: np.ndarray
    halves: tuple[np.ndarray, np.ndarray] | None = None
    sizes: Sequence[int] = SIZES
    thresholds: Thresholds = THRESHOLDS
    min_obs: int = MIN_OBS
    fold: int = -1

    @property
    def usable_sizes(self) -> list[int]:
        """Sizes that half of the genes can hold."""
        return sizes_for(len(self.genes), self.sizes)

    def tested_patients(self) -> Iterator["TestedPatient"]:
        """Yield the patients in whom some niche can be scored, with those niches."""
        if not self.usable_sizes:
            return
        labels, patients = (np.asarray(part).astype(str) for part in (self.niches, self.patients))
        for patient in np.unique(patients):
            rows = np.flatnonzero((patients == patient) & (labels != ""))
            names, counts = np.unique(labels[rows], return_counts=True)
            scored = names[(counts >= self.min_obs) & (len(rows) - counts >= self.min_obs)]
            if len(scored):
                sample = "+".join(np.unique(np.asarray(self.samples)[rows].astype(str)))
                yield TestedPatient(str(patient), sample, rows, labels[rows], scored, self.min_obs)


class TestedPatient(NamedTuple):
    """The niches of one patient that can be scored, and the rows of the labelled observations."""

    patient: str
    sample: str
    rows: np.ndarray
    labels: np.ndarray
    niches: np.ndarray
    min_obs: int

    def statistics(self, values: np.ndarray) -> PatientStatistics:
        """Return the statistics of every niche; `values` are those of all observations (n_obs, n_genes)."""
        one = np.zeros(len(self.rows), dtype=np.int64)
        return PatientStatistics.of(values[self.rows], self.labels, one, niches=self.niches, min_obs=self.min_obs)

    def columns(self, fold: int) -> dict[str, Any]:
        """Return the columns of a score that name this patient."""
        return {"scope": "niche", "patient": self.patient, "sample": self.sample, "fold": fold}


class PatientSignatures(NamedTuple):
    """A patient with true and predicted signatures, and the statistics of the prediction."""

    tested: TestedPatient
    signatures: Signatures
    predicted: PatientStatistics


def patient_signatures(truth: SignatureTruth, predicted: np.ndarray) -> list[PatientSignatures]:
    """Return the true and the predicted signatures of every patient.

    Niches are those of the annotation, never of the prediction. One patient alone tests nothing, so that its true
    signature passes the thresholds on effects only; `stfmkit.evaluation.cohort_signatures` has signatures of all
    patients together, with the test.

    Parameters
    ----------
    predicted
        Predicted log expression (n_obs, n_genes).
    """
    found = []
    for tested in truth.tested_patients():
        guess = tested.statistics(predicted)
        own = tested.statistics(truth.expression)
        chosen = choose_signatures(own, guess, most=max(truth.usable_sizes), thresholds=truth.thresholds)
        found.append(PatientSignatures(tested, chosen, guess))
    return found


def score_signatures(truth: SignatureTruth, found: Sequence[PatientSignatures]) -> pd.DataFrame:
    """Return one row for every metric, size, patient and niche, of ``scope="niche"``."""
    return concat_scores(
        score_agreement(part.signatures, truth.usable_sizes, **part.tested.columns(truth.fold)) for part in found
    )


def signature_ceilings(truth: SignatureTruth) -> pd.DataFrame:
    """Return upper bounds from two halves of the counts as ceilings, and the sizes of true signatures."""
    parts = []
    for tested in truth.tested_patients():
        where = tested.columns(truth.fold)
        if truth.halves is not None:
            halves = [tested.statistics(half) for half in truth.halves]
            limits = halves_ceiling(halves, truth.usable_sizes, thresholds=truth.thresholds)
            parts.append(ceiling_rows(limits, **where))
        most = max(truth.usable_sizes)
        own = choose_signatures(tested.statistics(truth.expression), None, most=most, thresholds=truth.thresholds)
        parts.append(score_sizes(own, truth.usable_sizes, **where))
    return concat_scores(parts)


def marker_table(truth: SignatureTruth, found: Sequence[PatientSignatures]) -> pd.DataFrame:
    """Return the statistics of the prediction by patient, niche and gene, with the columns `MARKERS`."""
    n_genes = len(truth.genes)
    parts = []
    for tested, _, guess in found:
        n = len(tested.niches)
        columns: dict[str, Any] = {
            "fold": truth.fold,
            "patient": tested.patient,
            "niche": np.repeat(tested.niches, n_genes),
            "gene": np.tile(truth.genes, n),
            "auroc": guess.auroc[:, 0].ravel(),
            "mean_in": guess.means.mean_in[:, 0].ravel(),
            "mean_out": guess.means.mean_out[:, 0].ravel(),
        }
        parts.append(pd.DataFrame(columns))
    return (pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(MARKERS))).astype(MARKERS)


def _fold_changes(found: Signatures, k: int) -> float:
    predicted = np.asarray(found.fold_changes)[k]
    own = found.table.loc[found.table["niche"] == found.niches[k], "log2fc"].to_numpy()
    if np.isnan(predicted).any() or len(own) < 2:
        return float("nan")
    return metrics.signature_fold_change_correlation(own, predicted)


def _agreement(found: Signatures, k: int, up: np.ndarray, down: np.ndarray) -> dict[str, float]:
    """Compare the true signature of niche number `k` with as many predicted genes."""
    scores, names = np.asarray(found.scores), found.niches
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
        "signature_specificity": (
            metrics.signature_specificity({names[k]: up}, guess)[names[k]] if len(names) > 1 else float("nan")
        ),
        "signature_ranking_auroc": metrics.signature_ranking_auroc(up, scores[k]) if predicted else float("nan"),
    }
