"""Cells go to the spot that holds their centroid, with all their counts."""

import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from stfmkit._core.errors import InputError, MissingKeyError, UnitsError
from stfmkit.pp._bin import bin as bin_molecules
from stfmkit.pp._grids import HexGrid, SquareGrid

SQUARES = {"grid": SquareGrid(50.0), "mask": None, "show_progress": False}


@pytest.fixture
def cells(rng: np.random.Generator) -> AnnData:
    n = 600
    at = rng.uniform(0, 400, size=(n, 2))
    counts = rng.poisson(0.7, size=(n, 5)).astype(np.float32)
    counts[5] = 0
    obs = pd.DataFrame(
        {
            "kind": rng.choice(["T", "B", "UNASSIGNED"], n),
            "patient": np.where(at[:, 0] < 200, "P1", "P2"),
        },
        index=[f"cell{i}" for i in range(n)],
    )
    names = ["NANOG", "Blank-1", "ACTB", "NegControlProbe_00001", "CD4"]
    adata = AnnData(sparse.csr_matrix(counts), obs=obs, var=pd.DataFrame(index=names))
    adata.var["is_control"] = [False, False, True, False, False]
    adata.obsm["spatial"] = at
    adata.uns["stfmkit"] = {"microns_per_unit": 1.0}
    return adata


