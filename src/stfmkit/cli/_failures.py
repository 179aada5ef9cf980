"""Failures as the terminal shows them, and the exit codes that scripts can use."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from stfmkit._core.errors import StfmkitError, StfmkitWarning

WRONG_INPUT = 2
INTERRUPTED = 130


@contextmanager
def plain_failures(*, kept: str = "Nothing was written.") -> Iterator[None]:
    """Turn what a user can repair into plain text and an exit code; anything else keeps its traceback and code 1.

    Parameters
    ----------
    kept
        What holds after Ctrl-C.
    """
    try:
        with warnings.catch_warnings():
            _show_our_warnings()
            yield
    except (StfmkitError, FileNotFoundError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(WRONG_INPUT) from error
    except ImportError as error:
        if "pip install" not in str(error):  # what is not installed says how to install it
            raise
        typer.echo(str(error), err=True)
        raise typer.Exit(WRONG_INPUT) from error
    except KeyboardInterrupt as stop:
        typer.echo(f"\nStopped. {kept}", err=True)
        raise typer.Exit(INTERRUPTED) from stop


def _show_our_warnings() -> None:
    """Show our own warnings as one line each, and those of other libraries only if Python was asked for them."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
        warnings.simplefilter("default", StfmkitWarning)
    warnings.showwarning = _show


def _show(message: Warning | str, category: type[Warning], *_where: object, **_options: object) -> None:
    kind = "Warning" if issubclass(category, StfmkitWarning) else category.__name__
    typer.echo(f"{kind}: {message}", err=True)
