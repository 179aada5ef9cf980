"""A patch is what was painted around an observation, whatever lies between the two."""

import numpy as np
import pytest
from tests.histology import (
    BLOCK,
    HEIGHT,
    MICRONS_PER_PIXEL,
    WIDTH,
    Section,
    as_anndata,
    as_spatialdata,
    make_table,
    paint_section,
    rotation,
)

from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError, StfmkitWarning, UnitsError
from stfmkit._data.patches import read_patches
from stfmkit._data.view import View

WAYS = {
    "identity": rotation(0),
    "30 degrees": rotation(30, shift=(40, -11)),
    "90 degrees": rotation(90),
    "flip x": rotation(0, scale=(-1, 1), shift=(300, 0)),
    "flip y, 200 degrees, half": rotation(200, scale=(0.5, -0.5), shift=(3, 4)),
    "anisotropic": rotation(-17, scale=(0.3, 0.8)),
    "shear": np.array([[1.0, 0.4, 2.0], [0.1, 1.2, -5.0], [0.0, 0.0, 1.0]]),
}


@pytest.fixture(scope="module")
def section():
    return paint_section()


@pytest.fixture(params=WAYS)
def rotated(request, section, rng):
    """The section as SpatialData, its circles in another order than the table."""
    return as_spatialdata(section, WAYS[request.param], order=rng.permutation(len(section.centers)))


def everything(patches):
    return patches.read(np.arange(patches.shape[0]))


def gradient():
    """Return a section whose red is three times the column, and whose green is three times the row."""
    image = np.zeros((72, 84, 3), dtype=np.uint8)
    for y in range(72):
        for x in range(84):
            image[y, x] = (3 * x, 3 * y, 77)
    return Section(image, np.array([[40.25, 33.5], [42.0, 36.0], [44.3, 29.9], [37.0, 40.0]]), None, list("abcd"))


def test_patches_of_a_spatialdata_are_what_was_painted(section, rotated):
    patches = read_patches(View.of(rotated), size=BLOCK)
    assert patches.shape == (len(section.centers), BLOCK, BLOCK, 3)
    np.testing.assert_array_equal(everything(patches), section.blocks)
    assert (patches.padded_share == 0).all()


def test_patches_of_an_anndata_are_what_was_painted(section):
    patches = read_patches(View.of(as_anndata(section)), size=BLOCK)
    np.testing.assert_array_equal(everything(patches), section.blocks)


def test_rows_come_in_the_order_that_was_asked_for(section, rotated, rng):
    rows = rng.integers(0, len(section.centers), size=50)
    patches = read_patches(View.of(rotated), size=BLOCK)
    np.testing.assert_array_equal(patches.read(rows), section.blocks[rows])
    assert patches.read(rows[:0]).shape == (0, BLOCK, BLOCK, 3)


@pytest.mark.parametrize("size", [1, 3, 9])
def test_a_smaller_patch_is_the_middle_of_the_block(section, size):
    patches = read_patches(View.of(as_anndata(section)), size=size)
    first = BLOCK // 2 - size // 2 - (size % 2) + 1  # the centre lies on a border of pixels: halves are rounded up
    middle = section.blocks[:, first : first + size, first : first + size]
    np.testing.assert_array_equal(everything(patches), middle)


def test_the_same_scale_in_microns_is_the_same_patch(section):
    view = View.of(as_anndata(section))
    patches = read_patches(view, size=BLOCK, microns_per_pixel=MICRONS_PER_PIXEL)
    np.testing.assert_array_equal(everything(patches), section.blocks)


@pytest.mark.parametrize("way", [way for way in WAYS if way not in {"anisotropic", "shear"}])
@pytest.mark.parametrize("factors", [None, [2, 2]])
@pytest.mark.parametrize("wanted", [0.45, 0.5, 1.1, 2.0])
def test_resampling_keeps_positions_and_lengths(way, factors, wanted):
    """Antialiasing filters are symmetric and keep a gradient, so that every value says where it was taken."""
    painted = gradient()
    unit = np.linalg.norm(WAYS[way][:2, 0])  # of a pixel of 0.5 µm, in the coordinate system
    sdata = as_spatialdata(painted, WAYS[way], scale_factors=factors, microns=0.5 / unit)
    size, step = 6, wanted / 0.5
    read = everything(read_patches(View.of(sdata), size=size, microns_per_pixel=wanted)).astype(float)
    rounding = 1.01 if factors is None or step < 2 else 2.01  # two passes of bytes; levels are cut off, not rounded
    for patch, (x, y) in zip(read, painted.centers, strict=True):
        for i in range(size):
            offset = (i + 0.5 - size / 2) * step - 0.5  # pixel k of the image, of value 3k, has its centre at k + 0.5
            np.testing.assert_allclose(patch[:, i, 0], 3 * (x + offset), atol=rounding)
            np.testing.assert_allclose(patch[i, :, 1], 3 * (y + offset), atol=rounding)
    assert (read[..., 2] == 77).all()


