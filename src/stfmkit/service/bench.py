"""Compare representations on held-out patients."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from stfmkit._core.progress import step
from stfmkit.service._comparison import ComparisonRequest, Contenders, contenders_of
from stfmkit.service._fields import AnyPath, Names, NJobs
from stfmkit.service._response import Response, Verdict, verdict_of

if TYPE_CHECKING:
    from stfmkit._data.view import Container


class BenchRequest(ComparisonRequest):
    """Data, contenders, the choices of a protocol, and the folder for results."""

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "data": "spots.h5ad",
        "patient_key": "patient",
        "sample_key": "section",
        "label_key": "region",
        "contenders": {"hvg_pca": "hvg_pca", "untrained": {"model": "geneformer-v1", "weights": "random"}},
        "out": "results",
    }

    command: Literal["bench"] = "bench"
    out: AnyPath = Field(description="Folder for results; new, or of the same choices.")
    contenders: Contenders = Field(
        description="Names of models (see `stfmkit models`; weights after a colon), keys of obsm, obs, layers or var; "
        "in a file also a mapping from labels to names, or to `model` or `method` and its options."
    )
    tasks: Names | None = Field(None, description="Tasks; all that the data allow if left out.")
    allow: Names | None = Field(
        None, description="Errors of the audit to go on in spite of, by the name of the check; every table says so."
    )
    n_jobs: NJobs = 1

    def kept(self) -> str:
        """Return what there is after the work was stopped."""
        return kept_in(self.out)


def kept_in(out: Path) -> str:
    """Return what a folder of results holds of work that was stopped, as a sentence."""
    from stfmkit.bm.folder import FINISHED

    if any((out / FINISHED).glob("*.entry")):
        return "Finished units are kept: the same request goes on from there."
    return "Nothing was finished yet: the same request starts again."


class BenchResponse(Response, Verdict):
    """Where results and report are, and what they say."""

    command: Literal["bench"] = "bench"
    status: Literal["done"] = "done"
    out: Path
    table: Path
    report: Path


def run(request: BenchRequest) -> BenchResponse:
    """Compare representations on tasks, with patients held out.

    Writes `report.html` and `table.parquet` into the folder `out`. Every finished unit of work is kept there: a run
    that was stopped goes on when the same request is given again, and contenders may be added.
    """
    protocol = request.protocol()
    from stfmkit import io

    with step(f"Reading {request.data}"):
        data = io.read(request.data)
    compared = compare(
        data,
        contenders=contenders_of(request.contenders),
        protocol=protocol,
        tasks=request.tasks,
        table_key=request.table_key,
        out=request.out,
        allow=request.allow or (),
        title=f"Comparison of representations: {request.data.name}",
        n_jobs=request.n_jobs,
    )
    return BenchResponse(**compared)


def compare(data: "Container", *, out: Path, title: str, contenders: Any, **options: Any) -> dict[str, Any]:
    """Run a comparison, save results and report in `out`, and return the fields of the response."""
    from stfmkit import bm
    from stfmkit.bm.folder import check_report

    report = out / "report.html"
    check_report(report)
    results = bm.run(data, contenders, out=out, **options)
    with step("Writing the report"):
        bm.Results.load(out).report(report, title=title)  # with what earlier runs have left there
    return {"out": out, "table": out / "table.parquet", "report": report, **verdict_of(results)}
