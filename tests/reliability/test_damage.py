"""No flipped bit of results or of finished work is read as something else."""

import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.reliability.conftest import BENCH, run, times

import stfmkit as sk
from stfmkit._core.errors import InputError
from stfmkit._core.store import Store
from stfmkit.bm.folder import RESULT_FILES

pytestmark = pytest.mark.slow


def flipped(content: bytes, n: int, *, seed: int):
    """Yield the content with one bit turned round, n times."""
    rng = np.random.default_rng(seed)
    for bit in rng.choice(8 * len(content), size=min(n, 8 * len(content)), replace=False).tolist():
        other = bytearray(content)
        other[bit // 8] ^= 1 << bit % 8
        yield bytes(other)


@pytest.mark.parametrize("name", RESULT_FILES)
def test_flipped_bits_of_results(whole, tmp_path, name):
    out = tmp_path / "o"
    shutil.copytree(whole, out, ignore=shutil.ignore_patterns("finished"))
    content = (out / name).read_bytes()
    for damaged in flipped(content, times(full=1000, small=40), seed=0):
        (out / name).write_bytes(damaged)
        with pytest.raises(InputError, match="damaged"):
            sk.bm.Results.load(out)
    (out / name).write_bytes(content)
    sk.bm.Results.load(out)


def test_flipped_bits_of_finished_work_are_computed_again(whole):
    store = Store(whole / "finished")
    entries = sorted((whole / "finished").glob("*.entry"))
    assert len(entries) > 10
    for seed, entry in enumerate(entries):
        content = entry.read_bytes()
        identity = zipfile.ZipFile(io.BytesIO(content[32:])).read("identity").decode()
        assert store.get(identity) is not None
        try:
            for damaged in flipped(content, times(full=200, small=8), seed=seed):
                entry.write_bytes(damaged)
                assert store.get(identity) is None
        finally:
            entry.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def a_folder(path: Path) -> None:
    path.unlink()
    (path / "deep").mkdir(parents=True)


def of_another(path: Path) -> None:
    path.write_bytes(next(p for p in sorted(path.parent.glob("*.entry")) if p != path).read_bytes())


@pytest.mark.parametrize("damage", [cut, emptied, a_folder, of_another, Path.unlink])
def test_damaged_work_is_done_again_to_the_same_bits(cells, whole, check_same, tmp_path, damage):
    out = tmp_path / "o"
    (out).mkdir()
    shutil.copytree(whole / "finished", out / "finished")
    for entry in sorted((out / "finished").glob("*.entry"))[::5]:
        damage(entry)
    done = run("bench", cells, *BENCH, "--out", out)
    assert done.returncode == 0, done.stderr
    check_same(out)
