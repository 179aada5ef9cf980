"""``stfmkit models``: what can be compared."""

from typing import Annotated

import typer

from stfmkit.cli._failures import plain_failures
from stfmkit.cli._show import show_frame

EXAMPLES = """
**Examples**

```
stfmkit models
stfmkit models hvg_pca
stfmkit models --family rna
stfmkit models --not-runnable
```
"""


def models(
    name: Annotated[str | None, typer.Argument(help="A model, for its whole card.", show_default=False)] = None,
    *,
    family: Annotated[str | None, typer.Option(help="Only baseline, rna, spatial, histology or hybrid.")] = None,
    runnable: Annotated[
        bool | None, typer.Option("--runnable/--not-runnable", help="Only models that can (or cannot) be run here.")
    ] = None,
) -> None:
    """List the models, or show the card of one: what it reads, its licence, its source."""
    with plain_failures():
        import pandas as pd

        import stfmkit.models as registry

        if name is None:
            listing = registry.list_models(family=family, runnable=runnable)  # type: ignore[arg-type]  # checked there
            last = "reason" if runnable is False else "summary"
            show_frame(listing[["name", "family", "needs", last]])
        else:
            card = registry.model_card(name).facts()
            show_frame(pd.DataFrame({"field": list(card), "value": list(card.values())}, dtype=object), title=name)
