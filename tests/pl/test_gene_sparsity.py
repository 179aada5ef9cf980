import numpy as np
import pytest

import stfmkit as sk
from stfmkit._core.errors import InputError, MissingKeyError


@pytest.fixture
def measured(toy, rng):
    toy.var["detect_frac"] = rng.uniform(size=toy.n_vars)
    toy.var["morans_i"] = np.linspace(0, 0.8, toy.n_vars)
    toy.var["too_sparse"] = toy.var["detect_frac"] < 0.2
    toy.var["depth_driven"] = np.arange(toy.n_vars) % 7 == 0
    return toy


def test_every_gene_is_a_point(measured):
    ax = sk.pl.gene_sparsity(measured)
    flagged = measured.var["too_sparse"].to_numpy() | measured.var["depth_driven"].to_numpy()
    free, sparse, deep = ax.collections
    assert len(free.get_offsets()) == (~flagged).sum()
    assert len(sparse.get_offsets()) == measured.var["too_sparse"].sum()
    assert len(deep.get_offsets()) == measured.var["depth_driven"].sum()
    names = [t.get_text() for t in ax.get_legend().get_texts()]
    assert names[0] == f"no flag ({(~flagged).sum()})"
    assert names[1].startswith("too sparse")


def test_the_highest_genes_are_named(measured):
    ax = sk.pl.gene_sparsity(measured, n_labels=3)
    assert [t.get_text() for t in ax.texts] == ["G39", "G38", "G37"]
    assert sk.pl.gene_sparsity(measured, n_labels=0).texts[:] == []


def test_without_flags_there_is_no_legend(measured):
    measured.var = measured.var.drop(columns=["too_sparse", "depth_driven"])
    ax = sk.pl.gene_sparsity(measured)
    assert ax.get_legend() is None
    assert len(ax.collections[0].get_offsets()) == measured.n_vars


def test_genes_without_a_statistic_are_not_named(measured):
    measured.var.loc["G39", "morans_i"] = np.nan
    ax = sk.pl.gene_sparsity(measured, n_labels=1)
    assert [t.get_text() for t in ax.texts] == ["G38"]


def test_other_columns_can_be_shown(measured):
    measured.var["n_eff"] = 0.5
    ax = sk.pl.gene_sparsity(measured, x="n_eff")
    assert "effective" in ax.get_xlabel()


def test_missing_statistics(toy):
    with pytest.raises(MissingKeyError, match=r"no column 'detect_frac' in var(?s:.)*Remedy: run sk.pp.gene_sparsity"):
        sk.pl.gene_sparsity(toy)


def test_bad_label_count(measured):
    with pytest.raises(InputError, match="n_labels=-1"):
        sk.pl.gene_sparsity(measured, n_labels=-1)
