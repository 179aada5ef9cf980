"""What a path holds is told from names alone."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stfmkit._core.errors import InputError
from stfmkit.io._kinds import FOLDERS, KINDS, guess_kind, missing_marks

LayOut = Callable[[Path, str], Path]


@pytest.mark.parametrize("kind", FOLDERS)
def test_every_platform_folder_is_recognised(tmp_path: Path, lay_out: LayOut, kind: str) -> None:
    assert guess_kind(lay_out(tmp_path, kind)) == kind
    assert missing_marks(tmp_path, kind) == []


@pytest.mark.parametrize("kind", FOLDERS)
def test_a_folder_without_its_mark_is_refused_and_its_content_named(tmp_path: Path, lay_out: LayOut, kind: str) -> None:
    lay_out(tmp_path, kind)
    mark = FOLDERS[kind].marks[0]
    for file in [p for p in tmp_path.rglob("*") if p.name.removesuffix(".gz").endswith(mark)]:
        file.unlink()
    assert mark in missing_marks(tmp_path, kind)
    left = min(p.name for p in tmp_path.iterdir())
    with pytest.raises(InputError, match=left):
        guess_kind(tmp_path)


def test_a_visium_hd_folder_is_not_taken_for_visium(tmp_path: Path, lay_out: LayOut) -> None:
    lay_out(lay_out(tmp_path, "visium"), "visium_hd")
    assert guess_kind(tmp_path) == "visium_hd"


def test_every_platform_is_a_kind() -> None:
    assert set(FOLDERS) < set(KINDS)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("zarr.json", {"attributes": {"encoding-type": "anndata"}}, "anndata.zarr"),
        ("zarr.json", {"attributes": {"spatialdata_attrs": {"version": "0.2"}}}, "spatialdata.zarr"),
        (".zattrs", {"encoding-type": "anndata"}, "anndata.zarr"),
        (".zattrs", {"spatialdata_attrs": {}}, "spatialdata.zarr"),
    ],
)
def test_zarr_stores_of_both_formats(tmp_path: Path, name: str, content: dict[str, object], kind: str) -> None:
    (tmp_path / name).write_text(json.dumps(content))
    assert guess_kind(tmp_path) == kind


def test_a_zarr_store_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "zarr.json").write_text(json.dumps({"attributes": {}}))
    with pytest.raises(InputError, match=r"zarr\.json"):
        guess_kind(tmp_path)


def test_damaged_zarr_attributes(tmp_path: Path) -> None:
    (tmp_path / "zarr.json").write_text('{"attributes": {')
    with pytest.raises(InputError, match="not valid JSON"):
        guess_kind(tmp_path)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="folder with nothing"):
        guess_kind(tmp_path)


@pytest.mark.parametrize(
    ("name", "hint"), [("m.parquet", r"sk\.pp\.bin"), ("m.csv", r"sk\.pp\.bin"), ("m.rds", "kind=")]
)
def test_files_of_other_kinds_get_a_remedy_that_fits(tmp_path: Path, name: str, hint: str) -> None:
    file = tmp_path / name
    file.write_bytes(b"12345")
    with pytest.raises(InputError, match=hint) as caught:
        guess_kind(file)
    assert "5 bytes" in caught.value.found
