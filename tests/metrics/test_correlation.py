"""Gene-gene correlation: numpy, scipy and least squares as oracles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse, stats

from stfmkit._core.errors import InputError
from stfmkit.metrics import correlation, drop_undefined

KINDS = [np.asarray, sparse.csr_array, sparse.csc_matrix]
NAN = float("nan")


@pytest.fixture
def counts(rng):
    base = rng.gamma(2, size=(90, 1))
    return rng.poisson(0.4 * base * rng.gamma(1, size=(1, 12))).astype(float) + np.eye(90, 12)


@pytest.mark.parametrize("as_", KINDS)
def test_equal_to_numpy_and_scipy(counts, as_):
    np.testing.assert_allclose(correlation(as_(counts)), np.corrcoef(counts.T), atol=1e-12)
    expected = stats.spearmanr(counts).statistic
    np.testing.assert_allclose(correlation(as_(counts), method="spearman"), expected, atol=1e-12)


@pytest.mark.parametrize("as_", KINDS)
@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_groups_are_centred_and_covariates_taken_out(counts, rng, as_, method):
    groups, depth = rng.choice(["S1", "S2", "S3"], size=90), np.log1p(counts.sum(axis=1))
    values = stats.rankdata(counts, axis=0) if method == "spearman" else counts
    dummies = (groups[:, None] == np.unique(groups)).astype(float)
    designs = {
        "groups": ({"groups": groups}, dummies),
        "covariate": ({"covariate": depth}, np.column_stack([np.ones(90), depth])),
        "both": ({"groups": groups, "covariate": depth[:, None]}, np.column_stack([dummies, depth])),
    }
    for arguments, design in designs.values():
        left = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
        found = correlation(as_(counts), method=method, **arguments)
        np.testing.assert_allclose(found, np.corrcoef(left.T), atol=1e-10)


def test_slides_that_differ_do_not_pass_for_coexpression(rng):
    slide = np.repeat([0, 1], 200)
    X = rng.normal(size=(400, 2)) + 5 * slide[:, None]
    assert correlation(X)[0, 1] > 0.8
    assert abs(correlation(X, groups=slide)[0, 1]) < 0.2


def test_depth_does_not_pass_for_coexpression(rng):
    depth = rng.normal(size=400)
    X = rng.normal(size=(400, 2)) + 3 * depth[:, None]
    assert correlation(X)[0, 1] > 0.8
    assert abs(correlation(X, covariate=depth)[0, 1]) < 0.2


@settings(deadline=None)
@given(arrays(np.float64, (8, 3), elements=st.sampled_from([0.0, 0.0, 1.0, 2.0, 0.1])))
def test_constant_genes_are_undefined_and_others_bounded(X):
    flat = np.ptp(X, axis=0) == 0
    for as_ in (np.asarray, sparse.csr_array):
        for method in ("pearson", "spearman"):
            found = correlation(as_(X), method=method)
            assert (np.isnan(found) == (flat[:, None] | flat[None, :])).all()
            kept = found[np.ix_(~flat, ~flat)]
            assert (np.abs(kept) <= 1).all()
            assert (kept == kept.T).all()
            assert (kept.diagonal() == 1).all()


@pytest.mark.parametrize("as_", KINDS)
def test_large_means_lose_no_more_than_rounding(rng, as_):
    X = rng.normal(size=(200, 5)) + 1000
    np.testing.assert_allclose(correlation(as_(X)), np.corrcoef(X.T), atol=1e-8)


def test_nothing_is_written_to_the_input(counts):
    X = sparse.csr_array(counts)
    before = X.copy()
    correlation(X, method="spearman", covariate=np.arange(90.0))
    assert (before != X).nnz == 0


def test_unusable_input_is_refused(counts):
    for arguments, words in (
        ({"method": "kendall"}, "kendall"),
        ({"groups": ["a"]}, "groups of shape"),
        ({"groups": [None] + ["a"] * 89}, "1 missing values in groups"),
        ({"covariate": [1.0]}, "covariate of shape"),
        ({"covariate": np.full(90, NAN)}, "NaN or infinite values in covariate"),
    ):
        with pytest.raises(InputError, match=words):
            correlation(counts, **arguments)
    with pytest.raises(InputError, match="one observation"):
        correlation(counts[:1])
    with pytest.raises(InputError, match="NaN or infinite"):
        correlation(np.where(counts == counts.max(), np.inf, counts))


def test_drop_undefined_keeps_what_both_define(rng):
    a, b = (np.corrcoef(rng.normal(size=(5, 20))) for _ in range(2))
    first, second = a.copy(), b.copy()
    first[1] = first[:, 1] = NAN
    second[3] = second[:, 3] = NAN
    common = drop_undefined(first, second)
    assert common.kept.tolist() == [True, False, True, False, True]
    assert common.n_dropped == 2
    grid = np.ix_([0, 2, 4], [0, 2, 4])
    np.testing.assert_array_equal(common.truth, a[grid])
    np.testing.assert_array_equal(common.predicted, b[grid])
    assert drop_undefined(a, b).n_dropped == 0


@pytest.mark.parametrize(
    ("a", "words"),
    [
        ([[1.0, 0.5], [0.2, 1.0]], "differs from its transpose by up to 0.3"),
        ([[1.0, 0.5, 0.1], [0.5, 1.0, 0.1]], r"shape \(2, 3\)"),
        ([1.0, 2.0], r"shape \(2,\)"),
        (np.zeros((0, 0)), r"shape \(0, 0\)"),
        ([[1.0, NAN], [NAN, 1.0]], "NaN outside"),
        ([[1.0, NAN], [0.5, NAN]], "NaN outside"),
        ([[1.0, np.inf], [np.inf, 1.0]], "infinite"),
        (np.eye(3), r"\(3, 3\) and \(2, 2\)"),
    ],
)
def test_drop_undefined_refuses_what_is_no_correlation(a, words):
    with pytest.raises(InputError, match=words):
        drop_undefined(a, np.eye(2))
