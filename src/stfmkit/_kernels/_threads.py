"""Kernels that release the lock, on all cores of this process, with the same bits whatever their number."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

import numpy as np

Result = TypeVar("Result")

N_SPANS = 16
"""Parts that the work is cut into: fixed, so that the order of every sum does not depend on the machine."""


def n_threads() -> int:
    """Return how many threads numba may use here; ``NUMBA_NUM_THREADS`` sets it, and joblib's workers obey."""
    from numba import config  # here, so that what only asks for neighbours does not wait for numba

    return int(config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]


def spans(n: int, *, n_spans: int = N_SPANS) -> Iterator[tuple[int, int]]:
    """Yield the limits of up to `n_spans` even parts of ``range(n)``, none of them empty."""
    edges = np.linspace(0, n, min(n_spans, n) + 1).astype(np.int64).tolist()
    yield from pairwise(edges)


def over_spans(
    function: Callable[[int, int], Result], n: int, *, n_spans: int = N_SPANS, short: bool = False
) -> list[Result]:
    """Return ``function(start, stop)`` of every part of ``range(n)``, in the order of the parts.

    The parts do not depend on the number of threads, so neither does the result. The function must release the lock
    (a kernel compiled with ``nogil=True``); threads that wait for it cost nothing else.

    Parameters
    ----------
    function
        Called with the limits of one part.
    n
        Length of the work.
    n_spans
        Most parts to cut it into.
    short
        The work takes no longer than to start threads, a millisecond or two: one thread does all parts.
    """
    parts = list(spans(n, n_spans=n_spans))
    workers = 1 if short else min(n_threads(), len(parts))
    if workers < 2:
        return [function(*part) for part in parts]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda part: function(*part), parts))