def test_pixels_that_are_not_square_are_resampled_along_each_axis():
    painted = gradient()
    sdata = as_spatialdata(painted, rotation(25, scale=(0.5, 1.0)), microns=1.0)
    read = everything(read_patches(View.of(sdata), size=8, microns_per_pixel=2.0)).astype(float)
    for patch, (x, y) in zip(read, painted.centers, strict=True):
        for i in range(8):
            np.testing.assert_allclose(patch[:, i, 0], 3 * (x + (i - 3.5) * 4 - 0.5), atol=1.01)  # 2 µm are 4 columns
            np.testing.assert_allclose(patch[i, :, 1], 3 * (y + (i - 3.5) * 2 - 0.5), atol=1.01)  # and 2 rows


def test_shrinking_does_not_alias():
    board = np.indices((200, 300)).sum(axis=0) % 2 * 255
    painted = Section(np.repeat(board[:, :, None], 3, axis=2).astype(np.uint8), np.array([[120.0, 90.0]]), None, ["a"])
    adata = as_anndata(painted)
    read = everything(read_patches(View.of(adata), size=8, microns_per_pixel=8 * MICRONS_PER_PIXEL))
    assert np.abs(read.astype(float) - 127.5).max() < 6


def test_what_lies_outside_is_filled_and_counted(section):
    n = len(section.centers)
    edges = np.array([(0.0, 0.0), (WIDTH, HEIGHT), (3.0, 60.0), (WIDTH - 2.0, 100.0), (50.0, HEIGHT)])
    painted = Section(
        section.image, np.concatenate([section.centers, edges]), section.blocks, section.names + list("abcde")
    )
    patches = read_patches(View.of(as_anndata(painted)), size=20, fill=9)
    canvas = np.full((HEIGHT + 200, WIDTH + 200, 3), 9, dtype=np.uint8)
    canvas[100:-100, 100:-100] = section.image
    inside = np.zeros(canvas.shape[:2])
    inside[100:-100, 100:-100] = 1
    for row, (x, y) in enumerate(painted.centers.astype(int)):
        window = (slice(y + 90, y + 110), slice(x + 90, x + 110))
        np.testing.assert_array_equal(patches.read(np.array([row]))[0], canvas[window])
        assert patches.padded_share[row] == pytest.approx(1 - inside[window].mean())
    facts = patches.facts()
    assert facts["n_padded"] == 5
    assert facts["padded_share"] == pytest.approx(patches.padded_share.mean())
    wide = read_patches(View.of(as_anndata(painted)), size=20, microns_per_pixel=MICRONS_PER_PIXEL, fill=9)
    np.testing.assert_allclose(wide.padded_share, patches.padded_share)
    np.testing.assert_array_equal(wide.read(np.arange(n, n + 5)), patches.read(np.arange(n, n + 5)))


def test_only_what_is_needed_is_loaded_and_only_once():
    import dask.array as da
    from spatialdata.models import Image2DModel

    painted = gradient()
    loaded = []

    def load(block_info=None):
        place = block_info[None]["array-location"]
        loaded.append(tuple(start for start, _ in place))
        (_, _), (top, bottom), (left, right) = place
        return np.moveaxis(painted.image[top:bottom, left:right], 2, 0)

    sdata = as_spatialdata(painted, rotation(30))
    chunks = ((3,), (12,) * 6, (12,) * 7)
    lazy = da.map_blocks(load, chunks=chunks, dtype=np.uint8, meta=np.empty((0, 0, 0), dtype=np.uint8))
    before = sdata.images["he"]
    from spatialdata.transformations import get_transformation

    del sdata.images["he"]
    ways = get_transformation(before, get_all=True)
    sdata.images["he"] = Image2DModel.parse(lazy, dims=("c", "y", "x"), c_coords=["r", "g", "b"], transformations=ways)
    patches = read_patches(View.of(sdata), size=8)
    assert loaded == []  # opening reads nothing
    patches.images[0].image.levels[0].__dict__["tile"] = 12  # small tiles, as chunks of a large image
    read = patches.read(np.arange(4))
    np.testing.assert_array_equal(read[1, 4, 4], [126, 108, 77])
    assert 0 < len(loaded) < 42
    assert len(loaded) == len(set(loaded))
    patches.read(np.arange(4))
    assert len(loaded) == len(set(loaded))  # from the cache


def test_the_cache_of_tiles_is_bounded(section, monkeypatch):
    from stfmkit._data import images

    monkeypatch.setattr(images, "_CACHE_BYTES", 10 * 3 * 32**2)
    monkeypatch.setattr(images, "_TILE_SIDES", (32, 32))
    sdata = as_spatialdata(section, rotation(30), chunks=32)
    patches = read_patches(View.of(sdata), size=BLOCK)
    np.testing.assert_array_equal(everything(patches), section.blocks)
    level = patches.images[0].image.levels[0]
    assert level.tile == 32
    assert len(level._tiles) == 10


