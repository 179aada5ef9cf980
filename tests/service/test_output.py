"""Nothing that exists is lost, and nothing half-written is left."""

import errno
import os
from pathlib import Path

import pytest

from stfmkit._core.errors import InputError
from stfmkit.service._output import check_new_file, write_all, write_with


def test_new_files_only(tmp_path: Path) -> None:
    check_new_file(tmp_path / "a.h5ad", suffix=".h5ad")
    with pytest.raises(InputError, match=r"a\.h5ad"):
        check_new_file(tmp_path / "a.csv", suffix=".h5ad")
    (tmp_path / "a.h5ad").touch()
    with pytest.raises(InputError, match="exists"):
        check_new_file(tmp_path / "a.h5ad", suffix=".h5ad")


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".stfmkit-ffffffff-1-ab").mkdir()
    os.utime(tmp_path / ".stfmkit-ffffffff-1-ab", (0, 0))
    write_with(tmp_path / "a", lambda path: path.write_text("whole"))
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    def full(path: Path) -> None:
        path.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(InputError, match="is full; nothing was written"):
        write_with(tmp_path / "a", full)
    assert not list(tmp_path.iterdir())


def test_names_of_any_length_are_written(tmp_path: Path) -> None:
    longest = tmp_path / ("n" * 250 + ".h5ad")
    check_new_file(longest, suffix=".h5ad")
    write_with(longest, lambda path: path.write_text("whole"))
    with pytest.raises(InputError, match="too long"):
        check_new_file(tmp_path / ("n" * 251 + ".h5ad"), suffix=".h5ad")


def test_a_link_to_nothing_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.h5ad").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match="link"):
        check_new_file(tmp_path / "a.h5ad", suffix=".h5ad")


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "a.txt"

    def half(path: Path) -> None:
        path.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_with(target, half)
    assert list(target.parent.iterdir()) == []
    write_with(target, lambda path: path.write_text("whole"))
    assert [(p.name, p.read_text()) for p in target.parent.iterdir()] == [("a.txt", "whole")]


def test_an_interrupt_leaves_none_of_several_files(tmp_path: Path) -> None:
    def stopped(path: Path) -> None:
        path.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_all({tmp_path / "a.h5ad": lambda path: path.write_text("whole"), tmp_path / "b.h5ad": stopped})
    assert not list(tmp_path.iterdir())
    write_all({tmp_path / name: lambda path: path.write_text(path.name) for name in ("a", "b")})
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"a": "a", "b": "b"}
