"""``stfmkit run``: any request from a file."""

from typing import Annotated

import typer

from stfmkit.cli._command import AsJson, shown_by
from stfmkit.cli._finish import finish
from stfmkit.service import Response, read_request

EXAMPLES = """
**Examples**

A file that names its command, beside the fields or above them:

```
stfmkit run bench.yaml
stfmkit run bench.yaml --json
stfmkit run - --json
```

`stfmkit schema COMMAND` shows the fields of a command. Relative paths in the file begin at its folder.
"""


def run(
    request: Annotated[str, typer.Argument(help="YAML or JSON file; - for standard input.")],
    *,
    json: AsJson = False,
) -> None:
    """Do what a file asks for: any command, with the same fields as its flags."""
    finish(lambda: read_request(request), _show, as_json=json)


def _show(response: Response) -> None:
    shown_by(response.command)(response)