def test_patches_are_told_apart_by_what_they_show(section):
    """Not by how the image is stored, nor by how it is turned in its coordinate system."""
    of_array = read_patches(View.of(as_anndata(section)), size=BLOCK)
    of_element = read_patches(View.of(as_spatialdata(section, rotation(30))), size=BLOCK)
    smaller = read_patches(View.of(as_anndata(section)), size=BLOCK - 2)
    other = read_patches(View.of(as_anndata(paint_section(5))), size=BLOCK)
    assert of_array.identity() == of_element.identity()
    assert len({patches.identity() for patches in (of_array, smaller, other)}) == 3


def test_patches_can_be_sent_to_another_process(section):
    import pickle

    patches = read_patches(View.of(as_spatialdata(section, rotation(30))), size=BLOCK)
    everything(patches)
    level = patches.images[0].image.levels[0]
    assert level._tiles
    sent = pickle.loads(pickle.dumps(patches))
    assert not sent.images[0].image.levels[0]._tiles
    np.testing.assert_array_equal(everything(sent), section.blocks)


def test_microns_without_a_known_unit_are_refused(section):
    adata = as_anndata(section, microns=False)
    with pytest.raises(UnitsError, match=r"images of unknown scale: 'L'(?s:.)*adata.uns"):
        read_patches(View.of(adata), size=8, microns_per_pixel=0.5)
    assert read_patches(View.of(adata), size=8).read(np.array([0])).shape == (1, 8, 8, 3)
    told = read_patches(View.of(adata), size=BLOCK, microns_per_pixel=0.5, microns_per_unit=MICRONS_PER_PIXEL * 0.25)
    np.testing.assert_array_equal(everything(told), section.blocks)
    sdata = as_spatialdata(section, rotation(30))
    with pytest.raises(UnitsError, match=r"sdata.attrs"):
        read_patches(View.of(sdata), size=8, microns_per_pixel=0.5)
    told = read_patches(View.of(sdata), size=BLOCK, microns_per_pixel=0.5, microns_per_unit=0.5)
    np.testing.assert_array_equal(everything(told), section.blocks)


def test_an_image_that_is_too_coarse_is_warned_of(section):
    with pytest.warns(StfmkitWarning, match=r"0\.1 µm per pixel are enlarged(?s:.)*0\.5 µm per pixel \('L'\)"):
        read_patches(View.of(as_anndata(section)), size=8, microns_per_pixel=0.1)


def test_observations_beside_the_image_are_refused(section):
    adata = as_anndata(section)
    adata.obsm["spatial"] = adata.obsm["spatial"] * 4
    with pytest.raises(InputError, match=r"of 35 observations outside of their image: 'spot"):
        read_patches(View.of(adata), size=BLOCK)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"size": 0}, InputError, "size=0"),
        ({"size": 2.5}, InputError, "size=2.5"),
        ({"size": 8, "fill": 300}, InputError, "fill=300"),
        ({"size": 8, "fill": "white"}, InputTypeError, "fill='white'"),
        ({"size": 8, "microns_per_pixel": -1}, InputError, "microns_per_pixel=-1"),
        ({"size": 8, "microns_per_unit": 0}, InputError, "microns_per_unit=0"),
        ({"size": 8, "image_key": "hirse"}, MissingKeyError, "Did you mean 'hires'"),
        ({"size": 8, "coordinate_system": "tissue"}, InputError, "with an AnnData"),
    ],
)
def test_options_refused(section, options, error, text):
    with pytest.raises(error, match=text):
        read_patches(View.of(as_anndata(section)), **options)


def test_a_table_without_images_is_refused(section):
    table = make_table(section)
    table.obsm["spatial"] = section.centers
    with pytest.raises(MissingKeyError, match="an AnnData without images"):
        read_patches(View.of(table), size=8)


def test_rounding_is_no_padding(section):
    draw = np.random.default_rng(0)
    centers = draw.uniform(45, 55, size=(14, 2)) + 10
    edge = np.array([[7.0, 7.0], [WIDTH - 7.0, HEIGHT - 7.0]]) * (1 + 1e-15)  # patches that end where the image does
    painted = Section(section.image, np.vstack([centers, edge]), None, [f"c{i}" for i in range(16)])
    patches = read_patches(View.of(as_anndata(painted)), size=20, microns_per_pixel=0.7 * MICRONS_PER_PIXEL)
    assert (patches.padded_share == 0).all()
    assert (patches.facts()["n_padded"], patches.facts()["padded_share"]) == (0, 0.0)
