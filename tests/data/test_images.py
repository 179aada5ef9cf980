"""Images are read by region, as bytes of red, green and blue."""

import numpy as np
import pytest

from stfmkit._core.errors import InputError
from stfmkit._data.images import TissueImage, as_uint8


@pytest.fixture
def picture(rng):
    return rng.integers(0, 256, size=(30, 50, 3), dtype=np.uint8)


def element(array, **options):
    from spatialdata.models import Image2DModel

    return Image2DModel.parse(array, dims=("c", "y", "x"), **options)


def whole(image, level=0):
    height, width = image.levels[level].shape
    return image.levels[level].read((0, 0, width, height))


def test_arrays_and_elements_hold_the_same_pixels(picture):
    of_array = TissueImage.of_arrays("a", [picture], factors=[1.0])
    of_element = TissueImage.of_element("e", element(np.moveaxis(picture, 2, 0)))
    assert of_array.shape == of_element.shape == (30, 50)
    for image in (of_array, of_element):
        np.testing.assert_array_equal(whole(image), picture)
        np.testing.assert_array_equal(image.levels[0].read((7, 3, 20, 9)), picture[3:9, 7:20])


def test_tiles_of_a_lazy_image_are_put_together(picture, monkeypatch, rng):
    from stfmkit._data import images

    monkeypatch.setattr(images, "_TILE_SIDES", (8, 8))
    level = TissueImage.of_element("e", element(np.moveaxis(picture, 2, 0), chunks=(3, 8, 8))).levels[0]
    for _ in range(40):
        left, right = np.sort(rng.choice(51, 2, replace=False))
        top, bottom = np.sort(rng.choice(31, 2, replace=False))
        np.testing.assert_array_equal(level.read((left, top, right, bottom)), picture[top:bottom, left:right])


def test_a_zarr_array_is_read_lazily(picture, tmp_path):
    import zarr

    stored = zarr.create_array(tmp_path / "a.zarr", shape=picture.shape, chunks=(10, 10, 3), dtype="uint8")
    stored[:] = picture
    np.testing.assert_array_equal(whole(TissueImage.of_arrays("a", [stored], factors=[1.0])), picture)


@pytest.mark.parametrize(
    ("names", "order"),
    [(["r", "g", "b"], [0, 1, 2]), (["b", "g", "r"], [2, 1, 0]), (["DAPI", "Blue", "RED", "green"], [2, 3, 1])],
)
def test_channels_are_found_by_their_names(rng, names, order):
    planes = rng.integers(0, 256, size=(len(names), 9, 11), dtype=np.uint8)
    image = TissueImage.of_element("e", element(planes, c_coords=names))
    np.testing.assert_array_equal(whole(image), np.moveaxis(planes[order], 0, 2))


def test_transparency_is_dropped(picture):
    with_alpha = np.concatenate([picture, np.full((30, 50, 1), 7, dtype=np.uint8)], axis=2)
    np.testing.assert_array_equal(whole(TissueImage.of_arrays("a", [with_alpha], factors=[1.0])), picture)


@pytest.mark.parametrize("shape", [(9, 11), (9, 11, 1), (9, 11, 2), (9, 11, 30)])
def test_images_that_are_not_coloured_are_refused(shape):
    with pytest.raises(InputError, match=r"the image 'a' with \d+ channels"):
        TissueImage.of_arrays("a", [np.zeros(shape, dtype=np.uint8)], factors=[1.0])


def test_a_volume_is_refused():
    from spatialdata.models import Image3DModel

    volume = Image3DModel.parse(np.zeros((3, 2, 9, 11), dtype=np.uint8), dims=("c", "z", "y", "x"))
    with pytest.raises(InputError, match="axes"):
        TissueImage.of_element("v", volume)


def test_levels_know_their_pixels(picture):
    image = TissueImage.of_element("e", element(np.moveaxis(picture, 2, 0), scale_factors=[2, 2]))
    assert [level.shape for level in image.levels] == [(30, 50), (15, 25), (7, 12)]
    assert image.levels[2].factor == (50 / 12, 30 / 7)
    finest = {(0.5, 0.5): 0, (1.0, 1.0): 0, (1.9, 1.9): 0, (2.0, 2.0): 1, (4.0, 4.0): 1, (4.3, 4.3): 2, (9, 1): 0}
    for pixel, level in finest.items():
        assert image.level_for(pixel) is image.levels[level]


def test_bytes_from_other_types():
    steps = np.arange(256)
    wide, shares = steps.astype(np.uint16) * 257, steps / 255
    for values in (steps.astype(np.int64), wide, shares, shares.astype(np.float32)):
        np.testing.assert_array_equal(as_uint8(values, name="a"), steps)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [([0.0, 255.0], float), ([-0.1, 0.5], float), ([np.nan, 0.5], float), ([0, 300], int), ([True, False], bool)],
)
def test_values_that_are_no_bytes_are_refused(values, dtype):
    with pytest.raises(InputError, match=r"the image 'a' of dtype(?s:.)*convert the image to uint8"):
        as_uint8(np.array(values, dtype=dtype), name="a")
