"""Rasters against scikit-image and plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stfmkit._kernels._raster import close, dilate, mark, share_inside


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), radius=st.floats(0.5, 7.5), density=st.floats(0, 0.3))
def test_dilate_like_skimage(seed: int, radius: float, density: float) -> None:
    from skimage.morphology import dilation

    raster = np.random.default_rng(seed).random((17, 23)) < density
    reach = int(radius)
    dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    expected = dilation(raster, (dx**2 + dy**2 <= radius**2).astype(np.uint8))
    np.testing.assert_array_equal(dilate(raster, radius), expected)


def test_close_fills_gaps_and_keeps_the_edge() -> None:
    raster = np.zeros((60, 60), dtype=bool)
    raster[20:41:5, 20:41:5] = True
    closed = close(raster, 10.0)
    assert closed[21:40, 21:40].all()
    assert closed[raster].all()
    assert not closed[:19].any()
    assert not closed[:, 42:].any()


def test_mark_is_half_open() -> None:
    raster = np.zeros((3, 4), dtype=bool)
    mark(raster, np.array([10.0, 14.999, 15.0]), np.array([20.0, 25.0, 34.999]), (10.0, 20.0, 5.0))
    assert np.argwhere(raster).tolist() == [[0, 0], [1, 0], [2, 1]]


def test_share_counts_points() -> None:
    raster = np.zeros((4, 4), dtype=bool)
    raster[:, :2] = True
    offsets = np.array([[-1.5, 0.0], [-0.5, 0.0], [0.5, 0.0], [1.5, 0.0]])
    centers = np.array([[2.0, 2.0], [1.0, 2.0], [50.0, 2.0], [3.0, 2.0]])
    share = share_inside(raster, centers, offsets, (0.0, 0.0, 1.0))
    assert share == pytest.approx([0.5, 0.5, 0.0, 0.25])
