"""Containers: valid, readable by the field's tools, and unchanged by a trip to the disk."""

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import shapely


def test_table_survives_h5ad(cells: ad.AnnData, tmp_path: Path) -> None:
    cells.write_h5ad(tmp_path / "cells.h5ad")
    back = ad.read_h5ad(tmp_path / "cells.h5ad")
    assert (back.X != cells.X).nnz == 0
    pd.testing.assert_frame_equal(back.obs, cells.obs)
    pd.testing.assert_frame_equal(back.var, cells.var, check_dtype=False)
    assert back.uns["stfmkit"]["microns_per_unit"] == 1
    assert list(back.uns["synthetic_cohort"]["programs"]) == list(cells.uns["synthetic_cohort"]["programs"])
    pd.testing.assert_frame_equal(
        back.uns["synthetic_cohort"]["ligand_receptor"],
        cells.uns["synthetic_cohort"]["ligand_receptor"],
        check_dtype=False,
    )
    for key in ("spatial", "program_activity"):
        np.testing.assert_array_equal(back.obsm[key], cells.obsm[key])
    np.testing.assert_array_equal(back.layers["noise_free"], cells.layers["noise_free"])


# spatialdata writes every element with a class that ome-zarr has deprecated
@pytest.mark.filterwarnings("ignore:Call to deprecated class Scaler:DeprecationWarning")
# anndata announces a default of its next release
@pytest.mark.filterwarnings("ignore:zarr v3 autosharding will be the default:UserWarning")
@pytest.mark.parametrize("which", ["tissue", "two_panels"])
def test_everything_survives_zarr(which: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    import spatialdata as sd

    data = request.getfixturevalue(which)
    data.write(tmp_path / "cohort.zarr", update_sdata_path=False)
    back = sd.read_zarr(tmp_path / "cohort.zarr")
    assert sorted(back.coordinate_systems) == sorted(data.coordinate_systems)
    assert {e[1] for e in back.gen_elements()} == {e[1] for e in data.gen_elements()}
    for name, points in data.points.items():
        pd.testing.assert_frame_equal(
            back.points[name].compute().astype({"cell_id": str, "gene": str}).sort_index(),
            points.compute().astype({"cell_id": str, "gene": str}),
            check_categorical=False,
        )
    for name, shapes in data.shapes.items():
        assert back.shapes[name].geometry.geom_equals_exact(shapes.geometry, 1e-9).all()
    for name, image in data.images.items():
        np.testing.assert_array_equal(back.images[name].values, image.values)
    assert (back.tables["cells"].X != data.tables["cells"].X).nnz == 0


def test_elements_and_coordinate_systems(tissue: object) -> None:
    assert sorted(tissue.coordinate_systems) == ["P01_S1", "P02_S1"]
    here = {name for _, name, _ in tissue.filter_by_coordinate_system("P02_S1").gen_elements()}
    assert here == {"P02_S1_transcripts", "P02_S1_cells", "P02_S1_he", "cells"}


def test_table_is_joined_to_its_shapes(tissue: object) -> None:
    from spatialdata import join_spatialelement_table

    table = tissue.tables["cells"]
    attrs = table.uns["spatialdata_attrs"]
    assert attrs == {
        "region": ["P01_S1_cells", "P02_S1_cells"],
        "region_key": "region",
        "instance_key": "cell_id",
    }
    shapes, rows = join_spatialelement_table(
        sdata=tissue, spatial_element_names=["P02_S1_cells"], table_name="cells", how="inner"
    )
    assert set(rows.obs["sample"]) == {"P02_S1"}
    found = shapes["P02_S1_cells"].geometry
    assert len(found) == rows.n_obs
    assert shapely.contains(found.to_numpy(), shapely.points(rows.obsm["spatial"])).all()


def test_cells_as_circles(two_panels: object) -> None:
    shapes, table = two_panels.shapes["P01_S1_cells"], two_panels.tables["cells"]
    rows = table[(table.obs["sample"] == "P01_S1").to_numpy()]
    np.testing.assert_array_equal(np.stack([shapes.geometry.x, shapes.geometry.y], axis=1), rows.obsm["spatial"])
    assert shapes["radius"].between(2, 25).all()
    assert len(two_panels.images) == 0


def test_molecules_aggregate_with_spatialdata(tissue: object) -> None:
    """spatialdata's own aggregation over the polygons finds the assigned molecules."""
    import spatialdata as sd

    points = tissue.points["P01_S1_transcripts"]
    found = sd.aggregate(
        values=points,
        by=tissue.shapes["P01_S1_cells"],
        value_key="gene",
        agg_func="count",
        target_coordinate_system="P01_S1",
    )
    table = next(iter(found.tables.values()))
    frame = points.compute()
    assigned = (frame["cell_id"] != "UNASSIGNED").sum()
    # coordinates are float32: a molecule outside a cell may be a hair inside its border
    assert int(table.X.sum()) == pytest.approx(assigned, abs=2)
