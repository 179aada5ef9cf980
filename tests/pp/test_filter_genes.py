"""The filter reads statistics, marks genes and removes none."""

import anndata as ad
import numpy as np
import pytest

from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError
from stfmkit.pp._filter_genes import filter_genes
from stfmkit.pp._gene_sparsity import FLAGS, gene_sparsity

KEYS = {"patient_key": "patient", "sample_key": "sample"}


@pytest.fixture
def measured(toy):
    gene_sparsity(toy, **KEYS)
    for flag in FLAGS:
        toy.var[flag] = False
    toy.var["reliability"], toy.var["slide_r2"] = 0.5, 0.1
    return toy


def test_marks_and_never_subsets(measured):
    shape, columns = measured.shape, set(measured.var.columns)
    mask = filter_genes(measured, copy=True)
    assert set(measured.var.columns) == columns
    assert filter_genes(measured) is None
    assert measured.shape == shape
    assert set(measured.var.columns) == columns | {"passes_filter"}
    np.testing.assert_array_equal(measured.var["passes_filter"], mask)
    assert mask.all()


@pytest.mark.parametrize("flag", FLAGS)
def test_each_flag_excludes_where_it_is_asked_for(measured, flag):
    measured.var.loc["G4", flag] = True
    assert filter_genes(measured, copy=True).eq(False).to_numpy().nonzero()[0].tolist() == [4]
    others = [f for f in FLAGS if f != flag]
    assert filter_genes(measured, flags=others, copy=True).all()


def test_numbers_exclude_at_their_limit(measured):
    measured.var.loc[["G1", "G2", "G3"], "reliability"] = [0.29, 0.3, np.nan]
    kept = filter_genes(measured, min_reliability=0.3, copy=True)
    assert kept[["G1", "G2", "G3"]].tolist() == [False, True, False]
    measured.var.loc[["G5", "G6", "G7"], "slide_r2"] = [0.5, 0.51, np.nan]
    kept = filter_genes(measured, max_slide_r2=0.5, copy=True)
    assert kept[["G5", "G6", "G7"]].tolist() == [True, False, True]


def test_controls_by_name_and_by_column(measured):
    names = measured.var_names.to_numpy(dtype=object, copy=True)
    names[:3] = ["NegControlProbe_00001", "NANOG", "NEGR1"]
    measured.var_names = names
    assert filter_genes(measured, copy=True).iloc[:3].tolist() == [False, True, True]
    measured.var["is_control"] = np.arange(measured.n_vars) == 5
    assert not filter_genes(measured, copy=True).iloc[5]
    measured.var["ours"] = np.arange(measured.n_vars) == 6
    kept = filter_genes(measured, control_key="ours", copy=True)
    assert kept.iloc[5]
    assert not kept.iloc[6]


def test_again_is_fine_and_a_column_of_others_is_not(measured):
    filter_genes(measured)
    filter_genes(measured, min_reliability=0.9)
    assert measured.uns["stfmkit"]["filter_genes"]["results"]["passes_filter"]["n_passing"] == 0
    measured.var["mine"] = 1
    with pytest.raises(InputError, match="'mine'"):
        filter_genes(measured, key_added="mine")


def test_faults_are_named(toy, measured):
    with pytest.raises(InputError, match="Did you mean 'too_flat'"):
        filter_genes(measured, flags=["too_flatt"])
    with pytest.raises(InputError, match="min_reliability"):
        filter_genes(measured, min_reliability=3)
    with pytest.raises(MissingKeyError, match="control_key='none'"):
        filter_genes(measured, control_key="none")
    with pytest.raises(InputTypeError, match="dtype"):
        filter_genes(measured, control_key="reliability")
    bare = ad.AnnData(toy.X.copy())
    with pytest.raises(MissingKeyError, match=r"gene_sparsity\(adata") as caught:
        filter_genes(bare)
    assert "too_sparse" in str(caught.value)


@pytest.mark.real_data
def test_merfish_blanks_do_not_pass(real_data):
    adata = ad.read_h5ad(real_data / "merfish_hypothalamus_bregma0.26_0.21.h5ad")
    adata = adata[np.asarray(adata.X.sum(axis=1)).ravel() > 0].copy()
    gene_sparsity(adata, patient_key="animal", sample_key="section")
    blanks = adata.var["is_control"].to_numpy()
    assert blanks.sum() >= 1
    assert not filter_genes(adata, flags=[], copy=True)[blanks].any()
    assert filter_genes(adata, flags=[], copy=True)[~blanks].all()
    # and they look like what they are
    assert adata.var.loc[blanks, "reliability"].max() < adata.var.loc[~blanks, "reliability"].quantile(0.9)
