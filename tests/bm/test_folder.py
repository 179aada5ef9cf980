"""Files are whole or not there, and damage is told."""

import pandas as pd
import pytest

from stfmkit._core.errors import InputError
from stfmkit._core.files import write_atomic
from stfmkit.bm.folder import read_json, read_parquet, write_parquet

FRAME = pd.DataFrame({"a": [1, 2], "b": ["x", "µ"]})
COLUMNS = {"a": "int64", "b": "str"}


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "f"
    write_atomic(target, b"old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk")))
    with pytest.raises(OSError, match="disk"):
        write_atomic(target, b"new")
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_parquet_round_trip_and_damage(tmp_path):
    path = tmp_path / "t.parquet"
    write_parquet(FRAME, path)
    pd.testing.assert_frame_equal(read_parquet(path, columns=COLUMNS), FRAME.astype(COLUMNS))
    with pytest.raises(InputError, match="columns"):
        read_parquet(path, columns={"a": "int64"})
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="damaged"):
        read_parquet(path, columns=COLUMNS)
    with pytest.raises(InputError, match="no file"):
        read_parquet(tmp_path / "none", columns=COLUMNS)


def test_json_damage(tmp_path):
    path = tmp_path / "j.json"
    for content in (b"{", b"[1]", b"\xff"):
        path.write_bytes(content)
        with pytest.raises(InputError, match="damaged"):
            read_json(path)
    with pytest.raises(InputError, match="no file"):
        read_json(tmp_path / "none")
