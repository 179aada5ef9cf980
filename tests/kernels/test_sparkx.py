"""SPARK-X: hat matrices and scipy's χ² as the oracle, uniform p-values under the null."""

import numpy as np
import pytest
from scipy import sparse, stats

from stfmkit._kernels._sparkx import KERNELS, kernel_bases, log_p_by_kernel, sparkx_log_p


def slow(y: np.ndarray, coords: np.ndarray) -> list[float]:
    """Eigenvalues of the centred kernel times that of the gene; their mixture by simulation-free χ²."""
    n, c = len(y), coords - coords.mean(axis=0)
    designs = [c]
    for shape in (lambda s: np.exp(-(s**2) / 2), lambda s: np.cos(2 * np.pi * s)):
        designs += [shape(c / np.quantile(np.abs(c), q, axis=0)) for q in (0.2, 0.4, 0.6, 0.8, 1.0)]
    out = []
    for design in designs:
        free = design - design.mean(axis=0)
        hat = free @ np.linalg.pinv(free.T @ free) @ free.T
        eigen = np.linalg.eigvalsh(hat)
        eigen = eigen[eigen > 1e-6]
        np.testing.assert_allclose(eigen, 1, atol=1e-6)  # why the mixture is a χ² of as many degrees
        scale = 1 - n * y.mean() ** 2 / (y @ y)
        out.append(stats.chi2.sf(n * (y @ hat @ y) / (y @ y) / scale, df=len(eigen)))
    return out


def test_equals_the_definition(rng):
    coords = rng.uniform(0, 5, (60, 2))
    counts = rng.poisson(1 + coords[:, :1], (60, 7))
    counts[:, 3] = 4
    got = np.exp(log_p_by_kernel(sparse.csr_array(counts), coords))
    assert got.shape == (len(KERNELS), 7)
    assert np.isnan(got[:, 3]).all()
    for gene in (0, 1, 6):
        np.testing.assert_allclose(got[:, gene], slow(counts[:, gene].astype(float), coords), rtol=1e-8)


def test_places_on_a_line_have_one_degree_of_freedom(rng):
    coords = np.column_stack([np.arange(40.0), np.full(40, 7.0)])
    bases = kernel_bases(coords)
    assert {b.shape[1] for b in bases} == {1}
    y = rng.poisson(3, 40).astype(float)
    got = np.exp(log_p_by_kernel(sparse.csr_array(y[:, None]), coords)[0, 0])
    r = stats.pearsonr(y, coords[:, 0]).statistic
    # |Q'y|² / λ y'y is r² exactly: the projection on one centred axis
    assert got == pytest.approx(stats.chi2.sf(40 * r**2, df=1), rel=1e-9)


def test_collinear_coordinates_do_not_break(rng):
    x = rng.uniform(size=50)
    found = sparkx_log_p(sparse.csr_array(rng.poisson(2, (50, 5))), np.column_stack([x, 2 * x + 1]))
    assert np.isfinite(found).all()


def test_a_lattice_with_many_equal_places_has_no_zero_length(rng):
    coords = np.stack(np.meshgrid([0.0, 1.0, 2.0], np.arange(20.0)), axis=-1).reshape(-1, 2)
    assert all(np.isfinite(b).all() for b in kernel_bases(coords))
    assert np.isfinite(sparkx_log_p(sparse.csr_array(rng.poisson(2, (60, 4))), coords)).all()


def test_null_is_uniform_for_every_kernel(rng):
    coords = rng.uniform(size=(600, 2))
    counts = sparse.csr_array(rng.poisson(rng.gamma(1, 1, 3000), (600, 3000)))
    log_p = log_p_by_kernel(counts, coords)
    for kernel in log_p:
        assert stats.kstest(np.exp(kernel[~np.isnan(kernel)]), "uniform").pvalue > 1e-3
    combined = np.exp(sparkx_log_p(counts, coords))
    assert np.mean(combined < 0.05) == pytest.approx(0.05, abs=0.015)
    assert np.mean(combined < 0.01) == pytest.approx(0.01, abs=0.006)


def test_moving_turning_by_a_right_angle_and_scaling_change_nothing(rng):
    coords = rng.uniform(size=(80, 2))
    counts = sparse.csr_array(rng.poisson(2, (80, 6)))
    want = sparkx_log_p(counts, coords)
    moved = np.column_stack([300 - 1e3 * coords[:, 1], 1e3 * coords[:, 0] + 77])
    np.testing.assert_allclose(sparkx_log_p(counts, moved), want, rtol=1e-7)
    np.testing.assert_allclose(sparkx_log_p(sparse.csr_array(counts * 5), coords), want, rtol=1e-9)


def test_p_values_too_small_for_a_float_keep_their_order():
    x = np.linspace(0, 1, 4000)
    coords = np.column_stack([x, np.random.default_rng(0).uniform(size=4000)])
    counts = sparse.csr_array(np.column_stack([np.rint(50 * x), np.rint(50 * x**3), np.rint(25 + 9 * x)]).astype(int))
    got = sparkx_log_p(counts, coords)
    assert (got < np.log(np.finfo(float).tiny)).all()
    assert np.isfinite(got).all()
    assert len(set(got)) == 3
