"""SSIM: scikit-image as the oracle, and what must hold for every pair of matrices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.metrics import structural_similarity

from stfmkit._core.errors import InputError, InputTypeError
from stfmkit.metrics import ssim

MATRIX = arrays(np.float64, (9, 8), elements=st.floats(-1, 1, allow_subnormal=False))


@pytest.mark.parametrize("shape", [(7, 7), (8, 31), (120, 90), (70, 600)])
@pytest.mark.parametrize("window", [3, 7])
@pytest.mark.parametrize("data_range", [1.0, 2.0, 255.0])
def test_equal_to_skimage(rng, shape, window, data_range):
    a = rng.uniform(-1, 1, size=shape) * data_range / 2
    b = a + rng.normal(size=shape) * data_range / 10
    expected = structural_similarity(a, b, win_size=window, data_range=data_range)
    assert ssim(a, b, window=window, data_range=data_range) == pytest.approx(expected, abs=1e-10)


def test_equal_to_skimage_on_flat_blocks_and_with_an_offset(rng):
    a = np.kron(rng.uniform(-1, 1, size=(6, 6)), np.ones((20, 20))) + 100
    b = a + 1e-3 * rng.normal(size=a.shape)
    assert ssim(a, b, data_range=2) == pytest.approx(structural_similarity(a, b, win_size=7, data_range=2), abs=1e-7)


def test_single_precision_is_computed_in_double(rng):
    a, b = rng.uniform(-1, 1, size=(2, 30, 30)).astype(np.float32)
    expected = structural_similarity(a.astype(float), b.astype(float), win_size=7, data_range=2)
    assert ssim(a, b, data_range=2) == pytest.approx(expected, abs=1e-12)
    assert ssim(a.T, b.T, data_range=2) == pytest.approx(
        structural_similarity(a.T.astype(float), b.T.astype(float), win_size=7, data_range=2), abs=1e-12
    )


@settings(deadline=None)
@given(MATRIX, MATRIX)
def test_bounds_symmetry_and_identity(a, b):
    score = ssim(a, b, data_range=2)
    assert -1 - 1e-12 <= score <= 1 + 1e-12
    assert ssim(b, a, data_range=2) == pytest.approx(score, abs=1e-12)
    assert ssim(a, a, data_range=2) == pytest.approx(1, abs=1e-12)
    assert ssim(a.T, b.T, data_range=2) == pytest.approx(score, abs=1e-12)
    assert ssim(5 * a, 5 * b, data_range=10) == pytest.approx(score, abs=1e-9)


def test_noise_lowers_the_score(rng):
    a = rng.uniform(-1, 1, size=(40, 40))
    noise = rng.normal(size=a.shape)
    scores = [ssim(a, a + size * noise, data_range=2) for size in (0.0, 0.1, 0.3, 1.0)]
    assert scores == sorted(scores, reverse=True)


def test_nothing_is_written_to_the_input(rng):
    a, b = rng.uniform(size=(2, 10, 10))
    before = a.copy(), b.copy()
    ssim(a, b, data_range=1)
    assert (a == before[0]).all()
    assert (b == before[1]).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"b": np.zeros((9, 8))}, "shape"),
        ({"a": np.zeros((6, 9)), "b": np.zeros((6, 9))}, "side 6 and window=7"),
        ({"window": 4}, "odd"),
        ({"window": 1}, "window=1"),
        ({"window": 7.5}, "window=7.5"),
        ({"data_range": 0.0}, "data_range"),
        ({"data_range": np.inf}, "data_range"),
        ({"a": np.full((9, 9), np.nan)}, "81 NaN or infinite values in a"),
        ({"b": np.full((9, 9), -np.inf)}, "81 NaN or infinite values in b"),
        ({"a": np.zeros(9)}, "shape"),
    ],
)
def test_unusable_input_is_refused(change, words):
    given_ = {"a": np.zeros((9, 9)), "b": np.zeros((9, 9)), "window": 7, "data_range": 2.0} | change
    with pytest.raises(InputError, match=words):
        ssim(given_.pop("a"), given_.pop("b"), **given_)


def test_complex_numbers_are_refused():
    with pytest.raises(InputTypeError, match="complex"):
        ssim(np.zeros((9, 9), dtype=complex), np.zeros((9, 9)), data_range=1)
