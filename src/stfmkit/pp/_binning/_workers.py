"""Read the parts of tables with several threads."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from threading import Event, Lock
from typing import Any, Protocol

from stfmkit._core.progress import progress
from stfmkit.pp._binning._settings import BinSettings

_MOST_THREADS = 4
"""Each thread holds a chunk and a table of counts."""


class Worker(Protocol):
    """Reads parts one after the other, and keeps one result for all of them."""

    result: Any

    def read(self, source: Any, part: int) -> Iterator[None]:
        """Read one part of a source, giving control back after every chunk."""
        ...


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_parts(
    sources: Sequence[Any], make: Callable[[BinSettings], Worker], settings: BinSettings, *, label: str
) -> list[Any]:
    """Read every part of every source once, and return the results of the workers."""
    jobs = [(source, part) for source in sources for part in range(len(source.table.parts))]
    n_workers = max(1, min(_MOST_THREADS, _cores(), len(jobs)))
    pending, lock, stop = iter(jobs), Lock(), Event()
    done: SimpleQueue[str] = SimpleQueue()

    def work(worker: Worker) -> Any:
        try:
            while not stop.is_set():
                with lock:
                    job = next(pending, None)
                if job is None:
                    break
                for _ in worker.read(*job):
                    if stop.is_set():
                        break
                done.put("part")
        finally:
            done.put("worker")
        return worker.result

    def finished() -> Iterator[None]:
        left = n_workers
        while left:
            if done.get() == "part":
                yield
            else:
                left -= 1

    workers = [make(settings) for _ in range(n_workers)]
    if n_workers == 1:
        worker = workers[0]
        for source, part in progress(jobs, label=label, total=len(jobs), unit="part", show=settings.show_progress):
            for _ in worker.read(source, part):
                pass
        return [worker.result]
    with ThreadPoolExecutor(n_workers, thread_name_prefix="stfmkit-bin") as pool:
        futures = [pool.submit(work, worker) for worker in workers]
        try:
            for _ in progress(finished(), label=label, total=len(jobs), unit="part", show=settings.show_progress):
                if any(f.done() and f.exception() is not None for f in futures):
                    stop.set()
        finally:
            stop.set()
        return [future.result() for future in futures]
