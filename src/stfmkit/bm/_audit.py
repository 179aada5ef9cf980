"""Look for leaks and traps before anything is computed; every finding has severity, evidence and remedy."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from stfmkit._core import slots
from stfmkit._core.arguments import listed
from stfmkit._data.write_slots import records
from stfmkit.bm._protocol import Protocol
from stfmkit.bm.contender_findings import findings_of_contenders
from stfmkit.bm.contenders import Contender, GivenContender
from stfmkit.bm.finding import Finding, by_severity
from stfmkit.bm.ranking import TEST_FROM
from stfmkit.bm.resolve_contenders import resolve_contenders
from stfmkit.bm.study import Study, load_study
from stfmkit.pp._controls import control_names

if TYPE_CHECKING:
    from stfmkit._data.view import Container


def audit(
    data: "Container", protocol: Protocol, *, contenders: object = (), table_key: str | None = None
) -> list[Finding]:
    """Look for leaks and traps in data, split and contenders, without computing any score.

    Parameters
    ----------
    data
        AnnData or SpatialData.
    protocol
        The comparison that is planned.
    contenders
        Contenders as in `stfmkit.bm.run`, if they are to be looked at too.
    table_key
        Table of a SpatialData.

    Returns
    -------
    Findings, the severe ones first.

    Examples
    --------
    >>> import stfmkit as sk
    >>> cells = sk.datasets.synthetic_cohort(n_patients=3, size=300, as_="anndata")
    >>> leaky = sk.bm.Protocol(patient_key="patient", sample_key="sample", split=sk.pp.RandomKFold(3))
    >>> sk.bm.audit(cells, leaky)[0].check
    'patient on both sides'
    """
    study = load_study(data, protocol, table_key=table_key)
    return audit_study(study, resolve_contenders(contenders, study) if contenders else [])


def audit_study(study: Study, contenders: Sequence[Contender]) -> list[Finding]:
    """Return the findings of a study that is already read."""
    found = [
        finding
        for check in (_split_leaks, _duplicates, _few_patients, _control_probes, _silent_genes, _labels, _units)
        for finding in check(study)
    ]
    found += [finding for contender in contenders for finding in _contender(contender)]
    found += findings_of_contenders(study, contenders)
    return by_severity(found)


def _split_leaks(study: Study) -> Iterator[Finding]:
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
    if split.holds_out == "block":
        yield from _no_buffer(study, name)


def _no_buffer(study: Study, name: str) -> Iterator[Finding]:
    """Measure whether training observations lie as near to test observations as neighbours do."""
    gaps, spacings = [], []
    for fold in study.folds:
        for sample in np.intersect1d(study.sample_codes[fold.train], study.sample_codes[fold.test]):
            train, test = (study.coords[rows[study.sample_codes[rows] == sample]] for rows in (fold.train, fold.test))
            gaps.append(cKDTree(train).query(test)[0].min())
            if len(test) > 1:
                spacings.append(np.median(cKDTree(test).query(test, k=2)[0][:, 1]))
    if gaps and spacings and min(gaps) <= np.median(spacings):
        yield Finding(
            severity="warning",
            check="no buffer",
            evidence=f"{name} leaves {min(gaps):.3g} between training and test observations of a sample, no more than "
            f"between neighbours ({np.median(spacings):.3g}, in units of the coordinates).",
            remedy="pass a buffer of at least the range of spatial autocorrelation.",
        )


def _duplicates(study: Study) -> Iterator[Finding]:
    hashes = row_hashes(study.counts)
    enough = np.diff(study.counts.indptr) >= 5  # a few counts can be equal by chance
    torn = 0
    for fold in study.folds:
        train, test = (hashes[rows[enough[rows]]] for rows in (fold.train, fold.test))
        torn += int(np.isin(test, train).sum())
    if torn:
        yield Finding(
            severity="error",
            check="duplicated counts across the split",
            evidence=f"{torn} test observations have exactly the counts of a training observation.",
            remedy="look for one section stored twice, or one patient under two ids.",
        )


def _few_patients(study: Study) -> Iterator[Finding]:
    n = len(study.patients.categories)
    if n < TEST_FROM:
        yield Finding(
            severity="warning" if n <= 3 else "info",
            check="cannot test",
            evidence=f"{n} patient{'s' if n > 1 else ''}; an exact sign-flip test can reach p < .05 from {TEST_FROM} "
            "patients up.",
            remedy="read the points and effect sizes; do not read a ranking into them.",
        )


def _control_probes(study: Study) -> Iterator[Finding]:
    left = study.genes[control_names(study.genes.astype(str))]
    if len(left):
        yield Finding(
            severity="warning",
            check="control probes among the genes",
            evidence=f"{len(left)} control features: {listed(left, most=4)}.",
            remedy="drop them: sk.pp.bin does, or adata[:, ~control].",
        )


def _silent_genes(study: Study) -> Iterator[Finding]:
    silent = np.bincount(study.counts.indices, minlength=len(study.genes)) == 0
    if silent.any():
        yield Finding(
            severity="warning",
            check="genes without any count",
            evidence=f"{int(silent.sum())} of {len(silent)} genes: {listed(study.genes[silent], most=4)}.",
            remedy="they are never a target and carry nothing; drop them with sc.pp.filter_genes(adata, min_counts=1).",
        )


def _labels(study: Study) -> Iterator[Finding]:
    if study.labels is None:
        return
    codes = study.labels.codes
    patients = study.patient_codes
    rare = [
        str(name)
        for code, name in enumerate(study.labels.categories)
        if len(np.unique(patients[codes == code])) == 1 < len(study.patients.categories)
    ]
    if rare:
        yield Finding(
            severity="info",
            check="labels of one patient only",
            evidence=f"{listed(rare, most=6)} occur in one patient: no model can have learnt them from others.",
            remedy="merge them into a wider label, or read the scores by label.",
        )
    if study.protocol.celltype_key == study.protocol.label_key and study.labels is not None:
        yield Finding(
            severity="error",
            check="label read by a model",
            evidence=f"celltype_key and label_key are both {study.protocol.label_key!r}.",
            remedy="pass different columns.",
        )


def _units(study: Study) -> Iterator[Finding]:
    known = records(study.adata).get(slots.MICRONS) or study.protocol.microns_per_unit
    if known is None:
        yield Finding(
            severity="info",
            check="unknown unit of coordinates",
            evidence="neither uns['stfmkit']['microns_per_unit'] nor the protocol says it.",
            remedy="nothing here depends on it; distances in µm cannot be given.",
        )


def _contender(contender: Contender) -> Iterator[Finding]:
    if contender.role != "given":
        return
    if isinstance(contender, GivenContender) and contender.n_obs_fitted:
        yield Finding(
            severity="warning",
            check="fitted on test observations",
            evidence=f"{contender.origin}: {contender.exposure}, before the split was known.",
            remedy="pass the registry name: the model is then fitted on training observations only.",
        )
    yield Finding(
        severity="info",
        check=f"{contender.kind} computed elsewhere",
        evidence=f"{contender.label!r} may have read target genes or test observations; values cannot tell.",
        remedy="pass the model itself, or leave its expression scores out.",
    )


_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def row_hashes(counts: sparse.csr_array) -> np.ndarray:
    """Return a 64-bit hash of every row (n_obs,); rows with equal entries have equal hashes, whatever the order."""
    entry = counts.indices.astype(np.uint64) * _MIX[0] + counts.data.astype(np.int64).astype(np.uint64) * _MIX[1]
    for shift in (30, 27, 31):  # the finaliser of splitmix64, so that sums of entries do not collide
        entry = (entry ^ (entry >> np.uint64(shift))) * _MIX[2]
    total = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(entry, dtype=np.uint64)])
    return total[counts.indptr[1:]] - total[counts.indptr[:-1]]
