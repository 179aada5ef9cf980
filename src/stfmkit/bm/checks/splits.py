"""Who stands on both sides of the split, and how near."""

from collections.abc import Iterator

import numpy as np
from scipy.spatial import cKDTree

from stfmkit.bm.finding import Finding
from stfmkit.bm.study import Study
from stfmkit.evaluation.sign_flips import TEST_FROM


def both_sides(study: Study) -> Iterator[Finding]:
    """Find patients and samples that train and are tested in one fold."""
    split = study.protocol.split
    name, single = type(split).__name__, split.holds_out == "observation"
    both = {"patient": 0, "sample": 0}
    for fold in study.folds:
        for what, codes in (("patient", study.patient_codes), ("sample", study.sample_codes)):
            both[what] += len(np.intersect1d(codes[fold.train], codes[fold.test]))
    if both["patient"]:
        yield Finding(
            severity="error" if single else "warning",
            check="patient on both sides",
            evidence=f"{name} puts observations of one patient into training and test ({both['patient']} times over "
            f"{len(study.folds)} folds).",
            remedy="use PatientKFold; without a second patient, scores say nothing about the next patient.",
        )
    if both["sample"] and single:
        yield Finding(
            severity="error",
            check="neighbours on both sides",
            evidence=f"{name} deals single observations: the neighbours of test observations train.",
            remedy="use PatientKFold, or SpatialBlockKFold with a buffer.",
        )


def no_buffer(study: Study) -> Iterator[Finding]:
    """Measure, sample by sample, whether training lies as near to test observations as neighbours do."""
    if study.protocol.split.holds_out != "block":
        return
    near: dict[int, tuple[float, float]] = {}
    for fold in study.folds:
        for sample in np.intersect1d(study.sample_codes[fold.train], study.sample_codes[fold.test]):
            train, test = (study.coords[rows[study.sample_codes[rows] == sample]] for rows in (fold.train, fold.test))
            if len(test) > 1:
                gap = float(cKDTree(train).query(test)[0].min())
                spacing = float(np.median(cKDTree(test).query(test, k=2)[0][:, 1]))
                near[int(sample)] = min(near.get(int(sample), (np.inf, 1.0)), (gap, spacing), key=_in_spacings)
    close = {sample: pair for sample, pair in near.items() if _in_spacings(pair) <= 1}
    if close:
        worst = min(close, key=lambda sample: _in_spacings(close[sample]))
        gap, spacing = close[worst]
        yield Finding(
            severity="warning",
            check="no buffer",
            evidence=f"{type(study.protocol.split).__name__} leaves {gap:.3g} between training and test observations "
            f"of {str(study.samples.categories[worst])!r}, no more than between neighbours ({spacing:.3g}, in units of "
            f"the coordinates); likewise in {len(close)} of {len(study.samples.categories)} samples.",
            remedy="pass a buffer of at least the range of spatial autocorrelation.",
        )


def _in_spacings(pair: tuple[float, float]) -> float:
    gap, spacing = pair
    return gap / spacing if spacing > 0 else np.inf


def few_patients(study: Study) -> Iterator[Finding]:
    """Say where patients are too few for any test."""
    n = len(study.patients.categories)
    if n < TEST_FROM:
        yield Finding(
            severity="warning" if n <= 3 else "info",
            check="cannot test",
            evidence=f"{n} patient{'s' if n > 1 else ''}; an exact sign-flip test can reach p < .05 from {TEST_FROM} "
            "patients up.",
            remedy="read the points and effect sizes; do not read a ranking into them.",
        )


def nothing_to_tune(study: Study) -> Iterator[Finding]:
    """Find folds that train on one group only, so that no inner fold can be made."""
    protocol = study.protocol
    grids = (protocol.linear_c, protocol.n_neighbors, protocol.ridge_alpha)
    alone = [fold.number for fold in study.folds if len(np.unique(fold.train_groups)) < 2]
    if alone and any(len(grid) > 1 for grid in grids):
        yield Finding(
            severity="warning",
            check="probes not tuned",
            evidence=f"{len(alone)} of {len(study.folds)} folds train on one {protocol.split.holds_out}: nothing "
            "is left to tune on, so that probes take the middle of linear_c, n_neighbors and ridge_alpha.",
            remedy="add patients; or pass one value for each of linear_c, n_neighbors and ridge_alpha, so that the "
            "choice is yours.",
        )
