"""The application: the commands of the service, ``run`` and ``schema``, and what they have in common."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from stfmkit._core.arguments import check_known
from stfmkit._core.errors import InputError, StfmkitError
from stfmkit.cli import STOPPED
from stfmkit.cli._command import AsJson, examples_of, shown_by, terminal_command
from stfmkit.cli._finish import WRONG_INPUT, finish
from stfmkit.cli._show import say, tell
from stfmkit.service import Failure, Request, commands, make_request, schemas
from stfmkit.service._request import read_fields, stated_command

_FLAG_ERROR: Any = typer.BadParameter.__bases__[0]
"""What typer raises for flags that cannot be read, in whichever package it keeps it."""

_EPILOG = """
**First steps**

Everything on a made-up cohort, in minutes:

```
stfmkit demo --out stfmkit-demo
```

What is wrong with your own data, before anything is computed:

```
stfmkit audit spots.h5ad --patient-key patient --sample-key section --label-key region
```

A comparison on them:

```
stfmkit bench spots.h5ad --patient-key patient --sample-key section \\
    --label-key region --contenders hvg_pca,coordinates --out results
```

`stfmkit COMMAND --help` shows options and examples of one command.

**Exit codes**: 0 done · 1 unexpected failure · 2 wrong input, with what was found, what is allowed and the remedy ·
3 `audit` found what `bench` refuses · 130 stopped with Ctrl-C, 143 with SIGTERM; finished work is kept.
"""

_RUN = """
**Examples**

A file that names its command, beside the fields or above them:

```
stfmkit run bench.yaml
stfmkit run bench.yaml --json
stfmkit run - --json
```

`stfmkit schema COMMAND` shows the fields of a command. Relative paths in the file begin at its folder.
"""

_SCHEMA = """
**Examples**

```
stfmkit schema
stfmkit schema bench
```
"""


def build() -> typer.Typer:
    """Return the application with all its commands."""
    app = typer.Typer(
        name="stfmkit",
        no_args_is_help=True,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(epilog=_EPILOG)(_root)
    for name, command in commands().items():
        app.command(name, epilog=examples_of(name))(terminal_command(command))
    app.command("run", epilog=_RUN)(_run)
    app.command("schema", epilog=_SCHEMA)(_schema)
    return app


def main() -> None:
    """Run the command line on ``sys.argv`` and leave with an exit code."""
    arguments = sys.argv[1:]
    if "--json" not in arguments:
        build()(prog_name="stfmkit")
        return
    try:
        code = build()(prog_name="stfmkit", standalone_mode=False)
    except typer.Abort:
        sys.exit(STOPPED)
    except _FLAG_ERROR as error:
        named = arguments[0] if arguments and arguments[0] in commands() else ""
        tell(_failure_of(error.format_message(), command=named).model_dump_json(indent=2))
        sys.exit(WRONG_INPUT)
    sys.exit(code if isinstance(code, int) else 0)


def _failure_of(found: str, *, command: str) -> Failure:
    """Return a flag that cannot be read as a failure like any other."""
    called = f"stfmkit {command}".strip()
    wrong = InputError(found, allowed=f"the flags of `{called}`", remedy=f"see `{called} --help`.")
    return Failure.of(wrong, command=command)


def _show_version(value: bool) -> None:  # noqa: FBT001  typer calls it so
    if value:
        import stfmkit

        typer.echo(f"stfmkit {stfmkit.__version__}")
        raise typer.Exit


def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Prepare, embed and judge representations of spatial transcriptomics data, fairly.

    Foundation models, spatial models and plain baselines are compared as equals, on patients that were held out.
    """


def _run(
    request: Annotated[str, typer.Argument(help="YAML or JSON file; - for standard input.")],
    *,
    json: AsJson = False,
) -> None:
    """Do what a file asks for: any command, with the same fields as its flags."""
    read: dict[Any, Any] = {}

    def make() -> Request:
        read.update(read_fields(request))
        return make_request(read, folder=None if request == "-" else Path(request).parent)

    finish(
        make,
        lambda response: shown_by(response.command)(response),
        as_json=json,
        command=lambda: stated_command(read),
    )


def _schema(
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
