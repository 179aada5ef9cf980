"""A file is whole or not there, and what killed processes left is removed by the next one."""

import errno
import os
import subprocess
import sys

import pytest

from stfmkit._core.errors import InputError
from stfmkit._core.files import is_unfinished, remove_leftovers, unfinished, unfinished_folder, write_atomic


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_a_sentence(tmp_path, monkeypatch, number):
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(number, "full")))
    with pytest.raises(InputError, match="no space to write in"):
        write_atomic(tmp_path / "f", b"new")
    assert names(tmp_path) == []


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    write_atomic(tmp_path / "f", b"old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk")))
    with pytest.raises(OSError, match="disk"):
        write_atomic(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"old"
    assert names(tmp_path) == ["f"]


def test_names_as_long_as_the_system_allows(tmp_path):
    longest = "n" * os.pathconf(tmp_path, "PC_NAME_MAX")
    write_atomic(tmp_path / longest, b"whole")
    assert names(tmp_path) == [longest]


def left_by_a_process_that_was_killed(folder, *, make):
    code = (
        f"from pathlib import Path; from stfmkit._core.files import unfinished; unfinished(Path({str(folder)!r})){make}"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("make", [".write_bytes(b'half')", ".mkdir()"])
def test_leftovers_of_the_dead_are_removed_and_those_of_the_living_stay(tmp_path, make):
    left_by_a_process_that_was_killed(tmp_path, make=make)
    assert is_unfinished(names(tmp_path)[0])
    own, mine = unfinished(tmp_path), tmp_path / ".mine"
    own.touch()
    mine.touch()
    remove_leftovers(tmp_path)
    assert names(tmp_path) == sorted([own.name, ".mine"])


@pytest.mark.parametrize("name", [".stfmkit-ffffffff-1-ab", ".stfmkit-", ".stfmkit-x", ".stfmkit-a-b-c-d"])
def test_leftovers_of_others_stay_for_a_day(tmp_path, name):
    path = tmp_path / name
    path.touch()
    remove_leftovers(tmp_path)
    assert path.exists()
    os.utime(path, (0, 0))
    remove_leftovers(tmp_path)
    assert not path.exists()


def test_a_link_is_removed_and_not_what_it_points_to(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "f").touch()
    link = tmp_path / ".stfmkit-ffffffff-1-ab"
    link.symlink_to(tmp_path / "mine", target_is_directory=True)
    os.utime(link, (0, 0), follow_symlinks=False)
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["mine"]
    assert names(tmp_path / "mine") == ["f"]


def test_a_folder_for_unfinished_files_is_removed_whatever_happens(tmp_path):
    def fill():
        with unfinished_folder(tmp_path) as folder:
            (folder / "half").touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fill()
    assert names(tmp_path) == []
