"""The application: its commands, and what they have in common."""

from typing import Annotated

import typer

from stfmkit.cli import _bench, _bin, _demo, _embed, _models, _report

_EPILOG = """
**First steps**

Everything on a made-up cohort, in minutes:

```
stfmkit demo --out stfmkit-demo
```

A comparison on your own data:

```
stfmkit bench spots.h5ad --patient-key patient --sample-key section \\
    --label-key region --models hvg_pca,coordinates --out results
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
    app.command("demo", epilog=_demo.EXAMPLES)(_demo.demo)
    app.command("bench", epilog=_bench.EXAMPLES)(_bench.bench)
    app.command("bin", epilog=_bin.EXAMPLES)(_bin.bin_)
    app.command("embed", epilog=_embed.EXAMPLES)(_embed.embed)
    app.command("models", epilog=_models.EXAMPLES)(_models.models)
    app.command("report", epilog=_report.EXAMPLES)(_report.report)
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
