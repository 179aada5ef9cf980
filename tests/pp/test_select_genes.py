"""Selection through AnnData: the leakage guard, slots, warnings."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy import sparse

import stfmkit as sk
from stfmkit._core.errors import InputError, LeakError, MissingKeyError, StfmkitWarning
from stfmkit.pp._gene_limits import GeneLimits
from stfmkit.pp._select_genes import select_genes
from stfmkit.pp._selectors import SELECTORS
from stfmkit.splits.folds import Fold

KEYS = {"patient_key": "patient", "sample_key": "sample"}
EASY = {"panel_key": "panel", "min_reliability": 0.0, "limits": GeneLimits(max_depth_r2=1.0)}


@pytest.fixture
def table(toy):
    toy.obs["panel"] = np.where(toy.obs["patient"] == "P4", "v2", "v1")
    return toy


@pytest.mark.parametrize("selector", list(SELECTORS))
def test_writes_what_copy_returns(table, selector):
    before = table.copy()
    got = select_genes(table, selector=selector, n_genes=5, **KEYS, **EASY, copy=True)
    assert list(table.var.columns) == list(before.var.columns)
    assert select_genes(table, selector=selector, n_genes=5, **KEYS, **EASY) is None
    pd.testing.assert_frame_equal(table.var[["selected", "selected_rank"]], got)
    assert got["selected"].sum() == 5
    assert sorted(got.loc[got["selected"], "selected_rank"]) == [0, 1, 2, 3, 4]
    assert got.loc[~got["selected"], "selected_rank"].eq(-1).all()
    np.testing.assert_array_equal(table.X.toarray(), before.X.toarray())
    pd.testing.assert_frame_equal(table.obs, before.obs)


@pytest.mark.parametrize("selector", list(SELECTORS))
def test_test_patients_leave_no_trace(table, selector):
    """The held-out patient is replaced by noise; the selection must not move by one gene."""
    train = (table.obs["patient"] != "P4").to_numpy()
    changed = table.copy()
    counts = changed.X.toarray()
    counts[~train] = np.random.default_rng(5).poisson(20, counts[~train].shape) + 1
    changed.X = sparse.csr_matrix(counts)
    options = {"selector": selector, "n_genes": 6, "train": train, "test_patients": ["P4"], **KEYS, **EASY}
    pd.testing.assert_frame_equal(
        select_genes(table, **options, copy=True), select_genes(changed, **options, copy=True)
    )


def test_test_patients_among_training_raise(table):
    options = {"selector": "svg", "n_genes": 4, **KEYS}
    with pytest.raises(LeakError, match="'P4'"):
        select_genes(table, test_patients=["P4"], **options)
    with pytest.raises(LeakError, match="'P2', 'P4'"):
        select_genes(table, test_patients={"P4", "P2"}, **options)
    with pytest.raises(LeakError, match="train="):
        select_genes(table, test_patients="P4", train=(table.obs["sample"] != "S0").to_numpy(), **options)
    assert "selected" not in table.var
    select_genes(table, test_patients=["P4"], train=(table.obs["patient"] != "P4").to_numpy(), **options)
    assert table.uns["stfmkit"]["select_genes"]["results"]["selected"]["patients"] == ["P1", "P2", "P3"]


def test_numeric_ids_are_guarded_too(table):
    table.obs["patient"] = table.obs["patient"].astype(str).str[1:].astype(int)
    with pytest.raises(LeakError, match="'4'"):
        select_genes(table, selector="hvg", n_genes=4, test_patients=[4], **KEYS)


@pytest.mark.parametrize(
    ("ids", "meant"),
    [
        (["p4"], "P4"),
        ([b"P4"], "P4"),
        (b"P4", "P4"),
        (["P4 "], "P4"),
        (["P4", "P44"], "P4"),
        ({"P 4"}, "P4"),
        ([None], ""),
        ([float("nan")], ""),
        ([4], ""),
        (4, ""),
        ([("P4",)], ""),
        (["S0"], ""),
    ],
)
@pytest.mark.parametrize("train", [True, False])
def test_ids_that_no_patient_has_are_refused(table, ids, meant, train):
    """Also where the training observations are right: the guard would guard nothing."""
    mask = (table.obs["patient"] != "P4").to_numpy() if train else None
    with pytest.raises(MissingKeyError, match="test_patients with") as raised:
        select_genes(table, selector="hvg", n_genes=4, test_patients=ids, train=mask, **KEYS)
    assert not meant or ("Did you mean" in str(raised.value) and repr(meant) in str(raised.value))


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (int, [4, "4", np.int64(4)], [4.0, "4.0", b"4"]),
        (float, [4.0, "4.0", np.float64(4)], [4, "4"]),
        ("category", ["4", 4], [4.0]),
    ],
)
def test_ids_are_compared_as_text_whatever_their_type(table, kind, good, bad):
    table.obs["patient"] = table.obs["patient"].astype(str).str[1:].astype(kind)
    for one in good:
        with pytest.raises(LeakError):
            select_genes(table, selector="hvg", n_genes=4, test_patients=[one], **KEYS)
    for one in bad:
        with pytest.raises(MissingKeyError, match="Did you mean '4"):
            select_genes(table, selector="hvg", n_genes=4, test_patients=[one], **KEYS)


def test_a_fold_is_a_training_set(table):
    train = np.flatnonzero(table.obs["patient"] != "P1")
    test = np.flatnonzero(table.obs["patient"] == "P1")
    fold = Fold(number=0, train=train, test=test, train_groups=np.zeros(len(train)))
    by_fold = select_genes(table, selector="svg", n_genes=4, train=fold, copy=True, **KEYS)
    table.obs["train"] = (table.obs["patient"] != "P1").to_numpy()
    by_column = select_genes(table, selector="svg", n_genes=4, train="train", copy=True, **KEYS)
    pd.testing.assert_frame_equal(by_fold, by_column)
    leaky = Fold(number=0, train=train, test=train[:3], train_groups=np.zeros(len(train)))
    with pytest.raises(LeakError, match="3 observations in training and test"):
        select_genes(table, selector="svg", n_genes=4, train=leaky, **KEYS)


def test_fewer_than_asked_warns_and_none_is_an_error(table):
    with pytest.warns(StfmkitWarning, match=r"40 genes qualify.*41 were asked"):
        select_genes(table, selector="hvg", n_genes=41, **KEYS)
    assert table.uns["stfmkit"]["select_genes"]["results"]["selected"]["n_selected"] == 40
    with pytest.raises(InputError, match="no gene qualifies"):
        select_genes(table, selector="reliable_svg", min_reliability=1.0, n_genes=3, **KEYS)


def test_panel_safe_reads_columns_or_counts(table):
    with pytest.raises(InputError, match="without panel_key"):
        select_genes(table, selector="panel_safe", n_genes=3, **KEYS)
    best = select_genes(table, selector="svg", n_genes=1, copy=True, **KEYS)["selected"].idxmax()
    options = {"selector": "panel_safe", "n_genes": 20, "panel_key": "panel", "copy": True, **KEYS}
    assert select_genes(table, **options).loc[best, "selected"]
    table.var["in_panel_v1"] = True
    with pytest.raises(MissingKeyError, match="in_panel_v2"):
        select_genes(table, **options)
    table.var["in_panel_v2"] = table.var_names != best
    assert not select_genes(table, **options).loc[best, "selected"]
    assert select_genes(table, min_panel_share=0.5, **options).loc[best, "selected"]
    blind = table.copy()
    blind.var = blind.var[[]]
    counts = blind.X.toarray()
    counts[(blind.obs["panel"] == "v2").to_numpy(), blind.var_names.get_loc(best)] = 0
    blind.X = sparse.csr_matrix(counts)
    assert not select_genes(blind, **options).loc[best, "selected"]


def test_a_sample_on_two_panels_is_refused(table):
    table.obs["panel"] = [f"v{i % 2}" for i in range(table.n_obs)]
    with pytest.raises(InputError, match="several values of obs\\['panel'\\]"):
        select_genes(table, selector="panel_safe", n_genes=3, panel_key="panel", **KEYS)


def test_controls_are_not_selected(table):
    best = select_genes(table, selector="hvg", n_genes=1, copy=True, **KEYS)["selected"].idxmax()
    table.var["is_control"] = table.var_names == best
    got = select_genes(table, selector="hvg", n_genes=39, copy=True, **KEYS)
    assert not got.loc[best, "selected"]
    assert got["selected"].sum() == 39


def test_several_selections_live_side_by_side(table):
    select_genes(table, selector="svg", n_genes=3, key_added="svg", **KEYS)
    select_genes(table, selector="hvg", n_genes=3, key_added="hvg", **KEYS)
    assert {"svg", "svg_rank", "hvg", "hvg_rank"} <= set(table.var.columns)
    select_genes(table, selector="svg", n_genes=4, key_added="svg", **KEYS)  # the first is still known as ours
    results = table.uns["stfmkit"]["select_genes"]["results"]
    assert {key: r["n_selected"] for key, r in results.items()} == {"svg": 4, "hvg": 3}
    table.var["mine_rank"] = 1.0
    with pytest.raises(InputError, match="'mine_rank'"):
        select_genes(table, selector="svg", n_genes=3, key_added="mine", **KEYS)


def test_non_spatial_selectors_need_no_coordinates(table):
    del table.obsm["spatial"]
    select_genes(table, selector="hvg", n_genes=3, **KEYS)
    with pytest.raises(MissingKeyError, match="no obsm"):
        select_genes(table, selector="svg", n_genes=3, key_added="other", **KEYS)


def test_layer_and_unknown_flavor(table):
    table.layers["counts"] = table.X.copy()
    table.X = sparse.csr_matrix(np.log1p(table.X.toarray()))
    with pytest.raises(InputError, match="not integers"):
        select_genes(table, selector="svg", n_genes=3, **KEYS)
    select_genes(table, selector="svg", n_genes=3, layer="counts", **KEYS)
    with pytest.raises(InputError, match="Did you mean 'hest'"):
        select_genes(table, selector="hests", n_genes=3, **KEYS)


def test_survives_a_round_trip(table, tmp_path):
    select_genes(table, selector="svg", n_genes=3, **KEYS)
    table.write_h5ad(tmp_path / "t.h5ad")
    back = ad.read_h5ad(tmp_path / "t.h5ad")
    pd.testing.assert_frame_equal(back.var, table.var)
    select_genes(back, selector="hvg", n_genes=3, **KEYS)


def test_spatialdata_is_a_door(table):
    from spatialdata import SpatialData

    sdata = SpatialData(tables={"cells": table})
    sk.pp.select_genes(sdata, selector="svg", n_genes=3, table_key="cells", **KEYS)
    assert sdata.tables["cells"].var["selected"].sum() == 3


@pytest.mark.real_data
def test_hest_on_her2st_is_scanpys_choice(real_data):
    adata = ad.read_h5ad(real_data / "her2st_patients_A-F.h5ad")
    train = (~adata.obs["patient"].isin(["E", "F"])).to_numpy()
    got = select_genes(
        adata,
        selector="hest",
        n_genes=50,
        patient_key="patient",
        sample_key="section",
        train=train,
        test_patients=["E", "F"],
        copy=True,
    )
    pooled = adata[train].copy()
    keep = np.ones(adata.n_vars, dtype=bool)
    for section in pooled.obs["section"].unique():
        slide = pooled[pooled.obs["section"] == section]
        keep &= np.asarray((slide.X > 0).sum(axis=0)).ravel() >= np.ceil(0.1 * slide.n_obs)
    pooled = ad.AnnData(pooled.X[:, keep].astype(np.float64), var=pooled.var[keep])
    sc.pp.log1p(pooled)
    want = sc.pp.highly_variable_genes(pooled, flavor="seurat", n_top_genes=50, inplace=False)
    assert set(got.index[got["selected"]]) == set(pooled.var_names[want["highly_variable"]])


def test_sparkx_takes_coordinates_and_no_graph(table):
    sk.pp.spatial_graph(table, sample_key="sample")
    with pytest.raises(InputError, match="selector='sparkx' with graph"):
        select_genes(table, selector="sparkx", n_genes=3, graph_key="spatial_connectivities", **KEYS)
    patterned = table.X.toarray()
    patterned[:, 3] = np.where(table.obsm["spatial"][:, 1] > 500, 25, 2)
    table.X = sparse.csr_matrix(patterned)
    select_genes(table, selector="sparkx", n_genes=1, **KEYS)
    assert table.var["selected"].idxmax() == "G3"
