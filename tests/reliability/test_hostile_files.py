"""A file of 100 kB from a stranger takes its reader neither a GiB nor ten seconds, and is refused in a few lines."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
HERE = Path(__file__).parents[2]
HARMLESS = {"start", "header of many tensors"}


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited by the system")
def test_small_files_that_ask_for_more_than_there_is():
    where = os.pathsep.join([str(HERE), str(HERE / "src"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-W", "ignore", "-m", "tests.reliability.hostile_files"]
    done = subprocess.run(
        command, cwd=HERE, env=os.environ | {"PYTHONPATH": where}, capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, f"signal {-done.returncode} in {lines[-1]}\n{done.stderr[-2000:]}"
    found = {}
    for line in lines:
        name, _, rest = line.partition(": ")
        numbers, _, outcome = rest.partition(": ")
        seconds, peak = map(float, numbers.split(", "))
        found[name] = (seconds, peak, outcome)
    start = found["start"][1]
    assert {name: seconds for name, (seconds, _, _) in found.items() if seconds > 10} == {}
    assert {name: peak for name, (_, peak, _) in found.items() if peak - start > 1024} == {}
    refused = {name for name, (_, _, outcome) in found.items() if outcome.startswith("refused:")}
    assert set(found) - refused == HARMLESS, {name: found[name] for name in set(found) - refused}
    assert len(refused) >= 35
