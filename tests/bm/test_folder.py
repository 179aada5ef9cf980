"""Results are read only as they were written, and a folder is refused only where it holds something else."""

import json
import shutil

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stfmkit._core.errors import InputError
from stfmkit._core.manifest import READY, SUMS, replace_files
from stfmkit.bm.folder import FINISHED, FORMAT, RESULT_FILES, check_output, locked, read_results, write_results

COLUMNS = {"a": "int64", "b": "str"}
FRAME = pd.DataFrame({"a": [1, 2], "b": ["x", "µ"]}).astype(COLUMNS)
FACTS = {"protocol_id": "p", "meta": {"name": "µ"}}


def write(folder, facts=FACTS):
    write_results(folder, facts, {"table.parquet": FRAME, "observations.parquet": FRAME})


def read(folder):
    return read_results(folder, {"table.parquet": COLUMNS, "observations.parquet": COLUMNS})


def test_round_trip(tmp_path):
    write(tmp_path)
    facts, tables = read(tmp_path)
    assert facts == {"format": FORMAT, **FACTS}
    for frame in tables.values():
        pd.testing.assert_frame_equal(frame, FRAME)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(RESULT_FILES)


def test_other_columns_and_no_results(tmp_path):
    write(tmp_path)
    with pytest.raises(InputError, match="columns"):
        read_results(tmp_path, {"table.parquet": {"a": "int64"}})
    with pytest.raises(InputError, match="no file"):
        read(tmp_path / "none")


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged")


@given(name=st.sampled_from(RESULT_FILES), place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_flipped_bit_is_read(damaged, name, place, bit):
    write(damaged)
    content = bytearray((damaged / name).read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    (damaged / name).write_bytes(content)
    for call in (lambda: read(damaged), lambda: check_output(damaged, "p")):
        with pytest.raises(InputError, match=r"(?s)a damaged file .*delete 'results.json'"):
            call()


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff", b"", b"[" * 100_000, b"{}", b'{"format": 99}'])
def test_facts_that_were_never_ours_are_told(tmp_path, content):
    replace_files(tmp_path, {"results.json": content, "table.parquet": b"PAR1", "observations.parquet": b""})
    with pytest.raises(InputError, match=r"damaged|format"):
        read(tmp_path)
    with pytest.raises(InputError, match=r"damaged|format"):
        check_output(tmp_path, "p")


@pytest.mark.parametrize("content", [b"PAR1", b"", b"PAR1" * 9])
def test_a_table_that_is_none(tmp_path, content):
    facts = json.dumps({"format": FORMAT, **FACTS}).encode()
    replace_files(tmp_path, {"results.json": facts, "table.parquet": content, "observations.parquet": content})
    with pytest.raises(InputError, match="damaged"):
        read(tmp_path)


def test_results_of_an_earlier_version_are_told_before_the_work(tmp_path):
    (tmp_path / "results.json").write_text('{"format": 2, "protocol_id": "p"}')
    for call in (lambda: read(tmp_path), lambda: check_output(tmp_path, "p")):
        with pytest.raises(InputError, match=rf"(?s)of format 2\..*format {FORMAT}"):
            call()


@pytest.mark.parametrize("left", [".stfmkit-0a0a0a0a-1-ff", READY, ".lock", FINISHED, *RESULT_FILES])
def test_a_folder_of_a_run_that_was_killed_is_never_refused(tmp_path, left):
    (tmp_path / FINISHED).mkdir()
    if left in (READY, FINISHED):
        (tmp_path / left).mkdir(exist_ok=True)
    elif left != "results.json" and left != SUMS:
        (tmp_path / left).touch()
    check_output(tmp_path, "p")
    with locked(tmp_path):
        write(tmp_path)
    assert read(tmp_path)[0]["protocol_id"] == "p"


def test_what_others_wrote_is_refused(tmp_path):
    write(tmp_path / "r")
    check_output(tmp_path / "r", "p")
    check_output(tmp_path / "new", "p")
    with pytest.raises(InputError, match="results of protocol p; this is protocol q"):
        check_output(tmp_path / "r", "q")
    shutil.rmtree(tmp_path / "r")
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "table.parquet").touch()
    with pytest.raises(InputError, match=r"other files: 'table.parquet'"):
        check_output(tmp_path / "r", "p")
    with pytest.raises(InputError, match="no folder"):
        check_output(tmp_path / "r" / "table.parquet", "p")
