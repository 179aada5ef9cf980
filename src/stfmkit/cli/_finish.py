"""From a request to its exit code: do it, print the response, and show warnings on the way."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

import typer

from stfmkit._core.errors import StfmkitError, StfmkitWarning
from stfmkit.cli import STOPPED, exit_code
from stfmkit.cli._show import say, tell
from stfmkit.service import Failure, Request, Response, Stopped, run
from stfmkit.service.audit import AuditResponse

DONE, WRONG_INPUT, REFUSED = 0, 2, 3


def finish(
    make: Callable[[], Request], show: Callable[[Response], None], *, as_json: bool, command: Callable[[], str] = str
) -> None:
    """Make a request, do it, and leave with an exit code; a fault of the program keeps its traceback and code 1.

    Parameters
    ----------
    make
        Returns the request, or raises what is wrong with it.
    show
        Prints the response of work that was done.
    as_json
        Print every response as JSON on standard output instead, failures as well.
    command
        Returns the command that was read, asked where the request cannot be made; "" where there is none.
    """
    response, code = _response(make, command)
    if as_json:
        tell(response.model_dump_json(indent=2))
    elif response.status == "done":
        show(response)
    if isinstance(response, AuditResponse) and response.n_errors:
        raise typer.Exit(REFUSED)
    if isinstance(response, Failure):
        if not as_json:
            say(str(response))
        raise typer.Exit(WRONG_INPUT)
    if isinstance(response, Stopped):
        if not as_json:
            say(f"\nStopped. {response.kept}")
        raise typer.Exit(code)


def _response(make: Callable[[], Request], command: Callable[[], str]) -> tuple[Response, int]:
    """Return the response, and the exit code of work that was stopped."""
    start = perf_counter()
    with _plain_warnings():
        try:
            request = make()
        except StfmkitError as error:
            failure = Failure.of(error, command=command())
            return failure.model_copy(update={"seconds": perf_counter() - start}), WRONG_INPUT
        try:
            return run(request), STOPPED
        except KeyboardInterrupt as stopped:
            kept = Stopped(command=request.command, kept=request.kept(), seconds=perf_counter() - start)
            return kept, exit_code(stopped)


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Show our own warnings as one line each, and those of other libraries only if Python was asked for them."""
    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.simplefilter("ignore")
            warnings.simplefilter("default", StfmkitWarning)
        warnings.showwarning = _show
        yield


def _show(message: Warning | str, category: type[Warning], *_where: object, **_options: object) -> None:
    kind = "Warning" if issubclass(category, StfmkitWarning) else category.__name__
    say(f"{kind}: {message}")
