"""AUROC by gene: scikit-learn and scanpy as oracles."""

import numpy as np
import pytest
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse, stats
from sklearn.metrics import roc_auc_score

from stfmkit._core.errors import InputError, InputTypeError
from stfmkit.metrics import auroc, auroc_by_group, niche_scores

VALUES = arrays(np.float64, (10, 2), elements=st.sampled_from([0.0, 0.0, 0.5, 1.0, 2.0, -1.0]))
MASK = arrays(bool, 10).filter(lambda m: 0 < m.sum() < 10)


@pytest.fixture
def counts(rng):
    return rng.poisson(0.7, size=(120, 8)).astype(float)


@settings(deadline=None)
@given(VALUES, MASK)
def test_auroc_equals_sklearn(values, mask):
    expected = [roc_auc_score(mask, column) for column in values.T]
    np.testing.assert_allclose(auroc(values, mask), expected)
    np.testing.assert_allclose(auroc(sparse.csr_array(values), mask), expected)


@settings(deadline=None)
@given(VALUES, MASK)
def test_monotone_maps_change_nothing_and_the_complement_mirrors(values, mask):
    score = auroc(values, mask)
    np.testing.assert_allclose(auroc(np.exp(values) + 3, mask), score)
    np.testing.assert_allclose(auroc(-values, mask), 1 - score)
    np.testing.assert_allclose(auroc(values, ~mask), 1 - score)


@pytest.mark.parametrize("as_", [np.asarray, sparse.csr_array, sparse.csc_matrix])
def test_groups_equal_masks(counts, rng, as_):
    labels = rng.choice(["b", "a", "c"], size=120)
    found = auroc_by_group(as_(counts), labels)
    for row, name in zip(found, ["a", "b", "c"], strict=True):
        np.testing.assert_allclose(row, auroc(counts, labels == name))
        np.testing.assert_allclose(row, [roc_auc_score(labels == name, column) for column in counts.T])


def test_scores_are_the_rank_sums_of_scanpy(counts, rng):
    import scanpy as sc

    labels = rng.choice(["a", "b", "c"], size=120)
    adata = AnnData(np.log1p(counts))
    adata.obs["niche"] = labels
    adata.obs["niche"] = adata.obs["niche"].astype("category")
    sc.tl.rank_genes_groups(adata, "niche", method="wilcoxon", tie_correct=False)
    found = auroc_by_group(adata.X, labels)
    for row, name in zip(found, ["a", "b", "c"], strict=True):
        n = (labels == name).sum()
        pairs = n * (120 - n)
        z = (row * pairs - pairs / 2) / np.sqrt(pairs * 121 / 12)
        oracle = sc.get.rank_genes_groups_df(adata, group=name).set_index("names")["scores"]
        np.testing.assert_allclose(z, oracle.loc[adata.var_names], rtol=1e-5)


def test_u_equals_scipy(counts, rng):
    mask = rng.uniform(size=120) < 0.3
    u = auroc(counts, mask) * mask.sum() * (~mask).sum()
    np.testing.assert_allclose(u, stats.mannwhitneyu(counts[mask], counts[~mask]).statistic)


def test_constant_gene_scores_one_half():
    assert auroc([[1.0, 0], [1, 0], [1, 0]], np.array([True, False, False])).tolist() == [0.5, 0.5]


def test_groups_may_be_asked_for_in_any_order(counts):
    labels = np.array(["a", "b", "c"] * 40)
    found = auroc_by_group(counts, labels, groups=["c", "absent", "a"])
    whole = auroc_by_group(counts, labels)
    np.testing.assert_allclose(found[[0, 2]], whole[[2, 0]])
    assert np.isnan(found[1]).all()
    assert np.isnan(auroc_by_group(counts, ["a"] * 120, groups=["a"])).all()


