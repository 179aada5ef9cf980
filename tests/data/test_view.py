"""The table that is meant is found, or the caller is asked."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from tests.histology import as_spatialdata, paint_section, rotation

from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError, UnitsError
from stfmkit._data.view import View, resolve_table


def test_resolve(toy):
    assert resolve_table(toy) is toy
    with pytest.raises(InputError, match="table_key"):
        resolve_table(toy, table_key="t")
    with pytest.raises(InputTypeError, match="AnnData or SpatialData"):
        resolve_table(pd.DataFrame())


def test_resolve_spatialdata(toy):
    import spatialdata as sd

    tables = {name: sd.models.TableModel.parse(toy.copy()) for name in ("cells", "spots")}
    one = sd.SpatialData(tables={"cells": tables["cells"]})
    assert resolve_table(one).n_obs == toy.n_obs
    both = sd.SpatialData(tables=tables)
    with pytest.raises(InputError, match="pass table_key"):
        resolve_table(both)
    with pytest.raises(MissingKeyError, match="Did you mean 'cells'"):
        resolve_table(both, table_key="cell")
    assert resolve_table(both, table_key="spots").n_obs == toy.n_obs


def test_a_view_of_an_anndata(toy):
    view = View.of(toy)
    assert view.table is toy
    assert View.of(view) is view
    assert (view.container, view.table_key) == (None, None)
    assert (view.image_names, dict(view.points), dict(view.shapes), view.coordinate_systems) == ((), {}, {}, ())
    np.testing.assert_array_equal(view.coordinates(), toy.obsm["spatial"])
    with pytest.raises(InputError, match="with an AnnData"):
        view.coordinates("global")
    assert view.microns_per_unit() == 1.0
    del toy.uns["stfmkit"]
    with pytest.raises(UnitsError):
        view.microns_per_unit()
    assert view.microns_per_unit(0.5) == 0.5


def test_a_view_of_a_spatialdata_holds_its_elements():
    section = paint_section()
    sdata = as_spatialdata(section, rotation(30))
    view = View.of(sdata)
    assert view.container is sdata
    assert view.table is sdata["table"]
    assert view.table_key == "table"
    assert view.image_names == ("he",)
    assert list(view.shapes) == ["spots"]
    assert list(view.points) == []
    assert view.coordinate_systems == ("tissue",)


@pytest.mark.parametrize("kind", ["circles", "polygons", "points", "labels"])
def test_coordinates_of_observations_in_a_coordinate_system(kind, rng):
    """Squares of three pixels, around centres that are moved by hand."""
    import geopandas as gpd
    import shapely
    import spatialdata as sd
    from spatialdata.models import Labels2DModel, PointsModel, ShapesModel, TableModel
    from spatialdata.transformations import Affine

    centers = np.array([[4.5, 3.5], [20.5, 9.5], [11.5, 30.5], [33.5, 21.5]])
    matrix = [[0.0, -2.0, 5.0], [0.5, 0.0, -1.0], [0.0, 0.0, 1.0]]
    ways = {"tissue": Affine(matrix, ("x", "y"), ("x", "y"))}
    ids = [7, 3, 9, 5]
    if kind == "circles":
        frame = gpd.GeoDataFrame({"radius": np.ones(4)}, geometry=shapely.points(centers), index=ids)
        element = ShapesModel.parse(frame, transformations=ways)
    elif kind == "polygons":
        boxes = [shapely.box(x - 1.5, y - 1.5, x + 1.5, y + 1.5) for x, y in centers]
        element = ShapesModel.parse(gpd.GeoDataFrame(geometry=boxes, index=ids), transformations=ways)
    elif kind == "points":
        order = np.argsort(ids)
        frame = pd.DataFrame(centers[order], columns=["x", "y"], index=np.array(ids)[order])
        element = PointsModel.parse(frame, transformations=ways)
    else:
        raster = np.zeros((40, 40), dtype=np.int32)
        for name, (x, y) in zip(ids, centers, strict=True):
            raster[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2] = name
        element = Labels2DModel.parse(raster, dims=("y", "x"), transformations=ways)
    rows = [2, 0, 3]
    table = ad.AnnData(np.ones((3, 2), dtype=np.float32), obs=pd.DataFrame(index=list("abc")))
    table.obs["region"], table.obs["id"] = pd.Categorical(["cells"] * 3), [ids[i] for i in rows]
    table = TableModel.parse(table, region="cells", region_key="region", instance_key="id")
    view = View.of(sd.SpatialData.init_from_elements({"cells": element, "table": table}))
    wanted = [(5.0 - 2.0 * centers[i][1], 0.5 * centers[i][0] - 1.0) for i in rows]
    np.testing.assert_allclose(view.coordinates("tissue"), wanted)


def test_observations_without_their_element_are_refused():
    section = paint_section()
    sdata = as_spatialdata(section, rotation(30))
    view = View.of(sdata)
    with pytest.raises(MissingKeyError, match="no coordinate system 'tissues'"):
        view.coordinates("tissues")
    sdata["table"].obs["circle"] = [f"spot{i}" for i in range(1, 36)]
    with pytest.raises(InputError, match=r"1 of 35 observations(?s:.)*'spot35'"):
        view.coordinates("tissue")
    del sdata["table"].uns["spatialdata_attrs"]
    with pytest.raises(MissingKeyError, match="annotates no element"):
        view.coordinates("tissue")


def test_regions_that_are_not_there_are_refused():
    section = paint_section()
    sdata = as_spatialdata(section, rotation(30))
    sdata["table"].obs["region"] = pd.Categorical(["spots"] * 30 + ["others"] * 5)
    with pytest.raises(MissingKeyError, match="'others' are not in the SpatialData"):
        View.of(sdata).coordinates("tissue")
