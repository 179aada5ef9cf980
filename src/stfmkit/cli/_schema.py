"""``stfmkit schema``: what requests and responses look like."""

import json
from typing import Annotated

import typer

from stfmkit._core.arguments import check_known
from stfmkit._core.errors import StfmkitError
from stfmkit.cli._finish import WRONG_INPUT
from stfmkit.cli._show import say
from stfmkit.service import schemas

EXAMPLES = """
**Examples**

```
stfmkit schema
stfmkit schema bench
```
"""


def schema(
    command: Annotated[str | None, typer.Argument(help="One command; all if left out.", show_default=False)] = None,
) -> None:
    """Print the JSON schemas of requests and responses."""
    found = schemas()
    try:
        if command is not None:
            check_known(command, found, what="command", remedy="pass one of these.")
    except StfmkitError as error:
        say(str(error))
        raise typer.Exit(WRONG_INPUT) from None
    typer.echo(json.dumps(found if command is None else found[command], indent=2))
