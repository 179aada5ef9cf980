"""Panels: order, conservation, coverage, and no zeros that pass for measurements."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError, StfmkitWarning
from stfmkit.pp._align_panels import align_panels


def panel(genes: list[str], seed: int, *, dense: bool = False, n: int = 6) -> ad.AnnData:
    counts = np.random.default_rng(seed).poisson(2.0, (n, len(genes))).astype(np.float32) + 1
    adata = ad.AnnData(
        counts if dense else sparse.csr_matrix(counts),
        obs=pd.DataFrame({"cell": np.arange(n)}, index=[f"s{seed}_{i}" for i in range(n)]),
        var=pd.DataFrame({"marker": [True] * len(genes), "note": ["x"] * len(genes)}, index=genes),
    )
    adata.layers["twice"] = adata.X * 2
    adata.obsm["spatial"] = np.random.default_rng(seed).uniform(size=(n, 2))
    adata.uns["source"] = {"name": f"panel {seed}"}
    return adata


@pytest.fixture
def two() -> dict[str, ad.AnnData]:
    return {"v1": panel(["A", "B", "C", "D"], 1), "v2": panel(["D", "E", "B"], 2, dense=True)}


def column(adata: ad.AnnData, gene: str, layer: str | None = None) -> np.ndarray:
    matrix = adata.X if layer is None else adata.layers[layer]
    matrix = matrix.toarray() if sparse.issparse(matrix) else np.asarray(matrix)
    return matrix[:, adata.var_names.get_loc(gene)]


def test_intersection_keeps_order_counts_and_slots(two):
    before = {name: table.copy() for name, table in two.items()}
    out = align_panels(two)
    for name, table in out.items():
        assert table.var_names.tolist() == ["B", "D"]
        for gene in ("B", "D"):
            np.testing.assert_array_equal(column(table, gene), column(two[name], gene))
            np.testing.assert_array_equal(column(table, gene, "twice"), column(two[name], gene, "twice"))
        assert table.X.dtype == two[name].X.dtype
        pd.testing.assert_frame_equal(table.obs, two[name].obs)
        np.testing.assert_array_equal(table.obsm["spatial"], two[name].obsm["spatial"])
        assert table.uns["source"] == two[name].uns["source"]
        assert table.var["measured"].all()
        assert two[name].var_names.tolist() == before[name].var_names.tolist()
        assert "stfmkit" not in two[name].uns


def test_report_says_what_is_lost(two):
    report = align_panels(two)["v1"].uns["stfmkit"]["align_panels"]["report"]
    assert report.loc["v1", ["n_genes", "n_kept", "n_lost", "n_unmeasured"]].tolist() == [4, 2, 2, 0]
    assert report.loc["v2", ["n_genes", "n_kept", "n_lost", "n_unmeasured"]].tolist() == [3, 2, 1, 0]
    lost = (column(two["v1"], "A").sum() + column(two["v1"], "C").sum()) / two["v1"].X.sum()
    assert report.loc["v1", "counts_lost"] == pytest.approx(lost)


def test_union_marks_what_is_not_measured(two):
    with pytest.warns(StfmkitWarning, match="v1: 1, v2: 2"):
        out = align_panels(two, genes="union")
    assert out["v1"].var_names.tolist() == ["A", "B", "C", "D", "E"]
    assert out["v1"].var["measured"].tolist() == [True, True, True, True, False]
    assert out["v2"].var["measured"].tolist() == [False, True, False, True, True]
    for name, table in out.items():
        np.testing.assert_array_equal(table.var[f"in_panel_{name}"], table.var["measured"])
        assert float(table.X.sum()) == pytest.approx(float(two[name].X.sum()))
        assert not column(table, "E" if name == "v1" else "A").any()


def test_marks_survive_concat_and_feed_the_selectors(two):
    with pytest.warns(StfmkitWarning):
        out = align_panels(two, genes="union")
    joined = ad.concat(out, label="panel", merge="same")
    assert joined.var["in_panel_v1"].tolist() == [True, True, True, True, False]
    again = align_panels(joined, panel_key="panel")
    assert again.var_names.tolist() == ["B", "D"]
    assert again.n_obs == 12


def test_a_list_of_genes_is_kept_in_its_order(two):
    with pytest.warns(StfmkitWarning, match="v1: 1"):
        out = align_panels(two, genes=["E", "D", "B"])
    assert out["v2"].var_names.tolist() == ["E", "D", "B"]
    np.testing.assert_array_equal(column(out["v2"], "E"), column(two["v2"], "E"))


def test_a_list_of_tables_is_numbered(two):
    out = align_panels(list(two.values()))
    assert list(out) == ["0", "1"]
    assert "in_panel_1" in out["0"].var


def test_one_table_by_columns_and_by_counts(toy):
    toy.obs["panel"] = np.where(toy.obs["patient"] == "P4", "v2", "v1")
    rows = (toy.obs["panel"] == "v2").to_numpy()
    counts = toy.X.toarray()
    counts[rows, :5] = 0
    toy.X = sparse.csr_matrix(counts)
    out = align_panels(toy, panel_key="panel")
    assert out.var_names.tolist() == [f"G{i}" for i in range(5, 40)]
    np.testing.assert_array_equal(out.X.toarray(), counts[:, 5:])
    report = out.uns["stfmkit"]["align_panels"]["report"]
    assert report.loc["v1", "counts_lost"] == pytest.approx(counts[~rows, :5].sum() / counts[~rows].sum())
    assert report.loc["v2", "counts_lost"] == 0
    toy.var["in_panel_v1"], toy.var["in_panel_v2"] = True, np.arange(40) < 10
    assert align_panels(toy, panel_key="panel").n_vars == 10
    with pytest.warns(StfmkitWarning, match="v2: 30"):
        union = align_panels(toy, panel_key="panel", genes="union")
    assert union.var["measured"].sum() == 10


def test_reading_panels_from_counts_leaves_the_matrix_alone(toy):
    toy.obs["panel"] = "v1"
    toy.X.data[:3] = 0
    stored = toy.X.nnz
    align_panels(toy, panel_key="panel")
    assert toy.X.nnz == stored


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_counts_are_conserved_for_any_order(seed):
    rng = np.random.default_rng(seed)
    names = [f"g{i}" for i in range(12)]
    tables = {p: panel(rng.permutation(names)[: rng.integers(8, 12)].tolist(), seed + k) for k, p in enumerate("ab")}
    out = align_panels(tables)
    shared = set(tables["a"].var_names) & set(tables["b"].var_names)
    assert set(out["a"].var_names) == shared
    assert out["a"].var_names.equals(out["b"].var_names)
    for name, table in out.items():
        for gene in shared:
            np.testing.assert_array_equal(column(table, gene), column(tables[name], gene))


def test_union_survives_a_round_trip(two, tmp_path):
    with pytest.warns(StfmkitWarning):
        out = align_panels(two, genes="union")["v1"]
    out.write_h5ad(tmp_path / "t.h5ad")
    back = ad.read_h5ad(tmp_path / "t.h5ad")
    assert back.var["measured"].tolist() == out.var["measured"].tolist()
    assert back.var["marker"].isna().tolist() == [False, False, False, False, True]
    report = back.uns["stfmkit"]["align_panels"]["report"]
    assert report.loc["v1", "n_unmeasured"] == 1


def test_faults_are_named(two, toy):
    alone = {"v1": two["v1"], "v2": panel(["a", "b", "z"], 3)}
    with pytest.raises(InputError, match=r"share no gene name \(2 are shared if upper"):
        align_panels(alone)
    with pytest.raises(MissingKeyError, match="1 genes in no panel: 'Q'"):
        align_panels(two, genes=["A", "B", "Q"])
    with pytest.raises(InputError, match="'v2' measures none"):
        align_panels(two, genes=["A", "C"])
    with pytest.raises(InputError, match="each gene once"):
        align_panels(two, genes=["B", "B"])
    with pytest.raises(InputError, match="Did you mean 'union'"):
        align_panels(two, genes="unions")
    with pytest.raises(InputError, match="1 tables"):
        align_panels({"v1": two["v1"]})
    with pytest.raises(InputError, match="with several tables"):
        align_panels(two, panel_key="panel")
    with pytest.raises(InputError, match="without panel_key"):
        align_panels(toy)
    with pytest.raises(InputTypeError, match="DataFrame"):
        align_panels({"v1": two["v1"], "v2": two["v2"].to_df()})
    twice = two["v1"].copy()
    twice.var_names = ["A", "A", "C", "D"]
    with pytest.raises(InputError, match="duplicated gene names"):
        align_panels({"v1": twice, "v2": two["v2"]})


@pytest.mark.real_data
def test_xenium_and_visium_of_one_block(real_data):
    xenium = ad.read_h5ad(real_data / "breast_xenium_roi.h5ad")
    visium = ad.read_h5ad(real_data / "breast_visium_cytassist_roi.h5ad")
    out = align_panels({"xenium": xenium, "visium": visium})
    report = out["xenium"].uns["stfmkit"]["align_panels"]["report"]
    assert out["xenium"].n_vars > 280
    assert report.loc["xenium", "counts_lost"] < 0.1
    assert report.loc["visium", "counts_lost"] > 0.8
