"""What the verbs record: under their own names, None for what was not given, and the seed that gives the same again."""

from collections.abc import Iterator, Mapping
from typing import Any

import anndata as ad
import numpy as np
import pytest

import stfmkit as sk
from stfmkit._core.errors import InputError, InputTypeError

KEYS = {"patient_key": "patient", "sample_key": "sample"}

VERBS = {
    "gene_sparsity": lambda a, **options: sk.pp.gene_sparsity(a, **KEYS, **options),
    "select_genes": lambda a, **options: sk.pp.select_genes(a, n_genes=5, selector="svg", **KEYS, **options),
    "filter_genes": sk.pp.filter_genes,
    "normalize": sk.pp.normalize,
    "spatial_graph": lambda a, **options: sk.pp.spatial_graph(a, sample_key="sample", **options),
    "split": lambda a, **options: sk.pp.split(a, sk.pp.PatientKFold(2), **KEYS, **options),
}
TAKEN = {
    "select_genes": ("var", "mine"),
    "filter_genes": ("var", "mine"),
    "normalize": ("layers", "mine"),
    "spatial_graph": ("obsp", "mine_distances"),
    "split": ("obs", "mine"),
}


def leaves(record: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(record, Mapping):
        for key, value in record.items():
            yield from leaves(value, key)
    else:
        yield name, record


def run_all(table: ad.AnnData) -> dict[str, Any]:
    for verb in VERBS.values():
        verb(table)
    return {verb: table.uns["stfmkit"][verb]["results"] for verb in VERBS}


def test_what_was_not_given_is_none_also_in_a_file(toy, tmp_path):
    records = run_all(toy)
    for name, value in leaves(records):
        assert not (isinstance(value, str) and value in {"none", "None", "X", "generator", "all"}), name
    assert records["gene_sparsity"]["gene_sparsity"]["layer"] is None
    assert records["normalize"]["size_factor_log1p"]["layer"] is None
    assert records["select_genes"]["selected"]["graph_key"] is None
    toy.write_h5ad(tmp_path / "a.h5ad")
    back = ad.read_h5ad(tmp_path / "a.h5ad")
    assert back.uns["stfmkit"]["normalize"]["results"]["size_factor_log1p"]["layer"] is None
    assert {verb: back.uns["stfmkit"][verb]["results"].keys() for verb in VERBS} == {
        verb: record.keys() for verb, record in records.items()
    }


@pytest.mark.parametrize("source", [7, np.random.default_rng(7), None])
def test_the_seed_is_an_integer_under_one_key(toy, source):
    for verb in ("gene_sparsity", "select_genes", "split"):
        VERBS[verb](toy, rng=source)
        (record,) = toy.uns["stfmkit"][verb]["results"].values()
        assert type(record["rng"]) is int
        assert "seed" not in record
        if source == 7:
            assert record["rng"] == 7


@pytest.mark.parametrize("verb", list(TAKEN))
def test_names_that_cannot_be_stored_are_refused(toy, verb):
    sk.pp.gene_sparsity(toy, **KEYS)
    for key in ("a/b", ""):
        with pytest.raises(InputError, match="key_added"):
            VERBS[verb](toy, key_added=key)
    with pytest.raises(InputTypeError, match="key_added"):
        VERBS[verb](toy, key_added=3)
    assert verb not in toy.uns["stfmkit"]


@pytest.mark.parametrize("verb", list(TAKEN))
def test_slots_of_others_are_not_overwritten(toy, verb):
    sk.pp.gene_sparsity(toy, **KEYS)
    slot, key = TAKEN[verb]
    shape = {"var": toy.n_vars, "obs": toy.n_obs, "layers": toy.shape, "obsp": (toy.n_obs, toy.n_obs)}[slot]
    planted = np.full(shape, 5.0)
    getattr(toy, slot)[key] = planted
    with pytest.raises(InputError, match=f"not written by {verb}"):
        VERBS[verb](toy, key_added="mine")
    np.testing.assert_array_equal(getattr(toy, slot)[key], planted)


def test_two_verbs_with_one_name_keep_apart(toy):
    sk.pp.gene_sparsity(toy, **KEYS)
    VERBS["select_genes"](toy, key_added="mine")
    with pytest.raises(InputError, match="not written by filter_genes"):
        sk.pp.filter_genes(toy, key_added="mine")
    VERBS["split"](toy, key_added="mine")  # another slot
    assert set(toy.uns["stfmkit"]["select_genes"]["results"]) == set(toy.uns["stfmkit"]["split"]["results"]) == {"mine"}
