"""What comes back: what was made, what was wrong, what there is after a stop, and what results say."""

import json
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, JsonValue

from stfmkit._core.errors import StfmkitError
from stfmkit.service._problems import Problem, RequestError

if TYPE_CHECKING:
    import pandas as pd

    from stfmkit.bm._results import Results


Record: TypeAlias = dict[str, JsonValue]


class Response(BaseModel):
    """Plain data that say what was done.

    Attributes
    ----------
    command
        The command; empty where the request named none.
    status
        "done", "failed" or "stopped".
    seconds
        Time from the request to the response.
    warnings
        What a careful reader of the result must know.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="null", defer_build=True)

    command: str
    status: str = "done"
    seconds: float = 0.0
    warnings: list[str] = []


class Failure(Response):
    """An error that can be repaired.

    Attributes
    ----------
    kind
        Name of the error.
    found, allowed, remedy
        What there was, what would be accepted, and what repairs it.
    problems
        The fields that are wrong, one by one, where the request itself is.
    """

    status: Literal["failed"] = "failed"
    kind: str
    found: str
    allowed: str
    remedy: str
    problems: list[Problem] = []

    @classmethod
    def of(cls, error: StfmkitError, *, command: str = "") -> "Failure":
        """Return the failure that an error is."""
        problems = list(error.problems) if isinstance(error, RequestError) else []
        return cls(
            command=command,
            kind=type(error).__name__,
            found=error.found,
            allowed=error.allowed,
            remedy=error.remedy,
            problems=problems,
        )

    def __str__(self) -> str:
        return f"Found: {self.found}\nAllowed: {self.allowed}\nRemedy: {self.remedy}"


class Stopped(Response):
    """The end of work that was stopped.

    Attributes
    ----------
    kept
        What there is of the work.
    """

    status: Literal["stopped"] = "stopped"
    kept: str


def records(frame: "pd.DataFrame") -> list[Record]:
    """Return the rows of a table as JSON; numbers that are missing or not finite are null."""
    found: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", double_precision=15, default_handler=str))
    return found


_HEAD = 5


class Verdict(BaseModel):
    """What results say.

    Attributes
    ----------
    protocol_id
        Twelve digits that stand for every choice and for the data.
    ranking
        One record for every task and contender, by the primary metric of the task; ``mark`` says what must be read
        before the rank.
    allowed
        Errors of the audit in spite of which the comparison was run.
    findings
        What the audit and the run found.
    n_scores
        Rows of the table of scores.
    head
        Its first rows.
    """

    protocol_id: str
    ranking: list[Record]
    allowed: list[str] = []
    findings: list[Record]
    n_scores: int
    head: list[Record]


def verdict_of(results: "Results") -> dict[str, Any]:
    """Return what results say, as fields of a response."""
    ranking = results.rank()
    return {
        "protocol_id": results.protocol_id,
        "ranking": records(ranking),
        "allowed": ranking.attrs["allowed"],
        "findings": [finding.as_dict() for finding in results.findings],
        "n_scores": len(results.table),
        "head": records(results.table.head(_HEAD)),
    }
