"""Run calls in worker processes that end when the process that started them does."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import TypeVar

T = TypeVar("T")

_SECONDS = 1.0
"""Time between two looks of a worker at its parent."""


def in_processes(calls: Iterable[Callable[[], T]], *, n_jobs: int, ordered: bool) -> Iterator[T]:
    """Yield the results of calls, each made in one of `n_jobs` processes; in this one with `n_jobs=1`.

    Calls are drawn from `calls` as processes become free. Workers end within seconds of this process, also where it is
    killed and cannot tell them.

    Parameters
    ----------
    calls
        Called without arguments; they and their results are pickled.
    n_jobs
        Number of processes.
    ordered
        Yield in the order of `calls`; else whatever is ready first.
    """
    from joblib import Parallel, delayed

    order = "generator" if ordered else "generator_unordered"
    parallel = Parallel(n_jobs=n_jobs, return_as=order, pre_dispatch=n_jobs, batch_size=1)
    parent = os.getpid()
    results: Iterator[T] = parallel(delayed(_called)(call, parent) for call in calls)
    return results


def _called(call: Callable[[], T], parent: int) -> T:
    if os.getpid() != parent:
        _end_with(parent)
    return call()


@cache
def _end_with(parent: int) -> None:
    """Let this process end soon after its parent; begun once."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_SECONDS)
        os._exit(1)

    if os.getppid() == parent:
        threading.Thread(target=watch, daemon=True, name="stfmkit-parent").start()
