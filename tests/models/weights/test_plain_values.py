"""A pickle of plain values is read, and one that does or costs anything else is refused."""

import copyreg
import io
import itertools
import pickle
import pickletools
import struct
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stfmkit._core.errors import InputError
from stfmkit.models.weights.plain_values import read_plain
from stfmkit.models.weights.tables import read_mapping

ATOMS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text() | st.binary()
KEYS = st.text() | st.integers() | st.tuples(st.text(), st.integers())
VALUES = st.recursive(
    ATOMS | st.complex_numbers(allow_nan=False) | st.frozensets(st.integers()) | st.sets(st.text()),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(values=VALUES, protocol=st.integers(0, 5))
def test_plain_values_come_back(values, protocol):
    assert read_plain(pickle.dumps(values, protocol), what="t") == values


@pytest.mark.parametrize("protocol", range(5))
@pytest.mark.parametrize(
    "value",
    [
        *(np.dtype(kind).type(3) for kind in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "?")),
        np.str_("Gène"),
        np.bytes_(b"ab"),
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(3, dtype=">i4"),
        np.array([["A", "Bee"]]),
        np.array([b"A", b"Bee"]),
        np.array(5.0),
        np.zeros((0, 3)),
        np.array([True, False]),
    ],
    ids=lambda value: f"{value.dtype.str}{value.shape}",
)
def test_numbers_and_arrays_of_numpy_come_back(value, protocol):
    found = read_plain(pickle.dumps({"v": value}, protocol), what="t")["v"]
    assert found.dtype == value.dtype.newbyteorder("=")
    np.testing.assert_array_equal(found, value)
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again, value)


def test_dictionaries_in_order_and_optimized_pickles():
    held = OrderedDict((f"G{i}", np.float64(i)) for i in range(500))
    for protocol in range(5):
        content = pickletools.optimize(pickle.dumps(held, protocol))
        assert list(read_plain(content, what="t").items()) == list(held.items())


class Calls:
    """What a pickle of it calls."""

    def __init__(self, call: Any, *given: Any, state: Any = None) -> None:
        self.reduced = (call, given) if state is None else (call, given, state)

    def __reduce__(self) -> Any:
        return self.reduced


