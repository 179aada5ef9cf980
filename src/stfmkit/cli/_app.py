"""The application: its commands, and what they have in common."""

from typing import Annotated

import typer

from stfmkit.cli import _run, _schema
from stfmkit.cli._command import examples_of, terminal_command
from stfmkit.service import commands

_EPILOG = """
**First steps**

Everything on a made-up cohort, in minutes:

```
stfmkit demo --out stfmkit-demo
```

A comparison on your own data:

```
stfmkit bench spots.h5ad --patient-key patient --sample-key section \\
    --label-key region --contenders hvg_pca,coordinates --out results
```

`stfmkit COMMAND --help` shows options and examples of one command.

**Exit codes**: 0 done · 1 unexpected failure · 2 wrong input, with what was found, what is allowed and the remedy ·
130 stopped with Ctrl-C, finished work is kept.
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
    app.command("run", epilog=_run.EXAMPLES)(_run.run)
    app.command("schema", epilog=_schema.EXAMPLES)(_schema.schema)
    return app


def main() -> None:
    """Run the command line on ``sys.argv`` and leave with an exit code."""
    build()(prog_name="stfmkit")


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
