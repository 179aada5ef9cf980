"""The rank-sum test: scipy and scanpy as oracles."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse, stats

from stfmkit._core.errors import InputError
from stfmkit.metrics import auroc_by_group, rank_sum_test

VALUES = arrays(np.float64, (14, 2), elements=st.sampled_from([0.0, 0.0, 0.5, 1.0, 2.0, -1.0]))
MASK = arrays(bool, 14).filter(lambda m: 0 < m.sum() < 14)
FORMS = [np.asarray, sparse.csr_array, sparse.csc_array, sparse.csr_matrix]


@pytest.fixture
def logged(rng):
    return np.log1p(rng.poisson(0.7, size=(150, 9)) * rng.lognormal(0, 0.3, size=(150, 1))).astype(np.float32)


@settings(deadline=None)
@given(VALUES, MASK, st.booleans())
def test_p_values_equal_scipy(values, mask, continuity):
    table = rank_sum_test(values, mask, groups=[True], continuity=continuity)
    for gene, column in enumerate(values.T):
        if np.ptp(column) == 0:
            assert table.loc[gene, ["auroc", "z", "p_value"]].tolist() == [0.5, 0, 1]
            continue
        oracle = stats.mannwhitneyu(column[mask], column[~mask], method="asymptotic", use_continuity=continuity)
        assert table.loc[gene, "p_value"] == pytest.approx(min(oracle.pvalue, 1.0), rel=1e-9, abs=1e-12)
        assert table.loc[gene, "auroc"] * mask.sum() * (~mask).sum() == pytest.approx(oracle.statistic)


@pytest.mark.parametrize("as_", FORMS)
@pytest.mark.parametrize("tie_correct", [True, False])
def test_scores_and_p_values_equal_scanpy(logged, rng, as_, tie_correct):
    import scanpy as sc

    labels = rng.choice(["b", "a", "c"], size=150)
    adata = AnnData(logged, obs=pd.DataFrame({"niche": pd.Categorical(labels)}, index=[str(i) for i in range(150)]))
    sc.tl.rank_genes_groups(adata, "niche", method="wilcoxon", tie_correct=tie_correct, pts=True)
    table = rank_sum_test(as_(logged), labels, tie_correct=tie_correct)
    np.testing.assert_array_equal(table["auroc"], auroc_by_group(logged, labels).ravel())
    for name in ("a", "b", "c"):
        mine = table[table["group"] == name]
        oracle = sc.get.rank_genes_groups_df(adata, group=name).set_index("names").loc[adata.var_names]
        np.testing.assert_allclose(mine["z"], oracle["scores"], rtol=1e-5)
        np.testing.assert_allclose(mine["p_value"], oracle["pvals"], rtol=1e-4)
        np.testing.assert_allclose(mine["pct_in"], oracle["pct_nz_group"])
        np.testing.assert_allclose(mine["pct_out"], oracle["pct_nz_reference"])


@pytest.mark.parametrize("as_", FORMS)
def test_fold_changes_are_those_of_the_mean_expression(logged, as_):
    labels = np.repeat(["a", "b"], 75)
    table = rank_sum_test(as_(logged), labels)
    amounts = np.expm1(logged.astype(np.float64))
    expected = np.log2(amounts[:75].mean(axis=0) / amounts[75:].mean(axis=0))
    np.testing.assert_allclose(table.loc[table["group"] == "a", "log2fc"], expected, rtol=1e-7)
    np.testing.assert_allclose(table.loc[table["group"] == "b", "log2fc"], -expected, rtol=1e-7)


def test_groups_may_be_named_and_absent_ones_are_undefined(logged):
    labels = np.repeat(["a", "b", "c"], 50)
    some = rank_sum_test(logged, labels, groups=["c", "nowhere"])
    whole = rank_sum_test(logged, labels)
    pd.testing.assert_frame_equal(some[:9], whole[whole["group"] == "c"].reset_index(drop=True))
    assert some.loc[9:, ["auroc", "z", "p_value"]].isna().all(axis=None)


def test_unusable_input_is_refused(logged):
    with pytest.raises(InputError, match="one group only"):
        rank_sum_test(logged, ["a"] * 150)
    with pytest.raises(InputError, match="values up to 900 in X"):
        rank_sum_test([[900.0], [1.0]], ["a", "b"])
    with pytest.raises(InputError, match="NaN or infinite"):
        rank_sum_test([[np.inf], [1.0]], ["a", "b"])
