"""Look for leaks and traps before a comparison."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from stfmkit._core.progress import step
from stfmkit.service._comparison import ComparisonRequest, Contenders, contenders_of
from stfmkit.service._response import Record, Response


class AuditRequest(ComparisonRequest):
    """Data and the choices of a protocol; contenders, if they are to be looked at, too."""

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "data": "spots.h5ad",
        "patient_key": "patient",
        "sample_key": "section",
        "label_key": "region",
        "contenders": ["hvg_pca", "X_mymodel"],
    }

    command: Literal["audit"] = "audit"
    contenders: Contenders | None = Field(
        None, description="Contenders as for `bench`, to be looked at as well: names of models, keys of obsm, obs, …"
    )


class AuditResponse(Response):
    """What was found, the severe ones first.

    Attributes
    ----------
    findings
        Severity, check, evidence, remedy, and a small table of the evidence where there is one.
    n_errors
        Findings that `bench` would refuse.
    """

    command: Literal["audit"] = "audit"
    status: Literal["done"] = "done"
    findings: list[Record]
    n_errors: int


def run(request: AuditRequest) -> AuditResponse:
    """Look for leaks and traps in data, split and contenders, without computing any score.

    Leaves with exit code 3 where something is found that `stfmkit bench` would refuse.
    """
    protocol = request.protocol()
    from stfmkit import bm, io

    with step(f"Reading {request.data}"):
        data = io.read(request.data)
    with step("Looking for leaks and traps"):
        found = bm.audit(
            data,
            protocol,
            contenders=() if request.contenders is None else contenders_of(request.contenders),
            table_key=request.table_key,
        )
    return AuditResponse(
        findings=[finding.as_dict() for finding in found],
        n_errors=sum(finding.severity == "error" for finding in found),
    )