def groups(cells: AnnData) -> pd.MultiIndex:
    """Row and column of the square of each cell, by plain division."""
    at = cells.obsm["spatial"]
    index = ((at - at.min(axis=0)) // 50).astype(int)
    return pd.MultiIndex.from_arrays([index[:, 1], index[:, 0]])


def test_equals_group_sums(cells: AnnData) -> None:
    binned = bin_molecules(cells, **SQUARES, carry=["kind"])
    assert list(binned.var_names) == ["ACTB", "CD4", "NANOG"]
    expected = cells.to_df().groupby(groups(cells)).sum()
    np.testing.assert_array_equal(binned.X.toarray(), expected[binned.var_names].to_numpy())
    assert list(zip(binned.obs["array_row"], binned.obs["array_col"], strict=True)) == list(expected.index)
    np.testing.assert_array_equal(binned.obs["n_control"], expected[["Blank-1", "NegControlProbe_00001"]].sum(axis=1))
    np.testing.assert_array_equal(binned.obs["n_cells"], pd.Series(1, index=groups(cells)).groupby(level=[0, 1]).sum())
    kind = pd.crosstab(
        [groups(cells).get_level_values(0), groups(cells).get_level_values(1)], cells.obs["kind"].to_numpy()
    )
    np.testing.assert_array_equal(binned.obs["kind"].astype(str), kind[["B", "T"]].idxmax(axis=1))
    np.testing.assert_allclose(
        binned.obsm["kind_share"], kind[["B", "T"]].div(kind[["B", "T"]].sum(axis=1), axis=0), rtol=1e-6
    )
    report = binned.uns["stfmkit"]["bin"]
    assert report["molecules"]["read"] == cells.X.sum()
    assert report["molecules"]["read"] == sum(v for k, v in report["molecules"].items() if k != "read")
    assert report["qv"] is None


def test_cells_equal_molecules_at_their_centroids(cells: AnnData) -> None:
    options = {"mask": None, "show_progress": False}
    binned = bin_molecules(cells, HexGrid(angle=9.0), show_progress=False)
    coo = cells.X.tocoo()
    repeat = coo.data.astype(int)
    at = cells.obsm["spatial"][np.repeat(coo.row, repeat)]
    molecules = pd.DataFrame({"x": at[:, 0], "y": at[:, 1], "gene": cells.var_names[np.repeat(coo.col, repeat)]})
    box = cells.obsm["spatial"].min(axis=0)
    grid = HexGrid(angle=9.0, origin=tuple(box.tolist()))
    by_cell = bin_molecules(cells, grid, **options)
    by_molecule = bin_molecules(molecules, grid, **options, microns_per_unit=1.0)
    np.testing.assert_array_equal(by_cell.X.toarray(), by_molecule.X.toarray())
    np.testing.assert_array_equal(by_cell.obsm["spatial"], by_molecule.obsm["spatial"])
    assert set(binned.obs_names) <= set(by_cell.obs_names)


def test_layer_unit_and_controls(cells: AnnData) -> None:
    plain = bin_molecules(cells, **SQUARES)
    other = cells.copy()
    other.layers["counts"] = cells.X.copy()
    other.X = np.log1p(cells.X.toarray())
    other.obsm["pixels"] = cells.obsm["spatial"] / 0.5
    del other.uns["stfmkit"]
    again = bin_molecules(other, **SQUARES, layer="counts", spatial_key="pixels", microns_per_unit=0.5)
    assert (again.X != plain.X).nnz == 0
    with pytest.raises(InputError, match="not integers"):
        bin_molecules(other, **SQUARES, microns_per_unit=1.0)
    with pytest.raises(UnitsError, match="microns_per_unit"):
        bin_molecules(other, **SQUARES, layer="counts")
    keyed = bin_molecules(cells, **SQUARES, control_key="is_control")
    assert list(keyed.var_names) == ["Blank-1", "CD4", "NANOG", "NegControlProbe_00001"]
    kept = bin_molecules(cells, **SQUARES, drop_controls=False)
    assert kept.n_vars == 5
    np.testing.assert_array_equal(kept.obs["n_control"], plain.obs["n_control"])


def test_samples_have_their_own_lattices(cells: AnnData) -> None:
    second = cells.copy()
    second.obs_names = second.obs_names + "b"
    second.obsm["spatial"] = second.obsm["spatial"] + 3.0
    both = anndata.concat([cells, second], label="section", keys=["s1", "s2"], uns_merge="same")
    binned = bin_molecules(both, **SQUARES, sample_key="section")
    alone = bin_molecules(cells, **SQUARES)
    for name in ("s1", "s2"):
        here = binned[binned.obs["section"] == name]
        np.testing.assert_array_equal(here.X.toarray(), alone.X.toarray())
    with pytest.raises(InputError, match="sample_key='section'"):
        bin_molecules(both, **SQUARES)
    both.obs["section"] = both.obs["section"].astype(object)
    both.obs.iloc[3, both.obs.columns.get_loc("section")] = None
    with pytest.raises(InputError, match="1 of 1200 observations without an id"):
        bin_molecules(both, **SQUARES, sample_key="section")


def break_cells(cells: AnnData, fault: str) -> AnnData:
    if fault == "NaN position":
        cells.obsm["spatial"][4, 0] = np.nan
    elif fault == "same position":
        cells.obsm["spatial"][4] = cells.obsm["spatial"][9]
    elif fault == "negative":
        cells.X.data[0] = -1
    elif fault == "same name":
        cells.obs_names = ["cell0", *cells.obs_names[:-1]]
    return cells


@pytest.mark.parametrize(
    ("fault", "match"),
    [
        ("NaN position", "1 observations with NaN"),
        ("same position", "2 observations share their coordinates"),
        ("negative", "negative"),
        ("same name", "duplicated observation names"),
    ],
)
def test_broken_cells_are_refused(cells: AnnData, fault: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        bin_molecules(break_cells(cells, fault), **SQUARES)


@pytest.mark.parametrize("option", ["columns", "points_key", "coordinate_system"])
def test_options_of_molecules_are_refused(cells: AnnData, option: str) -> None:
    with pytest.raises(InputError, match=option):
        bin_molecules(cells, **SQUARES, **{option: "x"})


def test_keys_that_are_not_there(cells: AnnData) -> None:
    for options in ({"control_key": "is_contol"}, {"carry": ["kinds"]}, {"sample_key": "slide"}, {"layer": "raw"}):
        with pytest.raises(MissingKeyError):
            bin_molecules(cells, **SQUARES, **options)
    cells.var["maybe"] = [True, None, False, True, True]
    with pytest.raises(InputError, match="1 genes without a value"):
        bin_molecules(cells, **SQUARES, control_key="maybe")


def test_input_is_left_alone(cells: AnnData) -> None:
    before = cells.copy()
    bin_molecules(cells, **SQUARES, carry=["kind"])
    assert (before.X != cells.X).nnz == 0
    pd.testing.assert_frame_equal(before.obs, cells.obs)
    assert list(cells.uns) == ["stfmkit"]
