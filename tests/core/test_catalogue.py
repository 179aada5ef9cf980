"""One list of named entries with plug-ins."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from stfmkit._core import catalogue as module
from stfmkit._core.catalogue import Catalogue
from stfmkit.errors import InputError, MissingKeyError, StfmkitWarning


def check(entry: object) -> None:
    if not isinstance(entry, str):
        raise InputError(f"an entry of type {type(entry).__name__}.", allowed="text", remedy="pass text.")


def catalogue(*names: str) -> Catalogue[str]:
    return Catalogue(
        what="thing",
        group="stfmkit.things",
        built_in=lambda: names,
        name_of=str,
        check=check,
        facts=lambda entry: entry,
    )


def plugged(monkeypatch: pytest.MonkeyPatch, value: str) -> Catalogue[str]:
    point = EntryPoint(name="extra", value=value, group="stfmkit.things")
    monkeypatch.setattr(module, "entry_points", lambda group: [point] if group == "stfmkit.things" else [])
    return catalogue("a")


def test_names_tags_and_nearest() -> None:
    things = catalogue("scgpt.human", "pca", "uce.4", "uce.33")
    assert things.find("scgpt") == "scgpt.human"
    assert things.find("pca") == "pca"
    with pytest.raises(MissingKeyError, match="several tags"):
        things.find("uce")
    with pytest.raises(MissingKeyError, match="Did you mean 'pca'"):
        things.find("pcs")


def test_entries_are_added_and_removed() -> None:
    things = catalogue("a")
    things.add("b")
    assert list(things.entries()) == ["a", "b"]
    with pytest.raises(InputError, match="a thing named 'b' exists"):
        things.add("b")
    things.add("b", overwrite=True)
    things.remove("b")
    assert list(things.entries()) == ["a"]
    with pytest.raises(MissingKeyError):
        things.remove("b")
    with pytest.raises(InputError, match="type int"):
        things.add(3)  # type: ignore[arg-type]


def test_the_returned_entries_are_a_copy() -> None:
    things = catalogue("a")
    things.entries().clear()
    assert list(things.entries()) == ["a"]


@pytest.mark.parametrize(("value", "names"), [("string:digits", ["a", "0123456789"]), ("sys:byteorder", None)])
def test_plug_ins_are_listed(monkeypatch: pytest.MonkeyPatch, value: str, names: list[str] | None) -> None:
    things = plugged(monkeypatch, value)
    assert len(things.entries()) == 2
    assert names is None or list(things.entries()) == names


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("no_such_module:x", "ModuleNotFoundError"),
        ("string:no_such_name", "AttributeError"),
        ("math:pi", "type float"),
        ("stfmkit_broken_plugin:x", "MemoryError"),
    ],
)
def test_a_broken_plug_in_is_a_warning_that_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str, problem: str
) -> None:
    (tmp_path / "stfmkit_broken_plugin.py").write_text("raise MemoryError")
    monkeypatch.syspath_prepend(tmp_path)
    things = plugged(monkeypatch, value)
    with pytest.warns(StfmkitWarning, match=f"'extra'.*{problem}"):
        assert list(things.entries()) == ["a"]


def test_a_plug_in_takes_no_name_that_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint(name="extra", value="string:digits", group="stfmkit.things")
    monkeypatch.setattr(module, "entry_points", lambda group: [point])
    with pytest.warns(StfmkitWarning, match="a name that is taken"):
        assert list(catalogue("0123456789").entries()) == ["0123456789"]
