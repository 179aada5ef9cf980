"""Files that belong together: all old or all new after a kill at any step, and every flipped bit is noticed."""

import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stfmkit._core.errors import InputError
from stfmkit._core.manifest import READY, SUMS, DamagedError, is_written, read_files, replace_files

OLD = {"a.json": b"old facts", "b.parquet": b"old table" * 9}
NEW = {"a.json": b"new facts!", "b.parquet": b"new table" * 7}

KILLED = """
import os, sys
from pathlib import Path
from stfmkit._core.manifest import replace_files
left = int(sys.argv[2])
def hook(event, arguments):
    global left
    if event in ("open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "shutil.rmtree"):
        left -= 1
        if left < 0:
            os._exit(9)
sys.addaudithook(hook)
replace_files(Path(sys.argv[1]), {"a.json": b"new facts!", "b.parquet": b"new table" * 7})
"""


def killed_at(folder, step):
    """Replace files in a process that is killed before its step number `step`; tell whether it was."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder), str(step)], check=False)
    assert done.returncode in (0, 9)
    return done.returncode == 9


def test_a_kill_at_any_step_leaves_the_old_or_the_new_and_the_next_run_goes_on(tmp_path):
    seen, step, going = [], 0, True
    while going:
        folder = tmp_path / str(step)
        replace_files(folder, OLD)
        going = killed_at(folder, step)
        found = read_files(folder)
        assert found in (OLD, NEW)
        seen.append(found == NEW)
        replace_files(folder, NEW)
        assert read_files(folder) == NEW
        assert sorted(path.name for path in folder.iterdir()) == sorted([*NEW, SUMS])
        step += 1
    assert step > 8
    assert seen == sorted(seen)  # old until one moment, new from then on
    assert {False, True} == set(seen)


def test_a_kill_of_the_first_writing_leaves_nothing_or_all(tmp_path):
    step, going = 0, True
    while going:
        folder = tmp_path / str(step)
        going = killed_at(folder, step)
        assert not is_written(folder) or read_files(folder) == NEW
        step += 1


def test_a_full_disk_leaves_the_old(tmp_path, monkeypatch):
    replace_files(tmp_path, OLD)
    writes = []

    def full(path, content):
        writes.append(path)
        if len(writes) == 3:
            raise OSError(28, "No space left on device")
        path.write_bytes(content)

    monkeypatch.setattr("stfmkit._core.manifest.write_through", full)
    with pytest.raises(InputError, match="No space"):
        replace_files(tmp_path, NEW)
    assert read_files(tmp_path) == OLD
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*OLD, SUMS])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("flipped")


@given(data=st.data())
def test_every_flipped_bit_is_noticed(folder, data):
    replace_files(folder, OLD)
    path = folder / data.draw(st.sampled_from([*OLD, SUMS]))
    content = bytearray(path.read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    with pytest.raises(DamagedError):
        read_files(folder)


def test_every_bit_of_the_sums_counts(tmp_path):
    """A flipped end of a line still ends it where a reader is lenient."""
    replace_files(tmp_path, OLD)
    content = (tmp_path / SUMS).read_bytes()
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        (tmp_path / SUMS).write_bytes(damaged)
        with pytest.raises(DamagedError):
            read_files(tmp_path)


@pytest.mark.parametrize("name", [*OLD, SUMS])
def test_a_missing_file_is_noticed(tmp_path, name):
    replace_files(tmp_path, OLD)
    (tmp_path / name).unlink()
    with pytest.raises(DamagedError, match=name):
        read_files(tmp_path)


@pytest.mark.parametrize("sums", [b"", b"\n", b"\xff\xfe", b"0  ../../etc/passwd\n", b"0 a\n"])
def test_sums_of_others_are_read_nowhere_else(tmp_path, sums):
    replace_files(tmp_path, OLD)
    (tmp_path / SUMS).write_bytes(sums)
    with pytest.raises(DamagedError, match=SUMS):
        read_files(tmp_path)


def test_readers_meet_no_mixture(tmp_path):
    versions = [{"a.json": str(i).encode() * 99, "b.parquet": str(i).encode() * 9999} for i in range(40)]
    replace_files(tmp_path, versions[0])
    stop, found = threading.Event(), []

    def read():
        while not stop.is_set():
            found.append(read_files(tmp_path) in versions)

    reader = threading.Thread(target=read)
    reader.start()
    for version in versions:
        replace_files(tmp_path, version)
    stop.set()
    reader.join()
    assert found
    assert all(found)


def test_files_that_are_ready_are_read_where_nobody_may_write(tmp_path):
    replace_files(tmp_path, OLD)
    (tmp_path / READY).mkdir()
    for name in [*OLD, SUMS]:
        (tmp_path / name).rename(tmp_path / READY / name)
    before = sorted(tmp_path.rglob("*"))
    assert is_written(tmp_path)
    assert read_files(tmp_path) == OLD
    assert sorted(tmp_path.rglob("*")) == before
