"""Task: predict the genes that mark a niche."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit._core.random import stream
from stfmkit._kernels._normalize import median_total, size_factor_log1p
from stfmkit._kernels._thinning import thin
from stfmkit.bm.finding import Finding
from stfmkit.bm.study import Study
from stfmkit.bm.targets import TargetTask, TargetTruth
from stfmkit.bm.task import MetricKey, Scores, Section
from stfmkit.evaluation.cohort_signatures import CohortTruth
from stfmkit.evaluation.signatures import (
    SIZES,
    SignatureTruth,
    marker_table,
    patient_signatures,
    score_signatures,
    signature_ceilings,
)
from stfmkit.metrics._signature_patients import MIN_PATIENTS


class NicheSignatures(TargetTask):
    """Score niche signatures within every test patient, and of the whole cohort when all folds are there."""

    name = "niche_signatures"
    title = "Niche signatures"
    question = "Do the predicted genes name the same markers of a niche as the measured ones?"
    primary = MetricKey("adjusted_jaccard", f"n={min(SIZES)}", "niche")
    needs = ("label_key",)

    def score(self, truth: TargetTruth, prediction: np.ndarray) -> Scores:
        """Return one row for every metric, size, patient and niche; what the cohort is scored by is kept."""
        signature_truth = _signature_truth(truth)
        found = patient_signatures(signature_truth, prediction)
        return Scores(table=score_signatures(signature_truth, found), kept=marker_table(signature_truth, found))

    def ceiling(self, truth: TargetTruth) -> pd.DataFrame:
        """Return upper bounds from two halves of the counts, and the sizes of the true signatures."""
        return signature_ceilings(_signature_truth(truth))

    def pooled_truth(self, study: Study, hidden: Mapping[int, np.ndarray]) -> CohortTruth | None:
        """Return the signatures of all patients, on the genes that are targets of every fold; None without them.

        The truth is scaled by the median library size of all tested observations; nothing is predicted from it.
        """
        genes = shared_targets(study, hidden)
        if study.labels is None:
            return None
        rows = np.unique(np.concatenate([fold.test for fold in study.folds]))
        rows = rows[study.labels.codes[rows] >= 0]
        counts = study.counts[rows][:, genes]
        halves = thin(counts, rng=stream(study.protocol.rng, self.name, "cohort thinning"))
        return CohortTruth.of(
            _scaled(study, counts, rows, share=1.0),
            genes=study.genes[genes].to_numpy(dtype=str),
            niches=np.asarray(study.labels)[rows].astype(str),
            patients=np.asarray(study.patients)[rows].astype(str),
            halves=[_scaled(study, half, rows, share=0.5) for half in halves],
        )

    def pooled(self, truth: CohortTruth, kept: pd.DataFrame) -> pd.DataFrame:
        """Return one row for every metric, size and niche of the cohort."""
        return truth.score(kept)

    def pooled_ceiling(self, truth: CohortTruth) -> pd.DataFrame:
        """Return upper bounds from two halves of the counts in the cohort, and the sizes of its signatures."""
        return truth.ceilings()

    def pooled_facts(self, truth: CohortTruth) -> dict[str, Any]:
        """Return patients, niches and genes of the cohort."""
        return truth.facts()

    def findings(self, study: Study, hidden: Mapping[int, np.ndarray], pooled_truth: Any) -> Iterator[Finding]:
        """Say where fewer genes were chosen than asked for, and where the cohort is not scored."""
        yield from super().findings(study, hidden, pooled_truth)
        if pooled_truth is None:
            n_genes = len(shared_targets(study, hidden))
            yield Finding(
                severity="info",
                check="no niche signatures of the cohort",
                evidence=f"{n_genes} genes are targets of every fold, or fewer than two patients have niches.",
                remedy="pass Protocol(target_genes=[...]), 20 genes or more, so that every fold predicts the same.",
            )

    def section(self, results: Any) -> Section:
        """Say what the scores of all patients together rest on."""
        facts = results.meta.get("tasks", {}).get(self.name, {}).get("pooled", {})
        return Section(text=(cohort_text(facts),)) if facts else Section()


def shared_targets(study: Study, hidden: Mapping[int, np.ndarray]) -> np.ndarray:
    """Return the positions of the genes that are targets of every fold that tests labelled observations, sorted."""
    if study.labels is None:
        return np.empty(0, dtype=np.int64)
    used = [hidden[f.number] for f in study.folds if (study.labels.codes[f.test] >= 0).any()]
    shared = set.intersection(*({int(g) for g in t} for t in used)) if used else set()
    return np.array(sorted(shared), dtype=np.int64)


def cohort_text(facts: Mapping[str, Any]) -> str:
    """Say in words what the scores of all patients together rest on."""
    tested, n_niches = int(facts["n_niches_tested"]), int(facts["n_niches"])
    niches = "1 niche" if n_niches == 1 else f"{n_niches:,} niches"
    test = (
        "No niche is in enough patients for a test, so that true signatures rest on the sizes of effects alone."
        if not tested
        else f"In {tested if tested < n_niches else 'all'} of {niches} a gene also has to pass a paired test over "
        f"patients (pseudobulks, at least {MIN_PATIENTS} patients, Benjamini and Hochberg)."
    )
    return (
        f"Scores of the cohort: genes are ranked in every one of {int(facts['n_patients']):,} patients and averaged, "
        f"truth and out-of-fold predictions alike. They read the {len(facts['genes']):,} genes that are targets in "
        f"every fold, as every fold chooses its own. {test} They are one number for all patients, without an interval; "
        "contenders are ranked by the scores within patients."
    )


def _signature_truth(truth: TargetTruth) -> SignatureTruth:
    study, test = truth.study, truth.test
    labels = study.labels
    if labels is None:
        msg = "niche signatures need labels"
        raise RuntimeError(msg)
    names = np.append(labels.categories.to_numpy(dtype=str), "")
    return SignatureTruth(
        expression=test.expression,
        genes=test.genes,
        niches=names[labels.codes[truth.fold.test]],
        samples=test.samples,
        patients=test.patients,
        halves=test.halves,
        fold=truth.fold.number,
    )


def _scaled(study: Study, counts: sparse.csr_array, rows: np.ndarray, *, share: float) -> sparse.csr_array:
    """Return counts on the scale of the protocol; halves hold a `share` of the library."""
    if study.protocol.scale != "size_factor_log1p":
        return sparse.csr_array(np.log1p(counts.astype(np.float64)))
    depth = study.depth[rows]
    return sparse.csr_array(size_factor_log1p(counts, depth=depth * share, target=median_total(depth)))


TASK = NicheSignatures()
