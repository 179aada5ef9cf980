"""A comparison that was killed at any moment goes on by the same command, to the same bits."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests.reliability.conftest import BENCH, run, times

pytestmark = pytest.mark.slow

CHOSEN, RANDOM = times(full=40, small=4), times(full=100, small=2)


@pytest.fixture(scope="module")
def n_writes(cells: Path, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How often a comparison changes its folder."""
    out = tmp_path_factory.mktemp("counted") / "o"
    done = run("bench", cells, *BENCH, "--out", out, killed_at=(out, 10**6))
    assert done.returncode == 0, done.stderr
    return int(done.stderr.rpartition("writes: ")[2])


@pytest.mark.parametrize("place", range(CHOSEN))
def test_killed_before_a_change_of_the_folder(cells, check_same, n_writes, tmp_path, place):
    """Half of the places lie in the last changes, where results and report are saved."""
    last = min(24, n_writes // 2)
    early = np.linspace(0, n_writes - last, CHOSEN // 2, endpoint=False)
    step = int(np.concatenate([early, np.linspace(n_writes - last, n_writes - 1, CHOSEN - CHOSEN // 2)])[place])
    out = tmp_path / "o"
    killed = run("bench", cells, *BENCH, "--out", out, killed_at=(out, step))
    assert killed.returncode == -signal.SIGKILL
    done = run("bench", cells, *BENCH, "--out", out)
    assert done.returncode == 0, done.stderr
    check_same(out)


@pytest.mark.parametrize("number", range(RANDOM))
def test_killed_at_random(cells, check_same, tmp_path, number):
    rng = np.random.default_rng(number)
    out, n_jobs = tmp_path / "o", 1 + number % 2
    command = [sys.executable, "-m", "stfmkit", "bench", str(cells), *BENCH, "--out", str(out), "--n-jobs", str(n_jobs)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 300
    while not out.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(rng.uniform(0, 6))
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    done = run("bench", cells, *BENCH, "--out", out, n_jobs=n_jobs)
    assert done.returncode == 0, done.stderr
    check_same(out)
