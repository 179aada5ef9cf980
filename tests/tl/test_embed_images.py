"""A histology model goes through `sk.tl.embed`, from a SpatialData and from ``uns["spatial"]``."""

import anndata as ad
import numpy as np
import pytest
from tests.histology import (
    BLOCK,
    MICRONS_PER_PIXEL,
    MeanColor,
    as_anndata,
    as_spatialdata,
    cohort_as_anndata,
    cohort_as_spatialdata,
    cohort_colors,
    make_table,
    paint_section,
    rotation,
)

import stfmkit as sk
from stfmkit._core.errors import InputError, MissingKeyError, UnitsError


@pytest.fixture(scope="module")
def section():
    return paint_section()


@pytest.mark.parametrize("scale", [(1.0, 1.0), (-0.5, 0.5), (2.0, 0.7)])
@pytest.mark.parametrize("degrees", [0, 30, 200])
def test_the_colour_at_a_spot_of_a_rotated_image(section, degrees, scale, rng):
    order = rng.permutation(len(section.centers))
    sdata = as_spatialdata(section, rotation(degrees, scale=scale, shift=(9.0, -40.0)), order=order)
    sk.tl.embed(sdata, MeanColor())
    np.testing.assert_allclose(sdata["table"].obsm["X_mean_color"], section.colors, rtol=1e-6)


def test_the_colour_at_a_spot_of_uns_spatial(section, tmp_path):
    adata = as_anndata(section)
    sk.tl.embed(adata, MeanColor(microns_per_pixel=MICRONS_PER_PIXEL), key_added="color")
    np.testing.assert_allclose(adata.obsm["color"], section.colors, rtol=1e-6)
    adata.write_h5ad(tmp_path / "a.h5ad")
    back = ad.read_h5ad(tmp_path / "a.h5ad")
    np.testing.assert_array_equal(sk.tl.embed(back, MeanColor(), copy=True), adata.obsm["color"])
    facts = back.uns["stfmkit"]["embed"]["results"]["color"]
    assert facts["image"]["size"] == BLOCK
    assert facts["image"]["microns_per_pixel"] == MICRONS_PER_PIXEL
    assert facts["image"]["padded_share"] == 0
    assert list(facts["image"]["images"]) == ["L"]
    assert (facts["image_key"], facts["coordinate_system"]) == (None, None)


@pytest.mark.parametrize("make", [cohort_as_anndata, cohort_as_spatialdata])
def test_every_sample_has_its_own_image(make):
    data = make(3)
    table = data if isinstance(data, ad.AnnData) else data["table"]
    sk.tl.embed(data, MeanColor(), sample_key="sample", patient_key="patient")
    np.testing.assert_allclose(table.obsm["X_mean_color"], cohort_colors(table), rtol=1e-6)


def test_subsets_and_other_orders_of_the_table_follow_the_observations(rng):
    adata = cohort_as_anndata(3)
    some = adata[rng.permutation(adata.n_obs)[:40]].copy()
    colors = sk.tl.embed(some, MeanColor(), sample_key="sample", copy=True)
    np.testing.assert_allclose(colors, cohort_colors(some), rtol=1e-6)


def test_a_run_goes_on_where_it_was_stopped(section, tmp_path):
    sdata = as_spatialdata(section, rotation(30))
    first = sk.tl.embed(sdata, MeanColor(), resume=tmp_path, copy=True)
    again = sk.tl.embed(sdata, MeanColor(), resume=tmp_path, copy=True)
    np.testing.assert_array_equal(first, again)
    other = as_spatialdata(paint_section(7), rotation(30))  # the same spots on another image
    assert not np.allclose(sk.tl.embed(other, MeanColor(), resume=tmp_path, copy=True), first)


def test_what_is_missing_is_refused_before_the_work(section):
    bare = make_table(section)
    bare.obsm["spatial"] = section.centers
    with pytest.raises(MissingKeyError, match="without images"):
        sk.tl.embed(bare, MeanColor())
    with pytest.raises(UnitsError, match="images of unknown scale"):
        sk.tl.embed(as_anndata(section, microns=False), MeanColor(microns_per_pixel=0.5))
    with pytest.raises(InputError, match="pass sample_key="):
        sk.tl.embed(cohort_as_anndata(2), MeanColor())
