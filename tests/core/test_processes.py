"""Results do not depend on the number of processes, and no worker outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from operator import mul
from pathlib import Path

import pytest

from stfmkit._core.processes import in_processes


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_results_are_those_of_the_calls(n_jobs):
    calls = [partial(mul, i, 3) for i in range(7)]
    assert list(in_processes(calls, n_jobs=n_jobs, ordered=True)) == [0, 3, 6, 9, 12, 15, 18]
    assert sorted(in_processes(calls, n_jobs=n_jobs, ordered=False)) == [0, 3, 6, 9, 12, 15, 18]


def test_calls_are_drawn_one_by_one():
    drawn = []
    calls = (drawn.append(i) or partial(mul, i, 1) for i in range(50))
    results = in_processes(calls, n_jobs=1, ordered=True)
    next(results)
    assert len(drawn) < 5
    list(results)


WORKERS = """
import os, sys, time
from functools import partial
from pathlib import Path
from stfmkit._core.processes import in_processes
def call(folder):
    Path(folder, str(os.getpid())).touch()
    time.sleep(600)
list(in_processes([partial(call, sys.argv[1])] * 2, n_jobs=2, ordered=False))
"""


def lives(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # ended, and not yet asked for


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_parent(tmp_path, sign):
    parent = subprocess.Popen([sys.executable, "-c", WORKERS, str(tmp_path)], stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    workers = [int(path.name) for path in tmp_path.iterdir()]
    assert len(workers) == 2
    assert all(map(lives, workers))
    os.kill(parent.pid, sign)
    parent.wait(timeout=30)
    end = time.monotonic() + 5
    while any(map(lives, workers)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(lives, workers))
