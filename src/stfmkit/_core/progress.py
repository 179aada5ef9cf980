"""Progress of long work: a bar in terminals and notebooks, or events for the caller who asked for them."""

import sys
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from threading import Lock
from time import perf_counter
from typing import Protocol, TypeVar

from stfmkit._core.errors import StfmkitWarning

T = TypeVar("T")

_DELAY = 2.0
"""Work that takes fewer seconds shows no bar."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """How far one stretch of work has come.

    Every stretch begins with an event whose `done` is 0 and never goes back. Unless it fails or is stopped, it ends
    with an event whose `done` equals its `total`.

    Attributes
    ----------
    label
        What is being done.
    unit
        What is counted, such as "part" or "obs"; "step" for a step of a job, which is only begun and ended.
    done
        Units that are finished.
    total
        Units in all; None where they are not known before the end.
    seconds
        Time since the stretch began.
    remaining
        Seconds that the rest will take at the same speed; None before the first unit or without a total.
    """

    label: str
    unit: str
    done: int
    total: int | None
    seconds: float
    remaining: float | None


class Progress(Protocol):
    """Whatever is called with every `Event`, in the thread that does the work.

    It stops the work between two units by raising `Cancelled`. Any other exception stops nothing: the work goes on,
    a `StfmkitWarning` says once that the callback failed, and it is called again with the next event.
    """

    def __call__(self, event: Event, /) -> object:
        """Receive one event."""
        ...


class Cancelled(BaseException):
    """Raised by a callback of progress to stop the work between two units.

    It is no `Exception`, so that nothing that handles failures takes it for one. Files that were finished stay, and
    nothing half-written is left, as after Ctrl-C.
    """


class _Reporter:
    """A callback, and whether it was said that it fails."""

    def __init__(self, callback: Progress) -> None:
        self.callback, self.warned = callback, False

    def __call__(self, event: Event) -> None:
        try:
            self.callback(event)
        except Exception as error:  # noqa: BLE001  a foreign callback; `Cancelled` passes
            if not self.warned:
                self.warned = True
                warnings.warn(
                    f"the progress callback raised {type(error).__name__}: {error}. The work goes on.",
                    StfmkitWarning,
                    stacklevel=2,
                )


_REPORTER: ContextVar[_Reporter | None] = ContextVar("stfmkit_progress", default=None)


@contextmanager
def report_to(progress: Progress) -> Iterator[None]:
    """Send the progress of the work inside to a callback, and show no bars.

    Holds for the current context (thread or asyncio task), and for threads that are started in a copy of it with
    `contextvars.copy_context`. Inside another `report_to`, the inner one counts.

    Parameters
    ----------
    progress
        Receives every `Event`; see `Progress` for what it may raise.

    Examples
    --------
    >>> import stfmkit as sk
    >>> seen = []
    >>> with sk.service.report_to(lambda event: seen.append((event.done, event.total))):
    ...     cells = sk.datasets.synthetic_cohort(n_patients=2, size=200, as_="anndata")
    >>> seen
    [(0, 2), (1, 2), (2, 2)]
    """
    token = _REPORTER.set(_Reporter(progress))
    try:
        yield
    finally:
        _REPORTER.reset(token)


def progress(
    items: Iterable[T], *, label: str, total: int | None = None, unit: str = "it", show: bool = True
) -> Iterator[T]:
    """Yield from `items`, and tell after each one that it is done.

    Where `report_to` is in force, its callback receives events. Elsewhere a bar appears on standard error, or in the
    notebook, once two seconds have passed. Where `show` is False, neither happens. A generator that is not read to its
    end, because the work failed or was stopped, is closed.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    try:
        with counter(label=label, total=total, unit=unit, show=show) as advance:
            for item in items:
                yield item
                advance(1)
    finally:
        if isinstance(items, Generator):
            items.close()


@contextmanager
def counter(*, label: str, total: int | None, unit: str, show: bool = True) -> Iterator[Callable[[int], object]]:
    """Give a function that says how many more units are done; any thread may call it.

    Who hears of it is settled where the counter is opened; see `progress`.
    """
    reporter = _REPORTER.get()
    if not show:
        yield _ignore
    elif reporter is None:
        from tqdm.auto import tqdm

        with tqdm(desc=label, total=total, unit=unit, delay=_DELAY, leave=False) as bar:
            yield bar.update
    else:
        count = _Count(reporter, label=label, unit=unit, total=total)
        count.add(0)
        yield count.add
        count.end()


@contextmanager
def step(label: str, *, show: bool = True) -> Iterator[None]:
    """Say that a step of a job begins, and that it has ended: two events, or one line on standard error."""
    reporter = _REPORTER.get()
    if show and reporter is None:
        sys.stderr.write(f"{label} …\n")
    with counter(label=label, total=1, unit="step", show=show and reporter is not None) as advance:
        yield
        advance(1)


class _Count:
    """Counts one stretch of work and reports it; the lock keeps the events of several threads in order."""

    def __init__(self, reporter: _Reporter, *, label: str, unit: str, total: int | None) -> None:
        self.reporter, self.label, self.unit, self.total = reporter, label, unit, total
        self.done, self.start, self.lock = 0, perf_counter(), Lock()

    def add(self, n: int) -> None:
        with self.lock:
            self.done += n
            if self.total is not None and self.done > self.total:  # more came than was said
                self.total = self.done
            self._report()

    def end(self) -> None:
        """Report the end, unless the last event did."""
        with self.lock:
            if self.done != self.total:
                self.total = self.done
                self._report()

    def _report(self) -> None:
        seconds = perf_counter() - self.start
        left = None if self.total is None or not self.done else seconds * (self.total - self.done) / self.done
        self.reporter(
            Event(label=self.label, unit=self.unit, done=self.done, total=self.total, seconds=seconds, remaining=left)
        )


def _ignore(_n: int) -> None:
    """Count nothing."""
