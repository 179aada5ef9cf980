"""Eigenvalues and eigenvectors: numpy's full decomposition and principal angles of scipy as oracles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import subspace_angles

from stfmkit._core.errors import InputError
from stfmkit.metrics import participation_ratio, subspace_affinity

NAN = float("nan")


def matrix(rng, n=12, n_obs=40, modules=3):
    X = rng.normal(size=(n_obs, n)) + rng.normal(size=(n_obs, modules))[:, np.arange(n) % modules]
    return np.corrcoef(X.T)


def test_participation_ratio_equals_the_one_of_eigenvalues(rng):
    a, b = matrix(rng), matrix(rng, modules=1)
    values = [np.linalg.eigvalsh(m) for m in (a, b)]
    sizes = [v.sum() ** 2 / (v**2).sum() for v in values]
    assert participation_ratio(a, b) == pytest.approx(sizes[1] / sizes[0])
    assert participation_ratio(a, a) == 1
    assert participation_ratio(a, b) < 1 < participation_ratio(a, np.eye(12))


@pytest.mark.parametrize("k", [1, 3, 11])
def test_affinity_equals_the_cosines_of_principal_angles(rng, k):
    a, b = matrix(rng), matrix(rng)
    leading = [np.linalg.eigh(m)[1][:, -k:] for m in (a, b)]
    expected = np.mean(np.cos(subspace_angles(*leading)) ** 2)
    assert subspace_affinity(a, b, k=k) == pytest.approx(expected, abs=1e-10)
    assert subspace_affinity(a, a, k=k) == pytest.approx(1)


@pytest.mark.parametrize("k", [1, 5])
def test_no_coexpression_is_at_chance_exactly(rng, k):
    assert subspace_affinity(matrix(rng), np.eye(12), k=k) == pytest.approx(k / 12)


def test_tied_directions_count_in_part():
    blocks = np.kron(np.eye(3), np.full((2, 2), 0.5)) + 0.5 * np.eye(6)  # 1.5 three times, 0.5 three times
    assert subspace_affinity(blocks, blocks, k=3) == pytest.approx(1)
    assert subspace_affinity(blocks, blocks, k=2) == pytest.approx((2 / 3) ** 2 * 3 / 2)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 7))
def test_the_order_of_the_genes_changes_nothing(seed, k):
    rng = np.random.default_rng(seed)
    a, b = matrix(rng, n=8), matrix(rng, n=8)
    mixed = np.ix_(*2 * [rng.permutation(8)])
    assert subspace_affinity(a[mixed], b[mixed], k=k) == pytest.approx(subspace_affinity(a, b, k=k), abs=1e-7)
    assert participation_ratio(a[mixed], b[mixed]) == pytest.approx(participation_ratio(a, b))
    assert 0 <= subspace_affinity(a, b, k=k) <= 1
    assert subspace_affinity(b, a, k=k) == pytest.approx(subspace_affinity(a, b, k=k), abs=1e-9)


def test_undefined_genes_are_left_out(rng):
    a, b = matrix(rng), matrix(rng)
    holed = b.copy()
    holed[4] = holed[:, 4] = NAN
    rest = np.ix_(*2 * [np.delete(np.arange(12), 4)])
    assert subspace_affinity(a, holed, k=3) == pytest.approx(subspace_affinity(a[rest], b[rest], k=3))
    assert participation_ratio(a, holed) == pytest.approx(participation_ratio(a[rest], b[rest]))
    assert np.isnan(subspace_affinity(a, np.full((12, 12), NAN), k=3))
    assert np.isnan(participation_ratio(a, np.full((12, 12), NAN)))


def test_unusable_input_is_refused(rng):
    a = matrix(rng)
    for k, words in ((12, "k=12 of 12 genes"), (0, "k=0"), (1.5, "k=1.5")):
        with pytest.raises(InputError, match=words):
            subspace_affinity(a, a, k=k)
    for metric in (subspace_affinity, participation_ratio):
        with pytest.raises(InputError, match="differs from its transpose"):
            metric(a, np.triu(a))
        with pytest.raises(InputError, match="infinite"):
            metric(a, np.full((12, 12), np.inf))
        with pytest.raises(InputError, match="shape"):
            metric(a, a[:11, :11])
