"""From data and choices to results on disk and on the terminal; what `bench` and `demo` share."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stfmkit.cli._options import with_weights
from stfmkit.cli._show import say, show_findings, show_ranking

if TYPE_CHECKING:
    from stfmkit._data.view import Container
    from stfmkit.bm._protocol import Protocol

KEPT = "Finished units are kept: the same command goes on from there."


def judge(
    data: "Container",
    *,
    models: Sequence[str] | Mapping[str, Any],
    protocol: "Protocol",
    out: Path,
    title: str,
    tasks: Sequence[str] | None = None,
    table_key: str | None = None,
    jobs: int = 1,
) -> None:
    """Run the comparison, save table and report in `out`, and print the ranking."""
    from stfmkit import bm

    results = bm.run(
        data,
        models=with_weights(models) if isinstance(models, Sequence) else models,
        protocol=protocol,
        tasks=None if tasks is None else list(tasks),
        table_key=table_key,
        out=out,
        n_jobs=jobs,
    )
    report = out / "report.html"
    results.report(report, title=title)
    show_findings(results)
    show_ranking(results)
    say(f"\nReport: {report}\nTable:  {out / 'table.parquet'}")
