"""Sections of two patients that resemble each other as only sections of one block do."""

from collections.abc import Iterator

import numpy as np
from scipy import sparse

from stfmkit.bm.checks.duplicates import pairs_across
from stfmkit.bm.finding import Finding
from stfmkit.bm.study import Study

_SAME, _OTHER = 0.7, 0.4
"""Correlation of the centred log profiles of two sections, and the most that either may have with a third patient. In
her2st, two sections of one patient have .84 to .97 and sections of two patients at most .14; in the synthetic cohort of
6 or 12 patients, sections of two patients have at most .33."""
_LEAST_SECTIONS = 5
"""With fewer, the mean of all sections lies too near to each of them."""
_GENES = 1000


def one_profile(study: Study) -> Iterator[Finding]:
    """Find sections of two patients, on two sides of the split, with one profile of mean expression."""
    n = len(study.samples.categories)
    patient_of = np.zeros(n, dtype=np.int64)
    patient_of[study.sample_codes] = study.patient_codes
    if n < _LEAST_SECTIONS or len(np.unique(patient_of)) < 3:
        return
    alike = profile_correlation(study.counts, study.sample_codes)
    found = []
    for a, b in pairs_across(study):
        others = (patient_of != patient_of[a]) & (patient_of != patient_of[b])
        if patient_of[a] != patient_of[b] and others.any() and alike[a, b] >= _SAME:
            third = float(max(alike[a, others].max(), alike[b, others].max()))
            if third <= _OTHER:
                found.append((a, b, round(float(alike[a, b]), 3), round(third, 3)))
    if found:
        samples, patients = study.samples.categories.astype(str), study.patients.categories.astype(str)
        shown = [f"{samples[a]!r} and {samples[b]!r} ({r:.2f})" for a, b, r, _ in found]
        yield Finding(
            severity="warning",
            check="two patients with one profile",
            evidence=f"{', '.join(shown[:4])}{' and more' if len(shown) > 4 else ''}: the mean expression of these "
            f"sections of two patients correlates above {_SAME}, and below {_OTHER} with every third patient. Sections "
            "of one block do.",
            remedy="check whether they come from one patient; if so, give them one id. Two patients who alone share a "
            "batch or a disease can look alike.",
            columns=("section", "patient", "section of the other side", "its patient", "correlation", "third patient"),
            rows=tuple(
                (samples[a], patients[patient_of[a]], samples[b], patients[patient_of[b]], r, third)
                for a, b, r, third in found
            ),
        )


def profile_correlation(counts: sparse.csr_array, samples: np.ndarray) -> np.ndarray:
    """Return the correlation of the log profiles of all samples (n, n), every gene centred over samples."""
    n = int(samples.max()) + 1
    member = sparse.csr_array((np.ones(len(samples)), (samples, np.arange(len(samples)))), shape=(n, len(samples)))
    total = (member @ counts).toarray()
    genes = np.argsort(-total.sum(axis=0), kind="stable")[:_GENES]
    profile = np.log1p(1e4 * total[:, genes] / np.maximum(total.sum(axis=1, keepdims=True), 1))
    profile -= profile.mean(axis=0)
    profile -= profile.mean(axis=1, keepdims=True)
    profile /= np.maximum(np.linalg.norm(profile, axis=1, keepdims=True), 1e-12)
    return profile @ profile.T
