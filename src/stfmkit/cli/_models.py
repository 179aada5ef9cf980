"""What the terminal shows of ``stfmkit models``."""

from stfmkit.cli._show import show_records
from stfmkit.service.models import ModelsResponse

EXAMPLES = """
**Examples**

```
stfmkit models
stfmkit models hvg_pca
stfmkit models --family rna
stfmkit models --not-runnable
```
"""


def show(response: ModelsResponse) -> None:
    """Print the table of models, or the card of one."""
    if response.card:
        show_records([{"field": label, "value": text} for label, text in response.card.items()])
        return
    last = "summary" if any(not model["reason"] for model in response.models) else "reason"
    show_records(response.models, columns=("name", "family", "needs", last))
