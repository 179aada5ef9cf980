"""Pairs of ligands and receptors: from a frame, and from a resource package that stands in for the real one."""

import sys

import numpy as np
import pandas as pd
import pytest

from stfmkit._errors import InputError, InputTypeError, MissingKeyError
from stfmkit.tl._ligand_receptor import read_pairs

GENES = pd.Index(["A", "B", "C", "D_1"])
PACKAGE = """
import pandas as pd
def show_resources():
    return ["consensus", "other"]
def select_resource(name):
    assert name == "consensus"
    return pd.DataFrame({"ligand": ["A", "A", "X", "A"], "receptor": ["B", "B", "B", "B_C"]}, index=[5, 6, 9, 11])
"""


@pytest.fixture
def resource(tmp_path, monkeypatch):
    folder = tmp_path / "liana"
    folder.mkdir()
    (folder / "rs.py").write_text(PACKAGE)
    (folder / "__init__.py").write_text("from liana import rs")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("liana", "liana.rs"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield
    for name in ("liana", "liana.rs"):
        sys.modules.pop(name, None)


def test_measured_pairs_are_kept_in_their_order():
    frame = pd.DataFrame({"ligand": ["C", "A", "Z", "C", "D_1"], "receptor": ["A", "D_1", "A", "A", "B_C"], "more": 1})
    pairs = read_pairs(frame, genes=GENES)
    assert pairs.names.to_numpy().tolist() == [["C", "A"], ["A", "D_1"]]
    assert pairs.positions.tolist() == [[2, 0], [0, 3]]
    assert (pairs.n_given, pairs.n_complexes) == (4, 1)
    assert frame.shape == (5, 3)


def test_a_resource_is_read_by_name(resource):
    pairs = read_pairs("consensus", genes=GENES)
    assert pairs.positions.tolist() == [[0, 1]]
    assert (pairs.n_given, pairs.n_complexes) == (3, 1)
    with pytest.raises(MissingKeyError, match=r"consensis(?s:.)*Did you mean 'consensus'"):
        read_pairs("consensis", genes=GENES)


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("stfmkit._optional.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"stfmkit\[liana\]"):
        read_pairs("consensus", genes=GENES)


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        (pd.DataFrame({"ligand": ["a"], "receptor": ["b"]}), InputError, "such as 'a', 'b', and none of them"),
        (pd.DataFrame({"ligand": ["A", None], "receptor": ["B", "C"]}), InputError, "1 of them without a name"),
        (pd.DataFrame({"ligand": [], "receptor": []}), InputError, "0 pairs"),
        (pd.DataFrame({"source": ["A"], "receptor": ["B"]}), MissingKeyError, "without the columns 'ligand'"),
        ([("A", "B")], InputTypeError, "lr_pairs of type list"),
        (np.array([["A", "B"]]), InputTypeError, "lr_pairs of type ndarray"),
    ],
)
def test_unusable_pairs_are_refused(source, error, words):
    with pytest.raises(error, match=words):
        read_pairs(source, genes=GENES)
