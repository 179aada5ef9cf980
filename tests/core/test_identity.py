"""Values told apart by content."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from stfmkit._core.identity import exact, with_content


@dataclass
class Options:
    n: int
    table: pd.DataFrame


def test_content_decides() -> None:
    table = pd.DataFrame({"a": range(1000)})
    other = table.copy()
    other.loc[500, "a"] = -1
    long = np.zeros(10_000)
    changed = long.copy()
    changed[5000] = 1
    for one, two in [
        (table, other),
        (long, changed),
        (Options(1, table), Options(1, other)),
        ([1, long], [1, changed]),
        ({"x": table}, {"x": other}),
        (pd.Index(["a", "b"]), pd.Index(["b", "a"])),
        (1, 1.5),
        ([1], (1,)),
    ]:
        assert exact(one) != exact(two)
        assert exact(one) == exact(one)


def test_the_order_of_names_makes_no_difference() -> None:
    assert exact({"a": 1, "b": 2}) == exact({"b": 2, "a": 1})


def test_paths_are_their_content_and_other_text_is_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "d" / "below").mkdir(parents=True)
    (tmp_path / "d" / "below" / "f").write_bytes(b"1")
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "g").write_bytes(b"2")
    (tmp_path / "d" / "linked").symlink_to(tmp_path / "far")
    (tmp_path / "far" / "loop").symlink_to(tmp_path / "d")
    for text in ("", "/", ".", "..", "~", "cpu", "~nobody-of-this-name/x", "a\0b", "x" * 5000):
        assert with_content(text) == text
    spellings = ("d", "./d", "~/d", str(tmp_path / "d"), Path("d"))
    before = {exact(with_content({"options": [text]})) for text in spellings}
    assert len(before) == 1
    assert "linked/g" in next(iter(before))
    for path, content in (("d/below/f", b"3"), ("far/g", b"3"), ("d/new", b"")):
        (tmp_path / path).write_bytes(content)
        after = exact(with_content({"options": ["d"]}))
        assert after not in before
        before.add(after)
    assert with_content("d/new")["file"] == "new"
    assert with_content(3.5) == 3.5
