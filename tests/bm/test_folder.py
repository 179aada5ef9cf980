"""Files are whole or not there, and damage is told."""

import pandas as pd
import pytest
from stfmkit.bm._files import read_json, read_parquet, write_parquet
from stfmkit.bm._units import Output, UnitStore

from stfmkit._core.errors import InputError
from stfmkit._core.files import write_atomic

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


def output():
    return Output(rows=FRAME, observations=FRAME, seconds=1.5)


def test_units_are_found_again(tmp_path):
    store = UnitStore(tmp_path)
    assert store.load("a unit") is None
    store.save("a unit", output())
    again = store.load("a unit")
    pd.testing.assert_frame_equal(again.rows, FRAME)
    assert again.seconds == 1.5
    assert store.load("another unit") is None


@pytest.mark.parametrize("suffix", [".rows", ".observations", ".json"])
@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_damaged_units_are_not_used(tmp_path, suffix, damage):
    store = UnitStore(tmp_path)
    store.save("a unit", output())
    path = store.path("a unit").with_suffix(suffix)
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(content[:-3] if damage == "cut" else content[:10] + b"?" + content[11:])
    assert store.load("a unit") is None


def test_a_file_of_another_unit_is_not_used(tmp_path):
    store = UnitStore(tmp_path)
    store.save("a unit", output())
    for suffix in (".json", ".rows", ".observations"):
        store.path("a unit").with_suffix(suffix).rename(store.path("other").with_suffix(suffix))
    assert store.load("other") is None
