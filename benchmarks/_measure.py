"""Time and memory of two ways to one result, compared first."""

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np


def seconds(function: Callable[[], Any]) -> float:
    """Return how long one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def peak(function: Callable[[], Any]) -> float:
    """Return how many MB one call allocates at most."""
    tracemalloc.start()
    function()
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found / 2**20


def row(
    task: str, ours: Callable[[], Any], peer: Callable[[], Any], repeats: int, *, tolerance: float
) -> dict[str, Any]:
    """Compare the results, then return seconds, ratio and memory of both."""
    difference = float(np.abs(np.asarray(ours()) - np.asarray(peer())).max())
    if not difference <= tolerance:
        raise SystemExit(f"{task}: the results differ by {difference:.3g}")
    times = np.array([[seconds(ours), seconds(peer)] for _ in range(repeats)])
    one, two = np.median(times, axis=0)
    return {
        "task": task,
        "stfmkit_s": one,
        "peer_s": two,
        "ratio": two / one,
        "stfmkit_MB": peak(ours),
        "peer_MB": peak(peer),
        "difference": difference,
    }
