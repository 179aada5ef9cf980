"""Findings about contenders themselves: what they may have seen, and values that cannot be what they are taken for."""

from collections.abc import Iterator, Sequence

import pandas as pd

from stfmkit._core.arguments import listed
from stfmkit.bm.contenders import Contender, GivenContender
from stfmkit.bm.finding import Finding
from stfmkit.bm.prediction_scale import scale_findings
from stfmkit.bm.study import Study


def findings_of_labels(study: Study, observations: pd.DataFrame, contenders: Sequence[Contender]) -> Iterator[Finding]:
    """Yield the contenders whose predicted labels are none of the labels of the truth, in any observation."""
    known = [] if study.labels is None else study.labels.categories.tolist()
    for contender in contenders:
        rows = observations[observations["contender"] == contender.label]
        if contender.kind == "labels" and len(rows) and (rows["predicted"] == "").all():
            yield Finding(
                severity="warning",
                check="no predicted label is one of the truth",
                evidence=f"{contender.label!r} predicts no label that obs[{study.protocol.label_key!r}] has: "
                f"{listed(known, most=6)}.",
                contenders=(contender.label,),
                remedy="bring the labels that it learns from to these names; its score of 0 says nothing.",
            )


def what_it_reads(study: Study, contender: Contender) -> Iterator[Finding]:
    """Say what a contender may have seen, and whether its values can be what they are taken for."""
    if contender.reads_fitted:
        yield Finding(
            severity="warning",
            check="fitted on test observations",
            evidence=f"{contender.label!r} reads {', '.join(contender.reads_fitted)}, fitted before the split was "
            "known.",
            remedy="compare models by their registry names: they are then fitted on training observations only.",
        )
    if contender.reads_elsewhere:
        yield Finding(
            severity="info",
            check="input computed elsewhere",
            evidence=f"{contender.label!r} reads {', '.join(contender.reads_elsewhere)}, which may come from target "
            "genes, labels or test observations; values cannot tell.",
            remedy="say how it was made, or let contenders read counts and coordinates only.",
        )
    if contender.transductive:
        yield Finding(
            severity="info",
            check="transductive contender",
            evidence=f"{contender.label!r} reads the test observations of a fold together: what it says of one depends "
            "on the others.",
            remedy="compare it with contenders of its kind; a single new observation may be answered otherwise.",
        )
    if isinstance(contender, GivenContender) and contender.kind == "expression":
        yield from scale_findings(study, contender.label, contender.values, contender.columns)
