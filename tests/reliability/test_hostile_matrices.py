"""No public function is brought down by a sparse matrix whose parts do not fit, and none takes it for a sound one."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).parents[2]


FULL = bool(os.environ.get("STFMKIT_FULL_ATTACK"))
CALLS = {"0": 4_000} if FULL else {"0": 300}


@pytest.mark.slow
@pytest.mark.parametrize("seed", CALLS)
def test_damaged_matrices_at_every_door(seed):
    """Indices too large or negative, pointers that jump, fall or end elsewhere, and lengths that do not fit.

    What only stands in another order, in parts, or in 64 bits is answered as the sound matrix is.
    """
    command = [sys.executable, "-m", "tests.reliability.hostile_matrices", seed, "40" if FULL else "2"]
    where = os.pathsep.join([str(HERE), str(HERE / "src"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command, cwd=HERE, env=os.environ | {"PYTHONPATH": where}, capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, f"signal {-done.returncode} in {lines[-1]}\n{done.stderr[-2000:]}"
    parted = [line.partition(": ") for line in lines]
    sound = {name: said for name, _, said in parted if name.endswith(("as it is", "sound"))}
    assert [name for name, said in sound.items() if not said.startswith("answer")] == []
    damaged = {name: said for name, _, said in parted if name not in sound}
    assert {name: said for name, said in damaged.items() if said != "refused"} == {}
    assert Counter(said for said in damaged.values())["refused"] >= CALLS[seed]
