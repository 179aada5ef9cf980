"""``stfmkit report``: the report of results that were saved."""

from pathlib import Path
from typing import Annotated

import typer

from stfmkit.cli._failures import plain_failures
from stfmkit.cli._output import check_new_file
from stfmkit.cli._show import say, show_findings, show_ranking

EXAMPLES = """
**Examples**

```
stfmkit report results
stfmkit report results --out for-the-reviewer.html
```
"""


def report(
    results: Annotated[Path, typer.Argument(help="Folder that `bench`, `demo` or `Results.save` wrote.")],
    *,
    out: Annotated[
        Path | None, typer.Option(help="New HTML file; `report.html` in the folder, made anew, if left out.")
    ] = None,
) -> None:
    """Make the HTML report of saved results again, and print the ranking. Nothing is computed anew."""
    with plain_failures():
        from stfmkit import bm

        if out is not None:
            check_new_file(out, suffix=".html")
        loaded = bm.Results.load(results)
        target = results / "report.html" if out is None else out
        loaded.report(target)
        show_findings(loaded)
        show_ranking(loaded)
        say(f"\nReport: {target}")
