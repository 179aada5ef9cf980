"""Whether labels can be learnt from other patients, and are not simply read."""

from collections.abc import Iterator, Sequence

import numpy as np

from stfmkit._core.arguments import listed
from stfmkit.bm.contenders import Contender
from stfmkit.bm.finding import Finding
from stfmkit.bm.model_contenders import reads_composition
from stfmkit.bm.study import Study

_OF_SAMPLE = 0.05
"""Entropy of labels within samples over their entropy: next to nothing where the sample tells the label."""


def of_one_patient(study: Study) -> Iterator[Finding]:
    """Find labels that only one patient has; where none is shared, nothing can be learnt at all."""
    if study.labels is None:
        return
    codes = study.labels.codes
    rare = [
        str(name)
        for code, name in enumerate(study.labels.categories)
        if len(np.unique(study.patient_codes[codes == code])) == 1 < len(study.patients.categories)
    ]
    n_present = len(np.unique(codes[codes >= 0]))
    if rare and len(rare) == n_present:
        yield Finding(
            severity="warning",
            check="labels of one patient only",
            evidence=f"no label of obs[{study.protocol.label_key!r}] occurs in two patients ({listed(rare, most=4)}): "
            "nothing about them can be learnt from other patients, and scores of labels mean nothing.",
            remedy="pass labels that patients share, such as the region without the name of the sample.",
        )
    elif rare:
        yield Finding(
            severity="info",
            check="labels of one patient only",
            evidence=f"{listed(rare, most=6)} occur in one patient: no model can have learnt them from others.",
            remedy="merge them into a wider label, or read the scores by label.",
        )


def of_the_sample(study: Study) -> Iterator[Finding]:
    """Find labels that are the same all over a sample, such as the section or the diagnosis."""
    if study.labels is None or len(study.samples.categories) < 2:
        return
    known = study.labels.codes >= 0
    table = np.zeros((len(study.samples.categories), len(study.labels.categories)))
    np.add.at(table, (study.sample_codes[known], study.labels.codes[known]), 1)
    table = table[table.sum(axis=1) > 0]
    if not len(table):
        return
    whole = _entropy(table.sum(axis=0))
    within = float(np.average([_entropy(row) for row in table], weights=table.sum(axis=1)))
    if whole > 0 and within < _OF_SAMPLE * whole:
        yield Finding(
            severity="warning",
            check="label is the sample",
            evidence=f"knowing the sample leaves {within / whole:.1%} of the entropy of obs"
            f"[{study.protocol.label_key!r}]: whole samples have one label.",
            remedy="pass a label of places within samples; a label of whole samples has one value per patient.",
        )


def read_by_a_model(study: Study, contenders: Sequence[Contender]) -> Iterator[Finding]:
    """Find a label column that a model reads as cell types."""
    key = study.protocol.label_key
    if study.labels is None or study.protocol.celltype_key != key:
        return
    readers = [contender.label for contender in contenders if reads_composition(contender)]
    yield Finding(
        severity="error" if readers or not contenders else "warning",
        check="label read by a model",
        evidence=f"celltype_key and label_key are both {key!r}"
        + (f", and {listed(readers)} reads cell types." if readers else "."),
        remedy="pass different columns.",
        contenders=tuple(readers),
    )


def _entropy(counts: np.ndarray) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())
