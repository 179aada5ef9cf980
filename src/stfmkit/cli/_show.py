"""Tables and lines on the terminal: results to standard output, progress to standard error."""

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    import pandas as pd

    from stfmkit.bm._results import Results


def say(text: str) -> None:
    """Write a line about progress to standard error."""
    typer.echo(text, err=True)


def show_frame(frame: "pd.DataFrame", *, title: str | None = None) -> None:
    """Print a table of text; every cell is shown as it is, never read as markup."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", header_style="bold")
    for i, name in enumerate(frame.columns):
        table.add_column(Text(str(name)), overflow="fold", no_wrap=i == 0)
    for row in frame.itertuples(index=False):
        table.add_row(*(Text(_cell(value)) for value in row))
    Console().print(table)


def show_ranking(results: "Results") -> None:
    """Print, for every task, the contenders by the primary metric; a verdict that all share is printed once, below."""
    import pandas as pd

    ranking = results.rank()
    for (task, metric, setting), part in ranking.groupby(["task", "metric", "setting"], sort=False):
        shown = pd.DataFrame(
            {
                "contender": part["contender"],
                "mean": part["mean"],
                "95 % interval": _intervals(part["low"], part["high"]),
                "behind the best": _intervals(-part["difference_high"], -part["difference_low"]),
                "verdict": part["verdict"],
            }
        )
        said = [v for v in part["verdict"].unique() if not v.startswith("best")]
        if len(said) == 1 and len(part) > 1:
            shown = shown.drop(columns="verdict")
        show_frame(shown, title=f"{task} · {metric} {setting}".rstrip() + f" (protocol {results.protocol_id})")
        if len(said) == 1 and len(part) > 1:
            typer.echo(f"{said[0]}\n")


def show_findings(results: "Results") -> None:
    """Write what the audit found, errors first, to standard error."""
    for severity in ("error", "warning"):
        for finding in results.findings:
            if finding.severity == severity:
                say(f"{severity.capitalize()} · {finding.check}: {finding.evidence} → {finding.remedy}")


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "–" if value != value else f"{value:.3f}"  # noqa: PLR0124  NaN
    if isinstance(value, (tuple, list)):
        return ", ".join(map(str, value))
    return "–" if value is None else str(value)


def _intervals(lows: "pd.Series", highs: "pd.Series") -> list[str]:
    return [
        "–" if low != low or low == high == 0 else f"{low:.3f} to {high:.3f}"  # noqa: PLR0124  NaN
        for low, high in zip(lows, highs, strict=True)
    ]
