"""Do what a request asks for, and collect our own warnings on the way."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from threading import Lock
from time import perf_counter
from typing import Any

from stfmkit._core.errors import InputError, StfmkitError, StfmkitWarning
from stfmkit._core.progress import Cancelled, Event, Progress, report_to
from stfmkit.service._commands import commands
from stfmkit.service._problems import short
from stfmkit.service._request import Request, make_request, stated_command
from stfmkit.service._response import Failure, Response, Stopped

__all__ = ["Cancelled", "Event", "Progress", "report_to", "run"]


def run(request: Request | Mapping[str, Any], *, progress: Progress | None = None) -> Response:
    """Do what a request asks for, and say what was done.

    Parameters
    ----------
    request
        A request, or the plain values of one (see `make_request`).
    progress
        Called with every event of the work, in this thread. It stops the work between two units by raising
        `Cancelled`; what else it raises stops nothing. By default there are bars in terminals and notebooks.

    Returns
    -------
    The response of the command; or a `Failure` for what a user can repair: wrong input, a package that is not
    installed, or a file that the system refuses; or `Stopped`. Errors of any other kind are raised: they are faults
    of the program.

    Examples
    --------
    >>> import stfmkit as sk
    >>> response = sk.service.run({"command": "models", "family": "baseline"})
    >>> sorted(model["name"] for model in response.models)[:2]
    ['celltype_composition', 'coordinates']
    >>> sk.service.run({"command": "models", "familly": "baseline"}).remedy
    "rename or remove it. Did you mean 'family'?"
    """
    start = perf_counter()
    name = request.command if isinstance(request, Request) else stated_command(request)
    with collected_warnings() as texts, nullcontext() if progress is None else report_to(progress):
        response = _answer(request, name)
    return response.model_copy(update={"seconds": perf_counter() - start, "warnings": texts})


def _answer(request: Request | Mapping[str, Any], name: str) -> Response:
    made: Request | None = None
    try:
        made = request if isinstance(request, Request) else make_request(request)
        name = made.command
        return commands()[name].run(made)
    except Cancelled:
        return Stopped(command=name, kept="" if made is None else made.kept())
    except StfmkitError as error:
        return Failure.of(error, command=name)
    except ImportError as error:
        missing, told, remedy = str(error).partition(" Install it with: ")
        if not told:  # what is not installed says how to install it
            raise
        return _failure(error, name, found=missing, allowed="this package installed", remedy=remedy)
    except OSError as error:
        if error.errno is None:  # a library gave up, not the system
            raise
        return _failure(
            error,
            name,
            found=f"{error.strerror}: {short(error.filename)}.",
            allowed="a place to read and write",
            remedy="check path, rights and space.",
        )


def _failure(error: Exception, command: str, *, found: str, allowed: str, remedy: str) -> Failure:
    told = Failure.of(InputError(found, allowed=allowed, remedy=remedy), command=command)
    return told.model_copy(update={"kind": type(error).__name__})


_TEXTS: ContextVar[list[str] | None] = ContextVar("stfmkit_warnings", default=None)


class _Hook:
    """Stands in `warnings.showwarning` from the first request that runs to the last one, and passes everything on.

    `warnings` belongs to the whole process: were every request to put its own hook in place and take it away again,
    two that overlap would leave the wrong one behind.
    """

    def __init__(self) -> None:
        self.lock, self.running, self.before = Lock(), 0, warnings.catch_warnings()

    def enter(self) -> None:
        with self.lock:
            self.running += 1
            if self.running > 1:
                return
            self.before = warnings.catch_warnings()
            self.before.__enter__()
            warnings.simplefilter("always", StfmkitWarning)
            show = warnings.showwarning

            def note(message: Warning | str, category: type[Warning], *where: Any, **options: Any) -> None:
                texts = _TEXTS.get()
                if texts is not None and issubclass(category, StfmkitWarning):
                    texts.append(str(message))
                show(message, category, *where, **options)

            warnings.showwarning = note

    def leave(self) -> None:
        with self.lock:
            self.running -= 1
            if not self.running:
                self.before.__exit__(None, None, None)


_HOOK = _Hook()


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """Give a list that receives the texts of our warnings in this thread; they are shown as well."""
    texts: list[str] = []
    token = _TEXTS.set(texts)
    _HOOK.enter()
    try:
        yield texts
    finally:
        _HOOK.leave()
        _TEXTS.reset(token)
