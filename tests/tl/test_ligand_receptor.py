"""Pairs of ligands and receptors: from a frame, and from a resource package that stands in for the real one."""

import sys
import warnings
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest

import stfmkit as sk
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError
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
    monkeypatch.setattr("stfmkit._core.optional.find_spec", lambda name: None)
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


# the real resource, where the optional extra is installed


@pytest.fixture(scope="module")
def consensus():
    """The real resource of pairs; the import of the package warns of others' deprecations."""
    if find_spec("liana") is None:
        pytest.skip("the optional extra 'liana' is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from liana import rs
    return rs.select_resource("consensus")


@pytest.mark.slow
def test_the_real_resource_has_its_pairs(consensus):
    genes = pd.Index(sorted({*consensus["ligand"], *consensus["receptor"]}))
    plain = genes[~genes.str.contains("_")]
    pairs = read_pairs("consensus", genes=plain)
    assert pairs.n_given == len(consensus.drop_duplicates()) > 4000
    assert len(pairs.names) + pairs.n_complexes == pairs.n_given  # each is of single genes, or names a complex
    assert 0 < pairs.n_complexes < len(pairs.names)
    assert (plain.to_numpy()[pairs.positions] == pairs.names.to_numpy()).all()
    known = set(map(tuple, pairs.names.to_numpy()))
    assert {("CXCL12", "CXCR4"), ("CCL19", "CCR7"), ("LGALS9", "CD44")} <= known
    with pytest.raises(MissingKeyError, match="Did you mean 'consensus'"):
        read_pairs("concensus", genes=plain)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "close"), [("pearson", 2e-6), ("spearman", 2e-3)])  # float32 breaks a few ties
def test_lagged_correlation_of_real_pairs_is_that_of_the_slow_loop(consensus, toy, method, close):
    """Every ligand at a spot with the mean receptor of its six neighbours, both centred within samples."""
    single = consensus[~(consensus["ligand"] + consensus["receptor"]).str.contains("_")]
    partners = single.drop_duplicates("ligand").drop_duplicates("receptor").head(20)
    names = list(dict.fromkeys([*partners["ligand"], *partners["receptor"]]))[:40]
    toy.var_names = [*names, *(f"G{i}" for i in range(40 - len(names)))]
    found = sk.tl.coexpression(
        toy,
        lr_pairs="consensus",
        method=method,
        sample_key="sample",
        null_model=None,
        n_orders=2,
        n_permutations=9,
        copy=True,
    )["pairs"]
    measured = {*toy.var_names}
    expected = single[single["ligand"].isin(measured) & single["receptor"].isin(measured)]
    assert found[["ligand", "receptor"]].to_numpy().tolist() == expected.to_numpy().tolist()
    assert len(found) >= 15
    values = sk.pp.normalize(toy, copy=True)
    values = pd.DataFrame(values.toarray().astype(float), columns=toy.var_names)
    samples, xy = toy.obs["sample"].to_numpy(), toy.obsm["spatial"]
    around = np.empty(values.shape)
    for i in range(toy.n_obs):
        far = np.where(samples == samples[i], ((xy - xy[i]) ** 2).sum(axis=1), np.inf)
        far[i] = np.inf
        around[i] = values.to_numpy()[np.argsort(far)[:6]].mean(axis=0)
    around = pd.DataFrame(around, columns=toy.var_names)
    for ligand, receptor, r in found[["ligand", "receptor", "truth"]].itertuples(index=False):
        sides = pd.DataFrame({"here": values[ligand], "there": around[receptor]})
        if method == "spearman":
            sides = sides.rank()
        sides -= sides.groupby(samples).transform("mean")
        assert r == pytest.approx(np.corrcoef(sides["here"], sides["there"])[0, 1], abs=close), (ligand, receptor)
