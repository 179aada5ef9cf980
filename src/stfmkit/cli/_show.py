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
    """Print findings, and for every task the contenders by the primary metric."""
    for severity in ("error", "warning"):
        for finding in verdict.findings:
            if finding["severity"] == severity:
                say(f"{severity.capitalize()} · {finding['check']}: {finding['evidence']} → {finding['remedy']}")
    for (task, metric, setting), group in groupby(verdict.ranking, key=_table_of):
        rows: list[Mapping[str, Any]] = list(group)
        shown = [
            {
                "contender": row["contender"],
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
