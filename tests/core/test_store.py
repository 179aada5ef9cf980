"""Finished results on disk."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stfmkit._core.store import Store
from stfmkit.errors import InputError

VALUES = {
    "embedding": np.arange(6, dtype=np.float32).reshape(3, 2),
    "rows": pd.DataFrame({"metric": ["ari", "nmi"], "value": [0.5, np.nan]}),
}


def test_an_entry_comes_back_as_it_was(tmp_path: Path) -> None:
    store = Store(tmp_path / "deep" / "store")
    assert store.get("a") is None
    store.put("a", VALUES)
    found = Store(tmp_path / "deep" / "store").get("a")
    assert found is not None
    assert list(found) == list(VALUES)
    np.testing.assert_array_equal(found["embedding"], VALUES["embedding"])
    assert found["embedding"].dtype == np.float32
    pd.testing.assert_frame_equal(found["rows"], VALUES["rows"])
    assert store.get("b") is None


def test_the_same_content_is_the_same_file(tmp_path: Path) -> None:
    first, second = Store(tmp_path / "1"), Store(tmp_path / "2")
    first.put("a", VALUES)
    second.put("a", VALUES)
    assert first.path("a").read_bytes() == second.path("a").read_bytes()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_flipped_bit_is_read(tmp_path: Path, data: st.DataObject) -> None:
    store = Store(tmp_path)
    store.put("a", VALUES)
    content = bytearray(store.path("a").read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << (bit % 8)
    store.path("a").write_bytes(bytes(content))
    assert store.get("a") is None


@pytest.mark.parametrize("length", [0, 10, 32, 40, -1])
def test_a_torn_file_is_missing(tmp_path: Path, length: int) -> None:
    store = Store(tmp_path)
    store.put("a", VALUES)
    store.path("a").write_bytes(store.path("a").read_bytes()[:length])
    assert store.get("a") is None


def test_a_file_of_another_identity_is_missing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("a", VALUES)
    store.path("b").write_bytes(store.path("a").read_bytes())
    assert store.get("b") is None


def test_objects_are_not_pickled(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Object arrays"):
        Store(tmp_path).put("a", {"x": np.array([{}], dtype=object)})


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="resume="):
        Store(tmp_path / "file", role="resume")
