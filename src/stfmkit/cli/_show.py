"""Tables and lines on the terminal: results to standard output, progress to standard error."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import typer

from stfmkit._core.printable import one_line, printable
from stfmkit.service._response import Verdict


def say(text: str) -> None:
    """Write a line about progress to standard error; names in it that hold control characters are written out."""
    typer.echo(printable(text), err=True)


def tell(text: str) -> None:
    """Write a result to standard output, as `say` does; in JSON, what is written out is read as it was."""
    typer.echo(printable(text))


def show_records(
    records: Sequence[Mapping[str, Any]], *, columns: Sequence[str] | None = None, title: str | None = None
) -> None:
    """Print records as a table of text; every cell is shown as it is, never read as markup."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    names = columns if columns is not None else list(records[0]) if records else ()
    table = Table(title=None if title is None else Text(one_line(title)), title_justify="left", header_style="bold")
    for i, name in enumerate(names):
        table.add_column(Text(one_line(name)), overflow="fold", no_wrap=i == 0)
    for record in records:
        table.add_row(*(Text(one_line(_cell(record.get(name)))) for name in names))
    Console().print(table)


def show_verdict(verdict: Verdict) -> None:
    """Print findings, and for every task the contenders by the primary metric, and what stands against their ranks."""
    from stfmkit.bm.marks import SIGN

    for severity in ("error", "warning"):
        for finding in verdict.findings:
            if finding["severity"] == severity:
                say(f"{severity.capitalize()} · {finding['check']}: {finding['evidence']} → {finding['remedy']}")
    if verdict.allowed:
        tell(f"{SIGN} In spite of errors of the audit, which were allowed: {', '.join(verdict.allowed)}.")
    allowed: list[Any] = [finding["contenders"] for finding in verdict.findings if finding["allowed"]]
    accused = {label for labels in allowed for label in labels}
    for (task, metric, setting), group in groupby(verdict.ranking, key=_table_of):
        rows: list[Mapping[str, Any]] = list(group)
        shown = [
            {
                "contender": row["contender"] + (f" {SIGN}" if row["mark"] or row["contender"] in accused else ""),
                "mean": row["mean"],
                "95 % interval": _interval(row["low"], row["high"]),
                "difference to the leader": _interval(row["difference_low"], row["difference_high"]),
                "verdict": row["verdict"],
            }
            for row in rows
        ]
        said = list(dict.fromkeys(row["verdict"] for row in rows))
        shared = len(said) == 1 and len(rows) > 1  # a verdict that all share is printed once, below
        show_records(
            shown,
            columns=[name for name in shown[0] if not (shared and name == "verdict")],
            title=f"{task} · {metric} {setting}".rstrip() + f" (protocol {verdict.protocol_id})",
        )
        if shared:
            tell(f"{said[0]}\n")
        for line in _notes(rows):
            tell(line)


def _notes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what must be read before a rank: marks, and intervals that do not say what the test says."""
    from stfmkit.bm.marks import NOT_ABOVE, SIGN, marks_in

    marks: dict[str, list[str]] = {}
    for contender, texts in marks_in(rows).items():
        for mark in texts:
            marks.setdefault(mark, []).append(contender)
    notes = []
    for mark, names in sorted(marks.items(), key=lambda item: item[0].startswith(NOT_ABOVE)):
        read = "" if mark.startswith(NOT_ABOVE) else " Read the findings before the rank."
        notes.append(f"{SIGN} {', '.join(names)}: {mark}.{read}")
    if any(_holds_zero(row) for row in rows):
        notes.append("Worse is what the test shows, also where the interval, which is wider, holds 0.")
    return notes


def _holds_zero(row: Mapping[str, Any]) -> bool:
    """Tell whether a contender was shown to be worse although the interval of its difference holds 0."""
    from stfmkit.bm.ranking import WORSE

    low, high = row["difference_low"], row["difference_high"]
    return row["verdict"] == WORSE and low is not None and low <= 0 <= high


def _table_of(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["task"], row["metric"], row["setting"]


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, (tuple, list)):
        return ", ".join(map(str, value))
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _interval(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None or low == high == 0 else f"{low:.3f} to {high:.3f}"
