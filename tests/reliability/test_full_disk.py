"""Where there is no space, one sentence says so, nothing half-written stays, and the same command goes on later."""

import subprocess
from pathlib import Path

import pytest
from tests.reliability.conftest import BENCH, names, run, times

pytestmark = pytest.mark.slow


def told(done) -> None:
    """See that the end is a sentence with a remedy, and no traceback."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "space" in done.stderr
    assert "Remedy:" in done.stderr


@pytest.mark.parametrize("size", [0, 1_000, 4_000, 20_000, 60_000][:: times(full=1, small=2)])
def test_bench_goes_on_when_there_is_space(cells, whole, check_same, tmp_path, size):
    largest = max(path.stat().st_size for path in whole.rglob("*") if path.name != "report.html")
    assert largest > 60_000
    out = tmp_path / "o"
    told(run("bench", cells, *BENCH, "--out", out, largest_file=size))
    assert not [name for name in names(out) if ".stfmkit-" in name]
    assert run("bench", cells, *BENCH, "--out", out).returncode == 0
    check_same(out)


@pytest.mark.parametrize("size", [1_000, 50_000])
def test_embed_writes_all_or_nothing(cells, tmp_path, size):
    out = tmp_path / "e.h5ad"
    command = ("embed", cells, "--model", "hvg_pca", "--out", out)
    told(run(*command, largest_file=size))
    assert list(tmp_path.iterdir()) == []
    assert run(*command).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["e.h5ad"]


@pytest.fixture
def small_disk(tmp_path: Path):
    """A disk of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], check=False)
    if mounted.returncode:
        pytest.skip("only an administrator can make a small disk")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_disk_that_is_too_small(cells, small_disk, check_same):
    (small_disk / "other").write_bytes(bytes(900_000))
    out = small_disk / "o"
    told(run("bench", cells, *BENCH, "--out", out))
    told(run("embed", cells, "--model", "hvg_pca", "--out", small_disk / "e.h5ad"))
    assert sorted(path.name for path in small_disk.iterdir()) in (["other"], ["o", "other"])
