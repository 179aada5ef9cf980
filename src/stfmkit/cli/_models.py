"""``stfmkit models``: what can be compared."""

from dataclasses import asdict
from typing import Annotated

import typer

from stfmkit.cli._failures import plain_failures
from stfmkit.cli._show import show_frame

EXAMPLES = """
**Examples**

```
stfmkit models
stfmkit models hvg_pca
```
"""


def models(
    name: Annotated[str | None, typer.Argument(help="A model, for its whole card.", show_default=False)] = None,
) -> None:
    """List the models, or show the card of one: what it reads, its licence, its source."""
    with plain_failures():
        import pandas as pd

        import stfmkit.models as registry

        if name is None:
            show_frame(registry.list_models()[["name", "family", "needs", "summary"]])
        else:
            card = asdict(registry.model_card(name))
            show_frame(pd.DataFrame({"field": list(card), "value": list(card.values())}, dtype=object), title=name)
