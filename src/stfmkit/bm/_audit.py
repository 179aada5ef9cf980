"""Look for leaks and traps before anything is computed; every finding has severity, evidence and remedy."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from stfmkit._core.arguments import check_known
from stfmkit._core.errors import InputError, InputTypeError
from stfmkit.bm._protocol import Protocol
from stfmkit.bm.checks import (
    alike,
    coordinates,
    corpus,
    counts,
    duplicates,
    embeddings,
    genes,
    given,
    labels,
    made_labels,
    patients,
    reach,
    samples,
    splits,
)
from stfmkit.bm.contender_findings import what_it_reads
from stfmkit.bm.contenders import Contender
from stfmkit.bm.finding import Finding, by_severity
from stfmkit.bm.resolve_contenders import resolve_contenders
from stfmkit.bm.study import Study, load_study

if TYPE_CHECKING:
    from stfmkit._data.view import Container

_OfData: TypeAlias = Callable[[Study], Iterator[Finding]]
_OfAll: TypeAlias = Callable[[Study, Sequence[Contender]], Iterator[Finding]]
_OfContender: TypeAlias = Callable[[Study, Contender], Iterator[Finding]]

OF_DATA: tuple[_OfData, ...] = (
    splits.both_sides,
    splits.no_buffer,
    duplicates.equal_rows,
    duplicates.near_copies,
    patients.two_spellings,
    patients.another_column,
    patients.names_inside_names,
    alike.one_profile,
    samples.several_in_one,
    samples.one_in_several,
    counts.common_divisor,
    counts.multiples,
    counts.multiples_of_logs,
    counts.equal_library_sizes,
    counts.too_even,
    genes.controls_left,
    genes.silent_genes,
    genes.twins,
    labels.of_one_patient,
    labels.of_the_sample,
    made_labels.clusters_of_the_counts,
    made_labels.named_smoothed,
    coordinates.on_a_line,
    coordinates.mixed_units,
    coordinates.unknown_unit,
    splits.few_patients,
    splits.nothing_to_tune,
)
OF_CONTENDER: tuple[_OfContender, ...] = (
    given.computed_elsewhere,
    reach.patches_overlap,
    reach.neighbours_read,
    embeddings.what_it_holds,
    what_it_reads,
)
OF_ALL: tuple[_OfAll, ...] = (labels.read_by_a_model, corpus.overlap)
REFUSED = (
    "duplicated counts across the split",
    "gene under two names",
    "label read by a model",
    "labels in the embedding",
    "near-duplicate sections across the split",
    "neighbours on both sides",
    "normalised and rounded counts",
    "patient on both sides",
    "patient under two spellings",
    "scaled counts",
    "sections given as patients",
    "target genes in the embedding",
)
"""Checks whose findings can be errors, which a comparison does not start with unless they are allowed by name."""


def audit(
    data: "Container", protocol: Protocol, *, contenders: object = (), table_key: str | None = None
) -> list[Finding]:
    """Look for leaks and traps in data, split and contenders, without computing any score.

    Every finding has a severity: "error" for what makes scores misleading (`sk.bm.run` refuses it unless it is allowed
    by name), "warning" for what may, "info" for what is good to know.

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

    Raises
    ------
    InputError
        Something in the data, the contenders or the protocol cannot be used at all.

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
    found = [finding for check in OF_DATA for finding in check(study)]
    found += [finding for check in OF_ALL for finding in check(study, contenders)]
    for contender in contenders:
        own = [finding for check in OF_CONTENDER for finding in check(study, contender)]
        found += [replace(finding, contenders=(contender.label,)) for finding in own]
    return by_severity(found)


def check_allow(allow: Sequence[str]) -> tuple[str, ...]:
    """Return names of checks that a comparison may fail, each once, or refuse names that no error has."""
    if isinstance(allow, str):
        raise InputTypeError(
            f"allow={allow!r}.", allowed="a list of names of checks", remedy=f"pass allow=[{allow!r}]."
        )
    for name in allow:
        check_known(name, REFUSED, what="check that can refuse a comparison", remedy="pass the names that it printed.")
    return tuple(dict.fromkeys(allow))


def accept(findings: Sequence[Finding], allow: Sequence[str]) -> list[Finding]:
    """Return the findings with those marked that are allowed.

    Raises
    ------
    InputError
        A finding is an error and is not allowed.
    """
    errors = [finding for finding in findings if finding.severity == "error"]
    refused = [finding for finding in errors if finding.check not in allow]
    if refused:
        names = list(dict.fromkeys(finding.check for finding in refused))
        raise InputError(
            " ".join(f"{finding.check}: {finding.evidence}" for finding in refused),
            allowed="data, split and contenders in which the audit finds no error",
            remedy=" ".join(f"{finding.check}: {finding.remedy}" for finding in refused)
            + f" To go on in spite of {'it' if len(names) == 1 else 'them'}, said on every table: "
            f"allow={[*allow, *names]!r} ({' '.join(f'--allow {name!r}' for name in [*allow, *names])}).",
        )
    return [replace(finding, allowed=True) if finding in errors else finding for finding in findings]


def overrides(findings: Sequence[Finding]) -> list[str]:
    """Return the names of the errors that were allowed."""
    return list(dict.fromkeys(finding.check for finding in findings if finding.allowed))
