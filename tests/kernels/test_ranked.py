"""Ranks that serve many groupings: scikit-learn and the kernel of the single grouping as oracles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.metrics import roc_auc_score

from stfmkit._kernels._ranked import Ranked
from stfmkit.metrics import auroc_by_group


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.booleans(), st.integers(2, 4))
def test_equals_the_single_grouping_dense_and_sparse(seed, signed, n_groups):
    rng = np.random.default_rng(seed)
    values = rng.poisson(1.0, size=(30, 6)).astype(float) - (rng.integers(0, 2, (30, 6)) if signed else 0)
    dense, thin = Ranked.of(values), Ranked.of(sparse.csr_array(values))
    assert sparse.issparse(thin.shifted)
    for _ in range(3):
        codes = np.append(np.arange(n_groups), rng.integers(0, n_groups, 30 - n_groups))
        expected = auroc_by_group(values, codes)
        np.testing.assert_allclose(dense.auroc(codes, n_groups), expected, atol=1e-12)
        np.testing.assert_allclose(thin.auroc(codes, n_groups), expected, atol=1e-12)


@pytest.mark.parametrize("as_", [np.asarray, sparse.csr_array])
def test_rows_of_no_group_are_part_of_the_rest(rng, as_):
    values = rng.poisson(1.0, size=(40, 3)).astype(float)
    codes = rng.integers(-1, 2, 40)
    found = Ranked.of(as_(values)).auroc(codes, 2)
    for group in (0, 1):
        for gene in range(3):
            assert found[group, gene] == pytest.approx(roc_auc_score(codes == group, values[:, gene]))


@pytest.mark.parametrize("as_", [np.asarray, sparse.csr_array])
def test_groups_without_a_comparison_have_no_score(rng, as_):
    ranked = Ranked.of(as_(rng.poisson(1.0, size=(10, 2)).astype(float)))
    assert np.isnan(ranked.auroc(np.zeros(10, dtype=int), 2)).all()  # one has all, the other none
