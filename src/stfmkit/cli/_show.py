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
    for name in frame.columns:
        table.add_column(Text(str(name)), overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*(Text(_cell(value)) for value in row))
    Console().print(table)


def show_ranking(results: "Results") -> None:
    """Print, for every task, the models by the primary metric."""
    import pandas as pd

    ranking = results.rank()
    for (task, metric), part in ranking.groupby(["task", "metric"], sort=False):
        interval = [_interval(low, high) for low, high in zip(part["low"], part["high"], strict=True)]
        shown = pd.DataFrame(
            {
                "model": part["model"],
                "mean": part["mean"],
                "95 % interval": interval,
                "patients": part["n_patients"],
                "verdict": part["verdict"],
            }
        )
        show_frame(shown, title=f"{task} · {metric} (protocol {results.protocol_id})")


def show_findings(results: "Results") -> None:
    """Write what the audit found, errors first, to standard error."""
    for severity in ("error", "warning"):
        for finding in results.findings:
            if finding["severity"] == severity:
                say(f"{severity.capitalize()} · {finding['check']}: {finding['evidence']} → {finding['remedy']}")


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "–" if value != value else f"{value:.3f}"  # noqa: PLR0124  NaN
    if isinstance(value, (tuple, list)):
        return ", ".join(map(str, value))
    return "–" if value is None else str(value)


def _interval(low: float, high: float) -> str:
    return "–" if low != low else f"{low:.3f} to {high:.3f}"  # noqa: PLR0124  NaN
