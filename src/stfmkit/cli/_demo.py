"""What the terminal shows of ``stfmkit demo``."""

from stfmkit.cli._show import say, show_verdict
from stfmkit.service.demo import DemoResponse

EXAMPLES = """
**Examples**

```
stfmkit demo --out stfmkit-demo
stfmkit demo --out stfmkit-quick --quick
```

Then the same on a file, as you would with your own data:

```
stfmkit bench stfmkit-demo/spots.h5ad --patient-key patient \\
    --sample-key sample --label-key niche \\
    --contenders hvg_pca,coordinates --out my-results
```
"""


def show(response: DemoResponse) -> None:
    """Print ranking and findings, and where report and spots are."""
    show_verdict(response)
    say(f"\nReport: {response.report}\nTable:  {response.table}")
    say(f"Spots:  {response.spots}, to try `stfmkit bench` on")
