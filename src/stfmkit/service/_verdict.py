"""What results say: ranking, findings, and the first scores."""

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from stfmkit.service._response import Record, records

if TYPE_CHECKING:
    from stfmkit.bm._results import Results

_HEAD = 5


class Verdict(BaseModel):
    """What results say.

    Attributes
    ----------
    protocol_id
        Twelve digits that stand for every choice and for the data.
    ranking
        One record for every task and contender, by the primary metric of the task.
    findings
        What the audit and the run found.
    n_scores
        Rows of the table of scores.
    head
        Its first rows.
    """

    protocol_id: str
    ranking: list[Record]
    findings: list[dict[str, str]]
    n_scores: int
    head: list[Record]


def verdict_of(results: "Results") -> dict[str, Any]:
    """Return what results say, as fields of a response."""
    return {
        "protocol_id": results.protocol_id,
        "ranking": records(results.rank()),
        "findings": [finding.as_dict() for finding in results.findings],
        "n_scores": len(results.table),
        "head": records(results.table.head(_HEAD)),
    }
