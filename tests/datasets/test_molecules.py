"""Molecules."""

import numpy as np
import pandas as pd
import pytest
import shapely

import stfmkit as sk


def molecules(data: object, sample: str) -> pd.DataFrame:
    return data.points[f"{sample}_transcripts"].compute()


def counted(data: object, sample: str) -> pd.DataFrame:
    """Count molecules by cell and gene, the plain way."""
    table = molecules(data, sample)
    table = table[
        (table["qv"] >= 20)
        & (table["cell_id"].astype(str) != "UNASSIGNED")
        & ~table["gene"].astype(str).str.startswith("NegControlProbe_")
    ]
    return pd.crosstab(table["cell_id"].astype(str), table["gene"].astype(str))


@pytest.mark.parametrize("which", ["tissue", "two_panels"])
def test_molecules_give_the_table_exactly(which: str, request: pytest.FixtureRequest) -> None:
    data = request.getfixturevalue(which)
    table = data.tables["cells"]
    for sample in table.obs["sample"].cat.categories:
        rows = table[table.obs["sample"] == sample]
        expected = pd.DataFrame(rows.X.toarray(), index=rows.obs_names, columns=rows.var_names)
        found = counted(data, sample).reindex(index=expected.index, columns=expected.columns, fill_value=0)
        assert np.array_equal(found.to_numpy(), expected.to_numpy())
        assert counted(data, sample).to_numpy().sum() == expected.to_numpy().sum()


def test_columns(tissue: object) -> None:
    table = molecules(tissue, "P01_S1")
    assert table.columns.tolist() == [
        "x",
        "y",
        "gene",
        "qv",
        "cell_id",
        "cell_type",
        "niche",
        "sample",
        "patient",
    ]
    assert table.notna().all(axis=None)
    for key in ("gene", "cell_id", "cell_type", "niche", "sample", "patient"):
        assert isinstance(table[key].dtype, pd.CategoricalDtype)
    assert (table["sample"] == "P01_S1").all()
    assert (table["patient"] == "P01").all()
    assert table[["x", "y"]].to_numpy().min() >= 0
    assert table[["x", "y"]].to_numpy().max() <= 300


def test_molecules_lie_where_their_cell_is(tissue: object) -> None:
    table = molecules(tissue, "P01_S1")
    points = shapely.points(table[["x", "y"]].to_numpy().astype(float))
    shapes = tissue.shapes["P01_S1_cells"]
    owned = (table["cell_id"] != "UNASSIGNED").to_numpy()
    assert shapely.contains(shapes.geometry.loc[table["cell_id"][owned].astype(str)].to_numpy(), points[owned]).all()
    # coordinates are float32, hence the margin
    tree = shapely.STRtree(shapely.buffer(shapes.geometry.to_numpy(), -1e-3))
    assert len(tree.query(points[~owned], predicate="within")[0]) == 0
    assert 0.02 < 1 - owned.mean() < 0.15


def test_molecules_crowd_in_the_nucleus(tissue: object) -> None:
    table = molecules(tissue, "P01_S1").query("cell_id != 'UNASSIGNED'")
    shapes = tissue.shapes["P01_S1_cells"].geometry.loc[table["cell_id"].astype(str)]
    off = np.hypot(table["x"].to_numpy() - shapes.centroid.x, table["y"].to_numpy() - shapes.centroid.y)
    relative = off / np.sqrt(shapes.area / np.pi)
    assert 0.45 < (relative < 0.55).mean() < 0.8


def test_molecules_carry_the_truth_of_their_cell(tissue: object) -> None:
    table, obs = molecules(tissue, "P02_S1"), tissue.tables["cells"].obs
    owned = table[table["cell_id"] != "UNASSIGNED"]
    for key in ("niche", "cell_type"):
        assert (owned[key].astype(str).to_numpy() == obs.loc[owned["cell_id"].astype(str), key].astype(str)).all()
    strays = table[table["cell_id"] == "UNASSIGNED"]
    assert (strays["cell_type"] == "UNASSIGNED").all()
    assert set(strays["niche"]) <= set(obs["niche"].cat.categories)


def test_controls_are_poor_and_rare(tissue: object) -> None:
    table = pd.concat([molecules(tissue, s) for s in ("P01_S1", "P02_S1")])
    control = table["gene"].astype(str).str.startswith("NegControlProbe_")
    assert 0.001 < control.mean() < 0.01
    assert table["qv"].between(0, 40).all()
    assert table["qv"][control].median() < 20 < table["qv"][~control].quantile(0.3)
    assert 0.05 < (table["qv"][~control] < 20).mean() < 0.25
    assert (table["qv"][control] >= 20).any()


def test_no_controls_and_no_foreign_genes(two_panels: object) -> None:
    var = two_panels.tables["cells"].var
    for sample, panel in (("P01_S1", "1"), ("P02_S1", "2")):
        genes = molecules(two_panels, sample)["gene"].cat.categories
        assert set(genes) == set(var.index[var[f"in_panel_{panel}"]])


def test_the_order_of_molecules_says_nothing(tissue: object) -> None:
    table = molecules(tissue, "P01_S1")
    place = np.arange(len(table)) / len(table)
    for flag in (table["qv"] >= 20, table["cell_id"] == "UNASSIGNED"):
        assert place[flag.to_numpy()].mean() == pytest.approx(0.5, abs=0.02)


def test_same_seed_same_molecules(tissue: object, small: dict) -> None:
    again = sk.datasets.synthetic_cohort(**small, image=False)
    pd.testing.assert_frame_equal(molecules(tissue, "P02_S1"), molecules(again, "P02_S1"))
