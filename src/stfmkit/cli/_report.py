"""What the terminal shows of ``stfmkit report``."""

from stfmkit.cli._show import say, show_verdict
from stfmkit.service.report import ReportResponse

EXAMPLES = """
**Examples**

```
stfmkit report results
stfmkit report results --out for-the-reviewer.html
```
"""


def show(response: ReportResponse) -> None:
    """Print ranking and findings, and where the report is."""
    show_verdict(response)
    say(f"\nReport: {response.report}")
