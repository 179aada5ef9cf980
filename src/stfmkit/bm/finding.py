"""What an audit or a run has to tell a careful reader."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self, TypeAlias, get_args

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[str, ...] = get_args(Severity)
Row: TypeAlias = tuple[str | int | float, ...]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that a careful reader must know.

    Attributes
    ----------
    severity
        "error" for what makes scores misleading, "warning" for what may, "info" for what is good to know.
    check
        Name of the check; `sk.bm.run` takes those of errors in ``allow``.
    evidence
        What was observed, with numbers.
    remedy
        What to do about it.
    columns, rows
        A small table of the evidence, such as one row for every pair of sections; empty where a sentence will do.
    contenders
        Labels of those whom it is about; empty for data and split.
    allowed
        Whether the caller let a comparison go on in spite of it.
    """

    severity: Severity
    check: str
    evidence: str
    remedy: str
    columns: tuple[str, ...] = ()
    rows: tuple[Row, ...] = field(default=(), repr=False)
    contenders: tuple[str, ...] = ()
    allowed: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the finding, ready for JSON."""
        return {
            **asdict(self),
            "columns": list(self.columns),
            "rows": [list(row) for row in self.rows],
            "contenders": list(self.contenders),
        }

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Self:
        """Return the finding that `as_dict` wrote."""
        return cls(
            **{name: str(facts[name]) for name in ("severity", "check", "evidence", "remedy")},  # type: ignore[arg-type]
            columns=tuple(map(str, facts.get("columns", ()))),
            rows=tuple(tuple(row) for row in facts.get("rows", ())),
            contenders=tuple(map(str, facts.get("contenders", ()))),
            allowed=bool(facts.get("allowed", False)),
        )


def by_severity(findings: Sequence[Finding]) -> list[Finding]:
    """Return findings with the severe ones first, otherwise in their order."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))
