"""Eigenvectors against numpy and scipy, modules of genes against their construction."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import subspace_angles
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import adjusted_rand_score

from stfmkit._core.errors import InputError
from stfmkit.metrics import module_preservation, participation_ratio, subspace_affinity

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
    assert subspace_affinity(a, b, n_eigenvectors=k) == pytest.approx(expected, abs=1e-10)
    assert subspace_affinity(a, a, n_eigenvectors=k) == pytest.approx(1)


@pytest.mark.parametrize("k", [1, 5])
def test_no_coexpression_is_at_chance_exactly(rng, k):
    assert subspace_affinity(matrix(rng), np.eye(12), n_eigenvectors=k) == pytest.approx(k / 12)


def test_tied_directions_count_in_part():
    blocks = np.kron(np.eye(3), np.full((2, 2), 0.5)) + 0.5 * np.eye(6)  # 1.5 three times, 0.5 three times
    assert subspace_affinity(blocks, blocks, n_eigenvectors=3) == pytest.approx(1)
    assert subspace_affinity(blocks, blocks, n_eigenvectors=2) == pytest.approx((2 / 3) ** 2 * 3 / 2)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 7))
def test_the_order_of_the_genes_changes_nothing(seed, k):
    rng = np.random.default_rng(seed)
    a, b = matrix(rng, n=8), matrix(rng, n=8)
    mixed = np.ix_(*2 * [rng.permutation(8)])
    found = subspace_affinity(a, b, n_eigenvectors=k)
    assert subspace_affinity(a[mixed], b[mixed], n_eigenvectors=k) == pytest.approx(found, abs=1e-7)
    assert participation_ratio(a[mixed], b[mixed]) == pytest.approx(participation_ratio(a, b))
    assert 0 <= found <= 1
    assert subspace_affinity(b, a, n_eigenvectors=k) == pytest.approx(
        subspace_affinity(a, b, n_eigenvectors=k), abs=1e-9
    )


def test_undefined_genes_are_left_out(rng):
    a, b = matrix(rng), matrix(rng)
    holed = b.copy()
    holed[4] = holed[:, 4] = NAN
    rest = np.ix_(*2 * [np.delete(np.arange(12), 4)])
    assert subspace_affinity(a, holed, n_eigenvectors=3) == pytest.approx(
        subspace_affinity(a[rest], b[rest], n_eigenvectors=3)
    )
    assert participation_ratio(a, holed) == pytest.approx(participation_ratio(a[rest], b[rest]))
    assert np.isnan(subspace_affinity(a, np.full((12, 12), NAN), n_eigenvectors=3))
    assert np.isnan(participation_ratio(a, np.full((12, 12), NAN)))


def test_unusable_input_is_refused(rng):
    a = matrix(rng)
    for k, words in ((12, "n_eigenvectors=12 of 12 genes"), (0, "n_eigenvectors=0"), (1.5, "n_eigenvectors=1.5")):
        with pytest.raises(InputError, match=words):
            subspace_affinity(a, a, n_eigenvectors=k)
    for metric in (subspace_affinity, participation_ratio):
        with pytest.raises(InputError, match="differs from its transpose"):
            metric(a, np.triu(a))
        with pytest.raises(InputError, match="infinite"):
            metric(a, np.full((12, 12), np.inf))
        with pytest.raises(InputError, match="shape"):
            metric(a, a[:11, :11])


NAN = float("nan")


def values(rng, n=30, noise=1.0):
    return noise * rng.normal(size=(80, n)) + 2 * rng.normal(size=(80, 5))[:, np.arange(n) % 5]


@pytest.mark.parametrize("n_modules", [2, 5, 9])
def test_equal_to_ward_on_standardised_genes(rng, n_modules):
    X = values(rng)
    Y = X + 2 * rng.normal(size=X.shape)
    clusters = []
    for m in (X, Y):
        z = (m - m.mean(axis=0)) / m.std(axis=0)
        clusters.append(AgglomerativeClustering(n_modules, linkage="ward").fit_predict(z.T))
    found = module_preservation(np.corrcoef(X.T), np.corrcoef(Y.T), n_modules=n_modules)
    assert found == pytest.approx(adjusted_rand_score(*clusters))


def test_true_modules_are_kept_and_shuffled_ones_are_not(rng):
    X = values(rng, noise=0.5)
    truth = np.corrcoef(X.T)
    mixed = np.ix_(*2 * [rng.permutation(30)])
    assert module_preservation(truth, np.corrcoef(values(rng, noise=0.5).T), n_modules=5) == 1
    assert abs(module_preservation(truth, truth[mixed], n_modules=5)) < 0.2


def test_flat_matrices_and_undefined_genes(rng):
    truth = np.corrcoef(values(rng).T)
    assert module_preservation(truth, np.eye(30)) == 0
    assert np.isnan(module_preservation(np.eye(30), truth))
    holed = truth.copy()
    holed[:25] = holed[:, :25] = NAN
    assert np.isnan(module_preservation(truth, holed, n_modules=5))
    holed = truth.copy()
    holed[3] = holed[:, 3] = NAN
    assert module_preservation(truth, holed, n_modules=5) == 1


def test_numbers_of_modules_that_do_not_fit_are_refused(rng):
    truth = np.corrcoef(values(rng).T)
    for n, words in ((30, "n_modules=30 of 30 genes"), (1, "n_modules=1")):
        with pytest.raises(InputError, match=words):
            module_preservation(truth, truth, n_modules=n)
    with pytest.raises(InputError, match="differs from its transpose"):
        module_preservation(truth, np.triu(truth))
