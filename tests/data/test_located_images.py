"""Every observation has one image, and where this is not certain, the caller is asked."""

import numpy as np
import pytest
from tests.histology import (
    as_anndata,
    as_spatialdata,
    cohort_as_anndata,
    cohort_as_spatialdata,
    paint_section,
    rotation,
)

from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit._data.located_images import locate_images
from stfmkit._data.view import View


@pytest.fixture(scope="module")
def section():
    return paint_section()


@pytest.fixture
def libraries():
    """Two sections of one table, whose coordinates overlap, with their libraries in another order."""
    return cohort_as_anndata(2)


@pytest.fixture
def two_samples():
    """A SpatialData with two images and two elements, each pair in a coordinate system of its own."""
    return cohort_as_spatialdata(2)


# AnnData


def test_libraries_are_found_by_the_names_of_the_samples(libraries):
    located = locate_images(View.of(libraries), sample_key="sample")
    assert [part.image.name for part in located] == ["S0", "S1"]
    for seed, part in enumerate(located):
        np.testing.assert_array_equal(part.rows, np.arange(35) + 35 * seed)
        np.testing.assert_allclose(part.centers, paint_section(seed).centers)


def test_several_libraries_are_not_guessed(libraries):
    view = View.of(libraries)
    with pytest.raises(InputError, match=r"libraries 'S1', 'S0'(?s:.)*pass sample_key="):
        locate_images(view)
    with pytest.raises(InputError, match=r"without an image(?s:.)*'P0'"):
        locate_images(view, sample_key="patient")
    libraries.uns["spatial"].pop("S0")
    with pytest.raises(InputError, match=r"without an image in uns\['spatial'\]: 'S0'"):
        locate_images(view, sample_key="sample")
    with pytest.raises(InputError, match="overlap in space"):  # one image for two frames
        locate_images(view)


def test_one_library_and_one_sample_belong_together(section):
    adata = as_anndata(section)
    adata.obs["slide"] = "another name"
    (located,) = locate_images(View.of(adata), sample_key="slide")
    np.testing.assert_allclose(located.centers, section.centers)


def test_resolutions_are_levels_of_one_image(section):
    view = View.of(as_anndata(section, lowres=True))
    assert view.image_names == ("L/hires", "L/lowres")
    (located,) = locate_images(view)
    assert [level.factor for level in located.image.levels] == [(1.0, 1.0), (2.0, 2.0)]
    assert located.microns_per_pixel == pytest.approx((0.5, 0.5))
    (low,) = locate_images(view, image_key="lowres")
    np.testing.assert_allclose(low.centers, section.centers / 2)
    assert low.microns_per_pixel == pytest.approx((1.0, 1.0))


def test_a_resolution_without_its_scale_is_left_out_or_refused(section):
    adata = as_anndata(section, lowres=True)
    del adata.uns["spatial"]["L"]["scalefactors"]["tissue_hires_scalef"]
    (located,) = locate_images(View.of(adata))
    assert len(located.image.levels) == 1
    with pytest.raises(MissingKeyError, match="tissue_<resolution>_scalef"):
        locate_images(View.of(adata), image_key="hires")
    adata.uns["spatial"]["L"]["scalefactors"] = {}
    with pytest.raises(MissingKeyError, match="'hires', 'lowres' of the library 'L'"):
        locate_images(View.of(adata))


def test_entries_without_images_are_no_libraries(section):
    adata = as_anndata(section)
    adata.uns["spatial"]["M"] = {"scalefactors": {}, "metadata": {}}
    assert View.of(adata).image_names == ("L/hires",)
    adata.uns["spatial"] = "somewhere"
    assert View.of(adata).image_names == ()


# SpatialData


def test_the_image_in_the_same_coordinate_system_is_taken(two_samples):
    located = locate_images(View.of(two_samples))
    assert [part.image.name for part in located] == ["S0_he", "S1_he"]
    for part, seed in zip(located, (0, 1), strict=True):
        np.testing.assert_array_equal(part.rows, np.arange(seed, 70, 2))
        np.testing.assert_allclose(part.centers, paint_section(seed).centers)
        assert part.microns_per_pixel is None