def test_niche_scores_average_over_patients_not_over_spots(rng):
    labels, patients = np.array(["in", "out"] * 60), np.repeat(["big", "small"], [100, 20])
    X = rng.normal(size=(120, 3)) + (labels == "in")[:, None] * (patients == "big")[:, None]
    expected = np.mean([auroc_by_group(X[patients == p], labels[patients == p]) for p in ("big", "small")], axis=0)
    np.testing.assert_allclose(niche_scores(X, labels, patients), expected)
    np.testing.assert_allclose(niche_scores(sparse.csr_array(X), labels, patients), expected)
    assert not np.allclose(expected, auroc_by_group(X, labels))


def test_patient_offsets_do_not_pass_for_niches():
    """Niche and patient are confounded, and the gene follows the patient alone."""
    labels = np.array(["a"] * 18 + ["b"] * 2 + ["a"] * 2 + ["b"] * 18)
    patients = np.repeat(["P1", "P2"], 20)
    X = (patients == "P1").astype(float)[:, None]
    assert auroc_by_group(X, labels)[0, 0] == pytest.approx(0.9)
    np.testing.assert_allclose(niche_scores(X, labels, patients), 0.5)


def test_a_patient_without_the_niche_does_not_count(rng):
    labels = np.array(["a"] * 10 + ["b"] * 10 + ["b"] * 10 + ["c"] * 10 + ["a"] + ["c"] * 9)
    patients = np.repeat(["P1", "P2", "P3"], [20, 20, 10])
    X = rng.normal(size=(50, 4))
    found = niche_scores(X, labels, patients)
    one, two = (auroc_by_group(X[patients == p], labels[patients == p]) for p in ("P1", "P2"))
    np.testing.assert_allclose(found[0], one[0])  # P3 holds a single "a"
    np.testing.assert_allclose(found[1], (one[1] + two[0]) / 2)
    np.testing.assert_allclose(found[2], two[1])  # nothing but a single "a" is the rest in P3


def test_every_patient_counts_once_the_least_is_one(rng):
    labels, X = np.array(["a", "b", "b"]), rng.normal(size=(3, 2))
    np.testing.assert_allclose(niche_scores(X, labels, ["P1"] * 3, min_obs=1), auroc_by_group(X, labels))


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.zeros(3, dtype=bool), "0 of 3"),
        (np.ones(3, dtype=bool), "3 of 3"),
        (np.array([0, 1, 1]), "int64"),
        (np.array([True, False]), r"shape \(2,\)"),
    ],
)
def test_unusable_masks_are_refused(mask, words):
    with pytest.raises(InputError, match=words):
        auroc(np.zeros((3, 2)), mask)


def test_unusable_values_are_refused():
    with pytest.raises(InputError, match="NaN"):
        auroc(sparse.csr_array([[np.nan], [1.0]]), np.array([True, False]))
    with pytest.raises(InputError, match="shape"):
        auroc(sparse.csr_array((0, 3)), np.array([], dtype=bool))
    with pytest.raises(InputTypeError, match="real numbers"):
        auroc([["a"], ["b"]], np.array([True, False]))


def test_unusable_labels_are_refused(counts):
    with pytest.raises(InputError, match="one group only: 'a'"):
        auroc_by_group(counts, ["a"] * 120)
    with pytest.raises(InputError, match="1 missing values in labels"):
        auroc_by_group(counts, [None] + ["a"] * 119)
    with pytest.raises(InputError, match="patients of shape"):
        niche_scores(counts, ["a", "b"] * 60, ["P1"])
    with pytest.raises(InputError, match="min_obs=0"):
        niche_scores(counts, ["a", "b"] * 60, ["P1"] * 120, min_obs=0)


@pytest.mark.parametrize(
    ("labels", "patients"),
    [
        (["lonely"] + ["b"] * 9, ["P1"] * 10),
        (["lonely"] * 5 + ["b"] * 5, ["P1"] * 5 + ["P2"] * 5),
    ],
)
def test_niches_that_no_patient_can_score_are_named(labels, patients):
    with pytest.raises(InputError, match="lonely"):
        niche_scores(np.zeros((10, 2)), labels, patients)
