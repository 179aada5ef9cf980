"""Score niche signatures: whether the prediction names the genes that mark a niche."""

from collections.abc import Iterator

import numpy as np

from stfmkit import metrics
from stfmkit.bm._rows import Row
from stfmkit.bm._study import Study
from stfmkit.bm._tasks._truth import FoldTruth

TASK = "niche_signatures"
SIZES = (10, 20, 50)
_LEAST = 3
"""Smallest niche, in observations, and smallest true signature, in genes, that is scored."""


def score_signatures(study: Study, truth: FoldTruth, predicted: np.ndarray) -> Iterator[Row]:
    """Yield one row for every metric, patient and niche; niches are those of the annotation, never of the prediction.

    The true signature holds at most n genes with AUROC > 0.5, log2 fold change ≥ 0.5 and detection ≥ 10 %, and the
    predicted one as many genes as the true one, the best by AUROC.
    """
    if study.labels is None:
        return
    fold = truth.fold
    labels = study.labels.codes[fold.test]
    patients = study.patient_codes[fold.test]
    for patient in np.unique(patients):
        rows = np.flatnonzero((patients == patient) & (labels >= 0))
        sizes = np.bincount(labels[rows], minlength=len(study.labels.categories))
        niches = np.flatnonzero(sizes >= _LEAST)
        rows = rows[np.isin(labels[rows], niches)]
        if len(niches) < 2:
            continue
        yield from _score_patient(study, truth, (truth.test[rows], predicted[rows]), rows=rows, labels=labels[rows])


def _score_patient(
    study: Study, truth: FoldTruth, pair: tuple[np.ndarray, np.ndarray], *, rows: np.ndarray, labels: np.ndarray
) -> Iterator[Row]:
    true, predicted = pair
    statistics = metrics.signature_statistics(true, labels, np.zeros(len(labels), dtype=np.int64))
    ranks = statistics.pivot(index="niche", columns="gene", values="auroc")
    guess = dict(
        zip(ranks.index, metrics.auroc_by_group(predicted, labels, groups=ranks.index.to_numpy()), strict=True)
    )
    samples = np.unique(study.samples.codes[truth.fold.test[rows]])
    patient = str(study.patients[truth.fold.test[rows[0]]])
    sample = "+".join(str(study.samples.categories[s]) for s in samples)
    n_genes = true.shape[1]
    for size in (s for s in SIZES if s <= n_genes // 2):
        sets = metrics.signature_sets(statistics, n=size)
        for niche, own in sets.items():
            if len(own) < _LEAST:
                continue
            # as many predicted genes as true ones, for every niche, so that sizes do not tell them apart
            named = {k: metrics.signature_top(v, len(own)) for k, v in guess.items()}
            scores = {
                f"jaccard_{size}": metrics.jaccard(own, named[niche]),
                f"adjusted_jaccard_{size}": metrics.adjusted_jaccard(own, named[niche], n_genes=n_genes),
                f"specificity_{size}": metrics.signature_specificity({niche: own}, named)[niche],
            }
            if size == SIZES[0]:
                orders = (np.argsort(-v, kind="stable") for v in (ranks.loc[niche].to_numpy(), guess[niche]))
                scores["rbo"] = metrics.rank_biased_overlap(*orders)
            for metric, score in scores.items():
                yield Row(
                    task=TASK,
                    metric=metric,
                    value=float(score),
                    patient=patient,
                    sample=sample,
                    fold=truth.fold.number,
                    niche=str(study.labels.categories[niche]),  # type: ignore[union-attr]
                )