MULTI = np._core.multiarray
F8 = Calls(np.dtype, "f8", False, True)
HOSTILE = {
    "ndarray as a callable": Calls(np.ndarray, (), "O", b"A" * 8),
    "ndarray of numbers": Calls(np.ndarray, (2,), "f8", b"A" * 16),
    "scalar of objects": Calls(MULTI.scalar, Calls(np.dtype, "O", False, True), b"A" * 8),
    "state with an object": Calls(
        MULTI.scalar,
        Calls(np.dtype, "V8", False, True, state=(3, "|", None, ("f",), {"f": (np.dtype("O"), 0)}, 8, 1, 27)),
        b"A" * 8,
    ),
    "fields": Calls(np.dtype, "f8", False, True, state=(3, "<", None, ("f",), {"f": (F8, 0)}, 8, 1, 0)),
    "parent": Calls(np.dtype, "f8", False, True, state=(3, "<", (F8, (1,)), None, None, 8, 1, 0)),
    "order": Calls(np.dtype, "f8", False, True, state=(3, "O", None, None, None, -1, -1, 0)),
    "state of no tuple": Calls(np.dtype, "f8", False, True, state=[1]),
    "a type of fields": Calls(np.dtype, "f8,O", False, True),
    "a type of shape": Calls(np.dtype, ("f8", (2**40,)), False, True),
    "a type of nothing": Calls(np.dtype, "U0", False, True),
    "a type of 2 GB": Calls(np.dtype, "U536870911", False, True),
    "time": Calls(np.dtype, "M8", False, True),
    "long double": Calls(np.dtype, "f16", False, True),
    "too few bytes": Calls(MULTI.scalar, F8, b"A" * 7),
    "too many bytes": Calls(MULTI.scalar, F8, b"A" * 16),
    "bytes of text": Calls(MULTI.scalar, F8, "A" * 8),
    "number without a type": Calls(MULTI.scalar, "f8", b"A" * 8),
    "truth of 7": Calls(MULTI.scalar, Calls(np.dtype, "b1", False, True), b"\7"),
    "no character": Calls(MULTI.scalar, Calls(np.dtype, "U1", False, True), b"\xff" * 4),
    "no character, turned": Calls(
        MULTI.scalar, Calls(np.dtype, "U1", False, True, state=(3, ">", None, None, None, 4, 4, 8)), b"\0\x11\0\0"
    ),
    "a shape above the bytes": Calls(
        MULTI._reconstruct, np.ndarray, (0,), b"b", state=(1, (2**40,), F8, False, b"A" * 8)
    ),
    "a shape below nothing": Calls(
        MULTI._reconstruct, np.ndarray, (0,), b"b", state=(1, (-1, -1), F8, False, b"A" * 8)
    ),
    "a shape around": Calls(MULTI._reconstruct, np.ndarray, (0,), b"b", state=(1, (2**63, 2), F8, False, b"")),
    "objects in an array": Calls(
        MULTI._reconstruct, np.ndarray, (0,), b"b", state=(1, (1,), Calls(np.dtype, "O", False, True), False, [1])
    ),
    "another class of array": Calls(MULTI._reconstruct, np.matrix, (0,), b"b"),
    "a large empty array": Calls(MULTI._reconstruct, np.ndarray, (2**40,), b"b"),
    "hex": Calls(__import__("_codecs").encode, b"x" * 10, "hex"),
    "list": Calls(list, "abc"),
    "int": Calls(int, "3"),
    "set of text": Calls(set, "abc"),
    "a reconstructor": Calls(copyreg._reconstructor, object, object, None),
    "eval": Calls(eval, "1"),
    "system": Calls(__import__("os").system, "true"),
}


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_not_a_plain_value_is_refused(name, protocol, tmp_path):
    path = tmp_path / "held.pkl"
    path.write_bytes(pickle.dumps({"g": HOSTILE[name]}, protocol))
    with pytest.raises(InputError, match=r"held\.pkl \([\d,]+ bytes\) is not loaded"):
        read_mapping(path)


def built(*parts: bytes) -> bytes:
    return b"\x80\x02" + b"".join(parts) + b"."


