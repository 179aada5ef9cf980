"""The SSIM kernel: windows summed one by one as the reference, compiled and in plain Python."""

import numpy as np
import pytest

from stfmkit._kernels import _ssim
from stfmkit._kernels._ssim import mean_ssim

CONSTANTS = (0.02**2, 0.06**2)


def slow(a, b, window):
    c1, c2 = CONSTANTS
    scores = []
    for i in range(a.shape[0] - window + 1):
        for j in range(a.shape[1] - window + 1):
            x, y = (m[i : i + window, j : j + window].ravel() for m in (a, b))
            covariance = np.cov(x, y)
            top = (2 * x.mean() * y.mean() + c1) * (2 * covariance[0, 1] + c2)
            scores.append(top / ((x.mean() ** 2 + y.mean() ** 2 + c1) * (covariance[0, 0] + covariance[1, 1] + c2)))
    return np.mean(scores)


@pytest.mark.parametrize("shape", [(7, 7), (9, 30), (30, 8)])
@pytest.mark.parametrize("window", [3, 5, 7])
def test_kernel_equals_windows_one_by_one(rng, shape, window):
    a, b = rng.uniform(-1, 1, size=(2, *shape))
    assert mean_ssim(a, b, window, CONSTANTS) == pytest.approx(slow(a, b, window), abs=1e-12)


def test_tile_borders_do_not_show(rng, monkeypatch):
    shape = (_ssim._TILE_ROWS * 2 + 9, _ssim._TILE_COLS + 40)
    a, b = rng.uniform(-1, 1, size=(2, *shape))
    whole = mean_ssim(a, b, 7, CONSTANTS)
    parts, weights = [], []
    for start in range(0, shape[1] - 6, 100):
        part = slice(start, min(start + 106, shape[1]))
        weights.append(part.stop - part.start - 6)
        parts.append(mean_ssim(np.ascontiguousarray(a[:, part]), np.ascontiguousarray(b[:, part]), 7, CONSTANTS))
    assert whole == pytest.approx(np.average(parts, weights=weights), abs=1e-12)


def test_plain_python_twin_agrees(rng, monkeypatch):
    a, b = rng.uniform(-1, 1, size=(2, 11, 12))
    compiled = mean_ssim(a, b, 3, CONSTANTS)
    monkeypatch.setattr(_ssim, "_slide", _ssim._slide.py_func)
    monkeypatch.setattr(_ssim, "_row_total", _ssim._row_total.py_func)
    monkeypatch.setattr(_ssim, "_TILE_ROWS", 4)
    monkeypatch.setattr(_ssim, "_TILE_COLS", 5)
    assert mean_ssim.py_func(a, b, 3, CONSTANTS) == pytest.approx(compiled, abs=1e-13)
