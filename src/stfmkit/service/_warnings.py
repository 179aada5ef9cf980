"""Collect our own warnings while a request runs, also where several run in threads of one process."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import Any

from stfmkit._core.errors import StfmkitWarning

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