def test_two_images_of_one_place_are_asked_for(two_samples):
    from spatialdata.models import Image2DModel
    from spatialdata.transformations import get_transformation

    two_samples["S0_other"] = Image2DModel.parse(
        np.zeros((3, 90, 125), dtype=np.uint8),
        dims=("c", "y", "x"),
        transformations=get_transformation(two_samples["S0_he"], get_all=True),
    )
    view = View.of(two_samples)
    with pytest.raises(InputError, match=r"2 images \('S0_he', 'S0_other'\)(?s:.)*pass image_key="):
        locate_images(view)
    assert len(locate_images(view, image_key=["S0_he", "S1_he"])) == 2
    with pytest.raises(InputError, match=r"0 images(?s:.)*'S1_spots'(?s:.)*give one of the images 'S0_he'"):
        locate_images(view, image_key="S0_he")
    with pytest.raises(MissingKeyError, match="Did you mean 'S0_he'"):
        locate_images(view, image_key="S0_eh")


def test_coordinate_systems_that_disagree_are_asked_for(section):
    from spatialdata.transformations import Identity, get_transformation, set_transformation

    sdata = as_spatialdata(section, rotation(30))
    for key in ("he", "spots"):
        set_transformation(sdata[key], get_transformation(sdata[key], "tissue"), "again")
    np.testing.assert_allclose(locate_images(View.of(sdata))[0].centers, section.centers)
    set_transformation(sdata["he"], Identity(), "again")
    with pytest.raises(InputError, match=r"different pixels(?s:.)*pass coordinate_system="):
        locate_images(View.of(sdata))
    (located,) = locate_images(View.of(sdata), coordinate_system="tissue")
    np.testing.assert_allclose(located.centers, section.centers)
    with pytest.raises(MissingKeyError, match=r"'elsewhere' in the SpatialData(?s:.)*'tissue', 'again'"):
        locate_images(View.of(sdata), coordinate_system="elsewhere")


def test_the_declared_unit_is_that_of_the_coordinate_systems(section):
    from spatialdata.transformations import Scale, Sequence, get_transformation, set_transformation

    sdata = as_spatialdata(section, rotation(30, scale=(0.25, -0.5)), microns=2.0)
    (located,) = locate_images(View.of(sdata))
    assert located.microns_per_pixel == pytest.approx((0.5, 1.0))
    (located,) = locate_images(View.of(sdata), microns_per_unit=4.0)
    assert located.microns_per_pixel == pytest.approx((1.0, 2.0))
    for key in ("he", "spots"):  # the same pixels, in a coordinate system of another unit
        way = Sequence([get_transformation(sdata[key], "tissue"), Scale([1e3, 1e3], ("x", "y"))])
        set_transformation(sdata[key], way, "millitissue")
    with pytest.raises(InputError, match=r"different scales(?s:.)*pass coordinate_system="):
        locate_images(View.of(sdata))
    (located,) = locate_images(View.of(sdata), coordinate_system="tissue")
    assert located.microns_per_pixel == pytest.approx((0.5, 1.0))


def test_the_unit_of_the_table_gives_the_scale_where_its_coordinates_follow_the_pixels(section):
    """Coordinates in hundredths of a mm, in a frame that is rotated once more: a pixel is 0.5 µm."""
    sdata = as_spatialdata(section, rotation(30, scale=(3.0, 3.0)))
    table = sdata["table"]
    way = rotation(77, scale=(0.05, -0.05), shift=(1000, 2000))
    table.obsm["spatial"] = section.centers @ way[:2, :2].T + way[:2, 2]
    assert locate_images(View.of(sdata))[0].microns_per_pixel is None
    table.uns["stfmkit"] = {"microns_per_unit": 10.0}
    (located,) = locate_images(View.of(sdata))
    assert located.microns_per_pixel == pytest.approx((0.5, 0.5))
    way = rotation(77, scale=(0.05, 0.2))
    table.obsm["spatial"] = section.centers @ way[:2, :2].T
    assert locate_images(View.of(sdata))[0].microns_per_pixel == pytest.approx((0.5, 2.0))
    table.obsm["spatial"] = np.random.default_rng(0).random((35, 2)) * 100  # of another space
    assert locate_images(View.of(sdata))[0].microns_per_pixel is None
    table.obsm["spatial"] = np.column_stack([np.arange(35.0), np.arange(35.0)])  # on one line
    assert locate_images(View.of(sdata))[0].microns_per_pixel is None