NAME = b"cnumpy\ndtype\n"
PROGRAMS = {
    "state of a function": built(NAME, b"}U\x01xK\x01sb"),
    "attributes of a function": built(NAME, b"N}U\x0c__defaults__)s\x86b"),
    "state of numpy's array": built(b"cnumpy\nndarray\n", b"}U\x01xK\x01sb"),
    "array called as an object": built(b"(cnumpy\nndarray\no"),
    "array called as an instance": built(b"(inumpy\nndarray\n"),
    "array made anew": built(b"cnumpy\nndarray\n)\x81"),
    "array as a callable": built(b"cnumpy\nndarray\n)R"),
    "state of a dictionary": built(b"}}U\x05itemsK\x01sb"),
    "an extension": built(b"\x82\x01"),
    "a stored object": built(b"Pa\n"),
    "nothing": built(),
    "no end": b"\x80\x02}",
    "a mark alone": built(b"("),
    "below the stack": built(b"\x85"),
    "memory that is empty": built(b"h\x07"),
    "more text than there is": built(b"X\xff\xff\xff\x7fab"),
    "more bytes than there are": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"ab.",
    "a frame above the file": b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"}.",
    "a number of a million digits": built(b"L" + b"9" * 1_000_000 + b"L\n"),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_no_pickler_writes_are_refused(name, tmp_path):
    path = tmp_path / "held.pkl"
    path.write_bytes(PROGRAMS[name])
    with pytest.raises(InputError, match=r"held\.pkl"):
        read_mapping(path)


def nested(depth: int, times: int) -> bytes:
    """A tuple of tuples, each of them `times` in the next, as the key of a dictionary."""
    step = {1: b"\x85", 2: b"2\x86"}[times]
    return built(b"}", b")", step * depth, b"Ns")


GROWING = {
    "a number of the memory": ("pickle_index", b"\x80\x02}r\xff\xff\xff\x0f."),
    "a number of the memory above 2^31": ("pickle_index", b"\x80\x02}r\x00\x00\x00\x80."),
    "a number of the memory as text": ("pickle_index", b"}p99999999\n."),
    "a negative number of the memory": (None, b"}p-5\n."),
    "a tuple 100,000 deep": ("pickle_tuple", nested(100_000, 1)),
    "a tuple of 2^60": ("pickle_tuple", nested(60, 2)),
    "sets": (
        "pickle_growth",
        built(
            b"}",
            b"c__builtin__\nset\nq\x00]q\x01(",
            b"".join(b"M" + struct.pack("<H", i) for i in range(15_000)),
            b"e\x85q\x02",
            b"h\x00h\x02R" * 10_000,
            b"Ns",
        ),
    ),
    "numbers of one text": (
        "pickle_growth",
        built(
            b"}",
            b"cnumpy\ndtype\nU\x06S50000\x85Rq\x00cnumpy.core.multiarray\nscalar\nq\x01",
            b"X",
            struct.pack("<I", 50_000),
            b"a" * 50_000,
            b"q\x020c_codecs\nencode\nh\x02U\x06latin1\x86Rq\x03",
            b"h\x01h\x00h\x03\x86R" * 5_000,
            b"Ns",
        ),
    ),
    "bytes of one text": (
        "pickle_growth",
        built(
            b"}",
            b"X",
            struct.pack("<I", 50_000),
            b"a" * 50_000,
            b"q\x000c_codecs\nencode\nq\x01",
            b"h\x01h\x00\x85R" * 5_000,
            b"Ns",
        ),
    ),
}


@pytest.mark.parametrize("name", GROWING)
def test_what_grows_is_refused_by_the_name_of_its_limit(name, tmp_path):
    limit, content = GROWING[name]
    path = tmp_path / "held.pkl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"held\.pkl") as caught:
        read_mapping(path)
    if limit is not None:
        assert f"the limit '{limit}'" in str(caught.value)
        assert f"STFMKIT_MOST_{limit.upper()}" in str(caught.value)


def test_lists_may_be_deep_and_are_no_keys():
    depth = 50_000
    found = read_plain(built(b"]" * depth, b"a" * (depth - 1)), what="t")
    for _ in range(depth - 1):
        (found,) = found
    assert found == []


def test_tuples_of_a_table_may_be_long():
    pairs = {"pairs": [(f"A{i}", i) for i in range(5_000)], "flat": tuple(range(5_000))}
    assert read_plain(pickle.dumps(pairs, 2), what="t") == pairs


def test_bytes_that_are_changed_give_values_or_an_error(tmp_path):
    """Every byte of a small pickle twice, and every cut."""
    content = pickle.dumps({"a": np.float32(2), "b": np.arange(3), "c": {"x", 1.5}}, 2)
    path = tmp_path / "held.pkl"
    draw = np.random.default_rng(0)
    faults = [content[:n] for n in range(len(content))]
    for at, new in itertools.product(range(len(content)), draw.integers(0, 256, 2)):
        faults.append(content[:at] + bytes([int(new)]) + content[at + 1 :])
    for fault in faults:
        path.write_bytes(fault)
        try:
            found = read_mapping(path)
        except InputError:
            continue
        assert isinstance(found, dict)
        for value in found.values():
            repr(value)


def test_a_table_above_the_limit_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setenv("STFMKIT_MOST_TABLE_BYTES", "1e1")
    for name in ("held.pkl", "held.json"):
        (tmp_path / name).write_bytes(b"{" + b" " * 20 + b"}")
        with pytest.raises(InputError, match=r"of 22 bytes[\s\S]*at most 10 \(the limit 'table_bytes'\)"):
            read_mapping(tmp_path / name)


def test_the_scan_runs_nothing():
    """What is scanned and refused has called nothing, whatever the order."""
    ran = io.StringIO()
    content = built(b"}", b"cbuiltins\nprint\nU\x01x\x85R0", b")" + b"\x85" * 5_000, b"Ns")
    with pytest.raises(InputError, match="pickle_tuple"):
        read_plain(content, what="t")
    assert ran.getvalue() == ""
