"""Module preservation: scikit-learn's Ward clustering of the standardised genes as the oracle."""

import numpy as np
import pytest
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import adjusted_rand_score

from stfmkit._core.errors import InputError
from stfmkit.metrics import module_preservation

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


def test_unusable_input_is_refused(rng):
    truth = np.corrcoef(values(rng).T)
    for n, words in ((30, "n_modules=30 of 30 genes"), (1, "n_modules=1")):
        with pytest.raises(InputError, match=words):
            module_preservation(truth, truth, n_modules=n)
    with pytest.raises(InputError, match="differs from its transpose"):
        module_preservation(truth, np.triu(truth))