def test_a_singular_transformation_is_refused(section):
    sdata = as_spatialdata(section, np.array([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0], [0.0, 0.0, 1.0]]))
    with pytest.raises(InputError, match="singular"):
        locate_images(View.of(sdata))


def test_a_spatialdata_without_images_is_refused(section):
    sdata = as_spatialdata(section, rotation(30))
    del sdata["he"]
    assert View.of(sdata).image_names == ()
    with pytest.raises(MissingKeyError, match="a SpatialData without images"):
        locate_images(View.of(sdata))


# real images


@pytest.mark.real_data
def test_spots_of_visium_lie_on_the_tissue_of_their_own_section(real_data):
    import anndata as ad

    from stfmkit._data.patches import read_patches

    adata = ad.read_h5ad(real_data / "dlpfc_visium_151673_151675.h5ad")
    view = View.of(adata)
    with pytest.raises(InputError, match="sample_key"):
        read_patches(view, size=5)
    patches = read_patches(view, size=5, sample_key="section")
    white_of = [np.percentile(part.image.levels[0].pixels[:20, :20], 50) for part in patches.images]
    color = patches.read(np.arange(adata.n_obs)).mean(axis=(1, 2, 3))
    layers = adata.obs["layer"].astype(str).to_numpy()
    for number, white in enumerate(white_of):
        here = patches.which == number
        assert (color[here] < white - 5).mean() > 0.95  # tissue is darker than glass
        matter = color[here & (layers == "WM")].mean() - color[here & (layers != "WM")].mean()
        assert abs(matter) > 5  # white matter looks different


@pytest.mark.real_data
def test_patches_of_two_resolutions_of_one_slide_look_alike(real_data, monkeypatch):
    """The full resolution, shrunk here fourteenfold, against the small image that came with the data."""
    import anndata as ad
    from PIL import Image

    from stfmkit._data.patches import read_patches

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    adata = ad.read_h5ad(real_data / "her2st_patients_A-F.h5ad")
    adata = adata[adata.obs["section"] == "C2"].copy()
    entry = adata.uns["spatial"]["C2"]
    adata.uns["spatial"] = {"C2": entry}
    adata.uns["stfmkit"] = {"microns_per_unit": 1 / adata.uns["px_per_um"]["C2"]}
    small = read_patches(View.of(adata), size=7)
    wanted = small.images[0].microns_per_pixel[0]
    entry["images"] = {"full": np.asarray(Image.open(real_data / "her2st_C2_HE_fullres.jpg"))}
    entry["scalefactors"] = {"tissue_full_scalef": 1.0}
    large = read_patches(View.of(adata), size=7, microns_per_pixel=wanted)
    rows = np.arange(adata.n_obs)
    a, b = (patches.read(rows).mean(axis=(1, 2)).astype(float) for patches in (small, large))
    for channel in range(3):
        assert np.corrcoef(a[:, channel], b[:, channel])[0, 1] > 0.98
    assert np.abs(a - b).mean() < 5


def test_a_coordinate_near_the_centre_of_its_element_gives_the_scale():
    import stfmkit as sk
    from stfmkit._data.patches import read_patches

    cells = sk.datasets.synthetic_cohort(2, n_genes=20, size=250, as_="spatialdata", show_progress=False)
    patches = read_patches(View.of(cells), size=8, microns_per_pixel=2.0, sample_key="sample")
    for image in patches.images:
        np.testing.assert_allclose(image.microns_per_pixel, 1.0, rtol=0.01)
    with pytest.raises(
        MissingKeyError, match=r"no coordinate system 'nope' in the SpatialData(?s:.)*'P01_S1', 'P02_S1'"
    ):
        read_patches(View.of(cells), size=8, coordinate_system="nope")
