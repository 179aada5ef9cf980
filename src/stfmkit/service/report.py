"""Make the report of saved results again."""

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from stfmkit.service._fields import AnyPath
from stfmkit.service._output import check_new_file
from stfmkit.service._request import Request
from stfmkit.service._response import Response, Verdict, verdict_of


class ReportRequest(Request):
    """A folder of results, and the new file."""

    EXAMPLE: ClassVar[dict[str, Any]] = {"results": "stfmkit-demo", "out": "for-the-reviewer.html"}

    command: Literal["report"] = "report"
    results: AnyPath = Field(description="Folder that `bench`, `demo` or `Results.save` wrote.")
    out: AnyPath | None = Field(None, description="New HTML file; `report.html` in the folder, made anew, if left out.")


class ReportResponse(Response, Verdict):
    """The report, and what it says."""

    command: Literal["report"] = "report"
    status: Literal["done"] = "done"
    report: Path


def run(request: ReportRequest) -> ReportResponse:
    """Make the HTML report of saved results again, and print the ranking. Nothing is computed anew."""
    from stfmkit import bm

    if request.out is not None:
        check_new_file(request.out, suffix=".html")
    results = bm.Results.load(request.results)
    report = request.results / "report.html" if request.out is None else request.out
    results.report(report)
    return ReportResponse(report=report, **verdict_of(results))
