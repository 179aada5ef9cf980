"""A small comparison that is attacked: killed, damaged, left without space."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import stfmkit as sk

FULL = os.environ.get("STFMKIT_FULL_ATTACK") == "1"
"""Attack as often as the page on files and crashes says; a few times otherwise, with the same seeds."""

BENCH = (
    "--patient-key", "patient", "--sample-key", "sample", "--label-key", "niche", "--n-splits", "4",
    "--n-target-genes", "10", "--contenders", "library_size,coordinates,random", "--tasks", "domains,niche_probe",
)  # fmt: skip

KILLED = """
import os, signal, sys
folder, left = sys.argv[1], int(sys.argv[2])
def hook(event, arguments):
    global left
    if event not in ("open", "os.rename", "os.mkdir", "os.rmdir", "os.remove"):
        return
    if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
        return
    if any(isinstance(a, (str, os.PathLike)) and os.fspath(a).startswith(folder) for a in arguments):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
sys.argv = ["stfmkit", *sys.argv[3:]]
from stfmkit.cli import main
try:
    main()
finally:
    sys.stderr.write(f"\\nwrites: {{int(10**6) - left}}\\n")
""".replace("{{int(10**6) - left}}", "{10**6 - left}")
"""Runs the command line, and kills it before its n-th change of a folder; with a million it counts them."""


LIMITED = """
import resource, sys
size = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
sys.argv = ["stfmkit", *sys.argv[2:]]
from stfmkit.cli import main
main()
"""
"""Runs the command line where no file may grow beyond a size, as a quota does."""


def times(*, full: int, small: int) -> int:
    """Return how often to attack."""
    return full if FULL else small


def run(
    *arguments: object, n_jobs: int = 1, killed_at: tuple[Path, int] | None = None, largest_file: int | None = None
):
    """Run the command line in a process of its own and return it when it has ended."""
    own = ["-m", "stfmkit"] if killed_at is None else ["-c", KILLED, str(killed_at[0]), str(killed_at[1])]
    own = own if largest_file is None else ["-c", LIMITED, str(largest_file)]
    jobs = ("--n-jobs", n_jobs) if arguments[0] == "bench" else ()
    command = [sys.executable, *own, *map(str, (*arguments, *jobs))]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


@pytest.fixture(scope="session")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small table of counts as a file."""
    adata = sk.datasets.synthetic_cohort(4, size=250.0, n_genes=40, as_="anndata", show_progress=False, rng=0)
    path = tmp_path_factory.mktemp("attacked") / "cells.h5ad"
    adata.obs = adata.obs[["patient", "sample", "niche"]]
    adata.write_h5ad(path)
    return path


@pytest.fixture(scope="session")
def whole(cells: Path) -> Path:
    """The folder of a comparison that nobody disturbed."""
    out = cells.parent / "whole"
    done = run("bench", cells, *BENCH, "--out", out)
    assert done.returncode == 0, done.stderr
    return out


def bits(out: Path) -> tuple[pd.DataFrame, pd.DataFrame, object]:
    """Return what a comparison must give again, bit for bit: all but times."""
    found = sk.bm.Results.load(out)
    meta = {name: value for name, value in found.meta.items() if name not in ("created", "seconds_total")}
    return found.table.drop(columns="seconds"), found.observations, (found.protocol, meta, found.findings)


@pytest.fixture(scope="session")
def check_same(whole: Path) -> Callable[[Path], None]:
    """Compare a folder with that of the comparison that nobody disturbed, and see that nothing is left over."""
    expected = bits(whole)

    def check(out: Path) -> None:
        table, observations, facts = bits(out)
        pd.testing.assert_frame_equal(table, expected[0], check_exact=True)
        pd.testing.assert_frame_equal(observations, expected[1], check_exact=True)
        assert facts == expected[2]
        tops = [[name for name in names(folder) if "/" not in name] for folder in (out, whole)]
        assert tops[0] == tops[1]
        assert not [name for name in names(out) if ".stfmkit" in name]

    return check


def names(out: Path) -> list[str]:
    """Return the names of all files, but for the lock."""
    return sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.name != ".lock")
