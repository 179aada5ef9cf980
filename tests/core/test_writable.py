"""A place that cannot be written is refused before the work, with the reason."""

import os
import shutil

import pytest

from stfmkit._core.errors import InputError
from stfmkit._core.writable import check_writable


@pytest.fixture
def places(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "link").symlink_to(tmp_path / "folder", target_is_directory=True)
    return tmp_path


@pytest.mark.parametrize("name", ["new", "file", "deep/er/new", "link/new", "ü b\n*?[", "n" * 255])
def test_good_places_stay_as_they_were(places, name):
    before = sorted(places.rglob("*"))
    check_writable(places / name, role="out", kind="file", n_bytes=1000)
    assert sorted(places.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("file/new", "below the file"),
        ("file/deep/new", "below the file"),
        ("dangling", "a link to .*gone"),
        ("dangling/new", "a link to .*gone"),
        ("loop", "a link to|symbolic links"),
        ("n" * 256, "name (is )?too long"),
        ("deep/" + "n" * 300 + "/new", "name (is )?too long"),
        ("/".join(["n" * 200] * 30), "name (is )?too long"),
        ("nul\0", "null"),
        ("deep/nul\0/new", "null"),
        ("folder", "no file"),
    ],
)
def test_bad_places_are_told(places, name, reason):
    with pytest.raises(InputError, match=rf"(?is)out=.*({reason})") as told:
        check_writable(places / name, role="out", kind="file")
    assert str(told.value).count("Found:") == 1


def test_a_file_is_no_folder(places):
    check_writable(places / "folder", role="out", kind="folder")
    check_writable(places / "link", role="out", kind="folder")
    with pytest.raises(InputError, match="no folder"):
        check_writable(places / "file", role="out", kind="folder")
    os.mkfifo(places / "pipe")
    with pytest.raises(InputError, match="no file"):
        check_writable(places / "pipe", role="out", kind="file")


def test_a_folder_that_may_not_be_written(places, monkeypatch):
    def refused(self, *_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.touch", refused)
    with pytest.raises(InputError, match="Permission denied"):
        check_writable(places / "folder" / "new", role="out", kind="folder")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(places):
    (places / "folder").chmod(0o500)
    with pytest.raises(InputError, match="Permission denied"):
        check_writable(places / "folder" / "new", role="out", kind="folder")


def test_too_little_space(places, monkeypatch):
    usage = type(shutil.disk_usage("/"))(10**9, 10**9 - 5 * 10**6, 5 * 10**6)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    check_writable(places / "new", role="out", kind="file", n_bytes=3_000_000)
    with pytest.raises(InputError, match="5 MB of space for 7 MB"):
        check_writable(places / "new", role="out", kind="file", n_bytes=7_000_000)
