"""Tables whose arrays declare more than their file can hold are refused unread; zeros may shrink a thousandfold."""

import json

import anndata as ad
import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from stfmkit._core.errors import InputError
from stfmkit._data.declared_sizes import _width, check_h5, check_zarr

pytestmark = pytest.mark.filterwarnings("ignore:Writing zarr v2:UserWarning")


@pytest.fixture(params=[np.zeros((2_000, 50), np.float32), sparse.random(50, 20, 0.1, format="csr")])
def table(request):
    held = ad.AnnData(request.param)
    held.obs["label"] = "a"
    return held


def test_tables_are_taken(table, tmp_path):
    table.write_h5ad(tmp_path / "t.h5ad", compression="gzip")
    check_h5(tmp_path / "t.h5ad")
    table.write_zarr(tmp_path / "t.zarr")
    check_zarr(tmp_path / "t.zarr")


@pytest.mark.parametrize(
    ("shape", "limit"),
    [((2**17, 2**18), "array_bytes"), ((2**15, 2**15), "array_growth"), ((2**40, 2**40), "array_bytes")],
)
def test_an_array_in_a_group_is_found(shape, limit, tmp_path):
    path = tmp_path / "t.h5"
    with h5py.File(path, "w") as file:
        file.create_group("layers").create_dataset("c", shape=shape, dtype="f4", chunks=(1024, 1024))
    with pytest.raises(InputError, match=f"the limit '{limit}'"):
        check_h5(path)


def test_many_arrays_are_counted_together(tmp_path, monkeypatch):
    path = tmp_path / "t.h5"
    with h5py.File(path, "w") as file:
        for i in range(40):
            file.create_dataset(f"a{i}", shape=(2**12, 2**10), dtype="f8", chunks=(1024, 1024))
    with pytest.raises(InputError, match=r"whose arrays are 1,342,177,280 bytes[\s\S]*array_growth"):
        check_h5(path)
    monkeypatch.setenv("STFMKIT_MOST_ARRAY_GROWTH", "1e6")
    check_h5(path)


@pytest.mark.parametrize(
    "stated",
    [
        {"shape": [2**40], "dtype": "<f4"},
        {"shape": [2**20, 2**20], "data_type": "float32"},
        {"shape": [2**20, 2**20], "data_type": {"name": "fixed_length_utf32"}},
    ],
)
@pytest.mark.parametrize("name", [".zarray", "zarr.json"])
def test_a_store_that_declares_too_much(stated, name, tmp_path):
    (tmp_path / "X").mkdir()
    (tmp_path / "X" / name).write_text(json.dumps(stated))
    with pytest.raises(InputError, match=r"with an array 'X' of [\d,]+ bytes"):
        check_zarr(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"shape": 3}', '{"shape": ["x"]}', '{"shape": [1e400]}', "[" * 100_000])
def test_a_store_whose_description_is_none(text, tmp_path):
    (tmp_path / ".zarray").write_text(text)
    if text == "[]":
        check_zarr(tmp_path)  # no array: the reader says what is wrong
        return
    with pytest.raises(InputError, match="which describes no array"):
        check_zarr(tmp_path)


@given(st.sampled_from(["i1", "i2", "i4", "i8", "u1", "f4", "f8", "b1", "S7", "U3", "c16"]))
def test_widths_are_those_of_numpy(kind):
    dtype = np.dtype(kind)
    assert _width({"dtype": dtype.str}) == dtype.itemsize
    if dtype.kind in "iufc":
        assert _width({"data_type": dtype.name}) == dtype.itemsize
