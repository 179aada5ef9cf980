"""The SSIM kernel: windows summed one by one as the reference, compiled and in plain Python."""

import tracemalloc

import numpy as np
import pytest

from stfmkit._kernels import _ssim
from stfmkit._kernels._ssim import mean_ssim, mean_ssim_ordered

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


def test_tile_borders_do_not_show(rng):
    shape = (_ssim._RESTART * 3 + 9, _ssim._TILE_COLS + 40)
    a, b = rng.uniform(-1, 1, size=(2, *shape))
    whole = mean_ssim(a, b, 7, CONSTANTS)
    parts, weights = [], []
    for start in range(0, shape[1] - 6, 100):
        part = slice(start, min(start + 106, shape[1]))
        weights.append(part.stop - part.start - 6)
        parts.append(mean_ssim(np.ascontiguousarray(a[:, part]), np.ascontiguousarray(b[:, part]), 7, CONSTANTS))
    assert whole == pytest.approx(np.average(parts, weights=weights), abs=1e-12)
    one = _ssim.band_total(a, b, (0, shape[0] - 6), (7, CONSTANTS)) / ((shape[0] - 6) * (shape[1] - 6))
    assert whole == pytest.approx(one, abs=1e-12)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_number_of_threads_changes_no_bit(rng, threads, monkeypatch):
    a, b = rng.uniform(-1, 1, size=(2, 90, 90))
    order = rng.permutation(90)
    expected = mean_ssim(a, b, 7, CONSTANTS), mean_ssim_ordered((a, b), order, 7, CONSTANTS)
    monkeypatch.setattr("stfmkit._kernels._threads.n_threads", lambda: threads)
    assert (mean_ssim(a, b, 7, CONSTANTS), mean_ssim_ordered((a, b), order, 7, CONSTANTS)) == expected


@pytest.mark.parametrize("n", [7, 40, 200])
@pytest.mark.parametrize("window", [3, 7])
def test_ordered_equals_the_rearranged_matrices(rng, n, window):
    a, b = rng.uniform(-1, 1, size=(2, n, n))
    order = rng.permutation(n)[: max(window, n - 3)]
    rearranged = [m[np.ix_(order, order)] for m in (a, b)]
    for m in rearranged:
        np.fill_diagonal(m, 0)
    assert mean_ssim_ordered((a, b), order, window, CONSTANTS) == pytest.approx(
        mean_ssim(*rearranged, window, CONSTANTS), abs=1e-13
    )


def test_nothing_of_the_size_of_the_matrices_is_made(rng, monkeypatch):
    monkeypatch.setattr("stfmkit._kernels._threads.n_threads", lambda: 2)
    a, b = rng.uniform(-1, 1, size=(2, 1500, 1500))
    order = rng.permutation(1500)
    mean_ssim_ordered((a, b), order, 7, CONSTANTS)
    tracemalloc.start()
    mean_ssim(a, b, 7, CONSTANTS)
    assert tracemalloc.get_traced_memory()[1] < a.nbytes / 50
    mean_ssim_ordered((a, b), order, 7, CONSTANTS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < a.nbytes / 4


def test_single_precision_is_summed_in_double(rng):
    a, b = rng.uniform(-1, 1, size=(2, 60, 60)).astype(np.float32)
    assert mean_ssim(a, b, 7, CONSTANTS) == mean_ssim(a.astype(float), b.astype(float), 7, CONSTANTS)


def test_plain_python_twins_agree(rng, monkeypatch):
    a, b = rng.uniform(-1, 1, size=(2, 14, 14))
    order = rng.permutation(14)
    for window in (3, 7):
        rows = (1, 14 - window + 1)
        compiled = _ssim.band_total(a, b, rows, (window, CONSTANTS))
        ordered = _ssim.ordered_total((a, b), order, rows, (window, CONSTANTS))
        with monkeypatch.context() as patch:
            for name in ("_begin", "_slide", "_across", "_add_scores", "_arrange", "band_total"):
                patch.setattr(_ssim, name, getattr(_ssim, name).py_func)
            for name, value in (("_RESTART", 4), ("_TILE_COLS", 5), ("_BAND", 3)):
                patch.setattr(_ssim, name, value)
            assert _ssim.band_total(a, b, rows, (window, CONSTANTS)) == pytest.approx(compiled, abs=1e-12)
            found = _ssim.ordered_total.py_func((a, b), order, rows, (window, CONSTANTS))
            assert found == pytest.approx(ordered, abs=1e-12)
