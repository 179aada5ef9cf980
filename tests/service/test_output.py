"""Nothing that exists is lost, and nothing half-written is left."""

import errno
import os
import shutil
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from stfmkit._core.errors import InputError
from stfmkit.service._output import check_new_file, write_all, write_table, write_with


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

    with pytest.raises(InputError, match="no space to write"):
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


def test_a_table_is_what_anndata_writes(toy: AnnData, tmp_path: Path) -> None:
    toy.layers["dense"] = toy.X.toarray()
    toy.obsm["shares"] = pd.DataFrame({"a": 0.5, "b": "x"}, index=toy.obs_names)
    toy.obsp["graph"] = sparse.random(toy.n_obs, toy.n_obs, 0.02, format="csr", rng=0)
    toy.uns["nested"] = {"text": "µ", "list": np.array(["a", "b"], dtype=object), "number": 3}
    toy.raw = toy.copy()
    toy.write_h5ad(tmp_path / "theirs.h5ad")
    write_with(tmp_path / "ours.h5ad", write_table(toy))
    assert ad.read_h5ad(tmp_path / "ours.h5ad", backed="r").shape == toy.shape
    assert in_file(tmp_path / "ours.h5ad") == in_file(tmp_path / "theirs.h5ad")


def in_file(path: Path) -> dict[str, object]:
    """Return all that an HDF5 file holds, by name."""
    found: dict[str, object] = {}

    def look(name: str, held: h5py.Group | h5py.Dataset) -> None:
        found[name] = np.asarray(held[()]).tolist() if isinstance(held, h5py.Dataset) else "group"
        found[f"{name} attributes"] = {key: np.asarray(value).tolist() for key, value in held.attrs.items()}

    with h5py.File(path) as file:
        look("/", file)
        file.visititems(look)
    return found


def test_a_table_that_lies_in_a_file_is_copied(toy: AnnData, tmp_path: Path) -> None:
    toy.write_h5ad(tmp_path / "a.h5ad")
    backed = ad.read_h5ad(tmp_path / "a.h5ad", backed="r")
    backed.obsm["X_new"] = np.ones((toy.n_obs, 2))
    write_with(tmp_path / "b.h5ad", write_table(backed))
    found = ad.read_h5ad(tmp_path / "b.h5ad")
    np.testing.assert_array_equal(found.X.toarray(), toy.X.toarray())
    np.testing.assert_array_equal(found.obsm["X_new"], 1)


def test_no_write_that_fails_reaches_hdf5(toy: AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors inside HDF5 end in a crash when it closes the file."""

    def full(path: Path, content: bytes) -> None:
        path.write_bytes(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("stfmkit.service._output.write_through", full)
    with pytest.raises(InputError, match="no space to write"):
        write_with(tmp_path / "a.h5ad", write_table(toy))
    assert not list(tmp_path.iterdir())


def test_what_lies_in_a_file_counts_as_large(toy: AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.write_h5ad(tmp_path / "a.h5ad")
    backed = ad.read_h5ad(tmp_path / "a.h5ad", backed="r")
    monkeypatch.setattr("stfmkit.service._output._IN_MEMORY", backed.__sizeof__() + 1)
    monkeypatch.setattr("stfmkit.service._output.write_through", None)  # not called
    write_with(tmp_path / "b.h5ad", write_table(backed))
    assert ad.read_h5ad(tmp_path / "b.h5ad").shape == toy.shape


def test_a_large_table_needs_its_space(toy: AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stfmkit.service._output._IN_MEMORY", 0)
    write_with(tmp_path / "a.h5ad", write_table(toy))
    np.testing.assert_array_equal(ad.read_h5ad(tmp_path / "a.h5ad").X.toarray(), toy.X.toarray())
    usage = type(shutil.disk_usage("/"))(10**9, 10**9, 0)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(InputError, match="MB of space"):
        write_with(tmp_path / "b.h5ad", write_table(toy))
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5ad"]
