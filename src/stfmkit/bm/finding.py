"""What an audit or a run has to tell a careful reader."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, get_args

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[str, ...] = get_args(Severity)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that a careful reader must know.

    Attributes
    ----------
    severity
        "error" for what makes scores misleading, "warning" for what may, "info" for what is good to know.
    check
        Name of the check.
    evidence
        What was observed, with numbers.
    remedy
        What to do about it.
    """

    severity: Severity
    check: str
    evidence: str
    remedy: str

    def as_dict(self) -> dict[str, str]:
        """Return the finding, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Self:
        """Return the finding that `as_dict` wrote."""
        return cls(**{name: str(facts[name]) for name in ("severity", "check", "evidence", "remedy")})  # type: ignore[arg-type]


def by_severity(findings: list[Finding]) -> list[Finding]:
    """Return findings with the severe ones first, otherwise in their order."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))
