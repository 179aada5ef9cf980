"""Signatures: scanpy, scipy and a slow loop as oracles."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse, stats

from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit.metrics import (
    niche_scores,
    signature_fold_change_correlation,
    signature_ranking_auroc,
    signature_sets,
    signature_statistics,
    signature_top,
    signature_truth,
)


@pytest.fixture
def cohort(rng):
    """Five patients, three niches, 30 genes: 0-9 mark "a", 10-19 mark "b", 20 is never seen."""
    patients = np.repeat([f"P{i}" for i in range(5)], 60)
    labels = np.tile(np.repeat(["a", "b", "c"], 20), 5)
    rate = np.full((300, 30), 1.0) * rng.lognormal(0, 0.2, size=(5, 30))[np.repeat(np.arange(5), 60)]
    rate[labels == "a", :10] *= 4
    rate[labels == "b", 10:20] *= 4
    rate[:, 20] = 0
    return np.log1p(rng.poisson(rate)).astype(float), labels, patients


def slow_statistics(X, labels, patients, niche, gene):
    inside, outside, found_in, found_out, aurocs = [], [], [], [], []
    for patient in sorted(set(patients)):
        rows, rest = (patients == patient) & (labels == niche), (patients == patient) & (labels != niche)
        inside.append(np.expm1(X[rows, gene]).mean())
        outside.append(np.expm1(X[rest, gene]).mean())
        found_in.append((X[rows, gene] > 0).mean())
        found_out.append((X[rest, gene] > 0).mean())
        u = stats.mannwhitneyu(X[rows, gene], X[rest, gene]).statistic
        aurocs.append(u / (rows.sum() * rest.sum()))
    return {
        "auroc": np.mean(aurocs),
        "log2fc": np.log2((np.mean(inside) + 1e-9) / (np.mean(outside) + 1e-9)),
        "pct_in": np.mean(found_in),
        "pct_out": np.mean(found_out),
        "p_value": stats.ttest_rel(np.log1p(inside), np.log1p(outside)).pvalue,
    }


@pytest.mark.parametrize("as_", [np.asarray, sparse.csr_array])
def test_statistics_equal_the_slow_loop(cohort, as_):
    X, labels, patients = cohort
    table = signature_statistics(as_(X), labels, patients).set_index(["niche", "gene"])
    assert len(table) == 90
    assert (table["n_patients"] == 5).all()
    for niche in "abc":
        for gene in (0, 7, 15, 29):
            expected = slow_statistics(X, labels, patients, niche, gene)
            np.testing.assert_allclose(table.loc[(niche, gene), list(expected)].astype(float), list(expected.values()))


def test_p_values_are_adjusted_over_the_genes_of_a_niche(cohort):
    table = signature_statistics(*cohort)
    for _, rows in table.groupby("niche"):
        p = rows["p_value"].to_numpy()
        m, order = len(p), np.argsort(p)
        slow = np.minimum.accumulate((p[order] * m / np.arange(1, m + 1))[::-1])[::-1]
        np.testing.assert_allclose(rows["p_adj"].to_numpy()[order], np.minimum(slow, 1))


def test_a_gene_that_is_nowhere_is_never_significant(cohort):
    table = signature_statistics(*cohort)
    never = table[table["gene"] == 20]
    assert (never["p_value"] == 1).all()
    assert (never["auroc"] == 0.5).all()
    assert (never["log2fc"] == 0).all()


def test_patients_that_agree_to_the_last_digit_are_significant():
    X = np.tile([[3.0], [3.0], [1.0], [1.0]], (4, 1))
    table = signature_statistics(X, ["in", "in", "out", "out"] * 4, np.repeat([1, 2, 3, 4], 4))
    assert table["p_value"].tolist() == [0, 0]


def test_detection_of_one_patient_is_that_of_scanpy(cohort):
    import scanpy as sc

    X, labels, patients = (part[:60] for part in cohort)
    adata = AnnData(X)
    adata.obs["niche"] = pd.Categorical(labels)
    adata.uns["log1p"] = {"base": None}
    sc.tl.rank_genes_groups(adata, "niche", method="wilcoxon", pts=True)
    table = signature_statistics(X, labels, patients)
    oracle = sc.get.rank_genes_groups_df(adata, group="a").set_index("names").loc[adata.var_names]
    mine = table[table["niche"] == "a"]
    # scanpy averages logarithms first, so that only the order of the fold changes is the same
    assert stats.spearmanr(mine["log2fc"], oracle["logfoldchanges"]).statistic > 0.95
    np.testing.assert_allclose(mine["pct_in"], oracle["pct_nz_group"])
    np.testing.assert_allclose(mine["pct_out"], oracle["pct_nz_reference"])
    assert mine[["p_value", "p_adj"]].isna().all(axis=None)


def test_the_true_set_holds_the_planted_genes(cohort):
    found = signature_sets(signature_statistics(*cohort), n_genes=20)
    assert sorted(found) == ["a", "b", "c"]
    assert set(found["a"]) == set(range(10))
    assert set(found["b"]) == set(range(10, 20))
    assert found["c"].size == 0


def test_the_true_set_is_ordered_by_auroc_and_cut(cohort):
    X, labels, patients = cohort
    whole = signature_sets(signature_statistics(*cohort), n_genes=20)["a"]
    scores = niche_scores(X, labels, patients)[0]
    assert (np.diff(scores[whole]) <= 0).all()
    assert signature_sets(signature_statistics(*cohort), n_genes=4)["a"].tolist() == whole[:4].tolist()


@pytest.mark.parametrize(
    ("column", "keep", "drop", "argument"),
    [
        ("auroc", 0.61, 0.6, {"min_auroc": 0.6}),
        ("log2fc", 1.0, 0.99, {"min_log2fc": 1.0}),
        ("pct_in", 0.3, 0.29, {"min_pct": 0.3}),
        ("p_adj", 0.0009, 0.001, {"alpha": 0.001}),
    ],
)
def test_every_threshold_counts(column, keep, drop, argument):
    good = {"niche": "a", "auroc": 0.9, "log2fc": 2.0, "pct_in": 0.9, "pct_out": 0.1, "n_patients": 3}
    rows = [good | {"gene": g, "p_value": 0.0, "p_adj": 0.0} | {column: v} for g, v in enumerate([keep, drop])]
    assert signature_sets(pd.DataFrame(rows), **argument)["a"].tolist() == [0]


def test_nothing_is_tested_with_two_patients():
    row = {"niche": "a", "gene": 0, "auroc": 0.9, "log2fc": 2.0, "pct_in": 0.9, "pct_out": 0.1}
    untested = pd.DataFrame([row | {"n_patients": 2, "p_value": np.nan, "p_adj": np.nan}])
    tested = pd.DataFrame([row | {"n_patients": 3, "p_value": 0.9, "p_adj": 0.9}])
    assert signature_sets(untested)["a"].tolist() == [0]
    assert signature_sets(tested)["a"].size == 0


def test_one_niche_alone_gives_the_set_of_the_cohort(cohort):
    X, labels, patients = cohort
    for n in (5, 20):
        expected = signature_sets(signature_statistics(X, labels, patients), n_genes=n)["b"]
        found = signature_truth(sparse.csr_array(X), labels == "b", patients=patients, n_genes=n)
        assert found.tolist() == expected.tolist()


def test_one_niche_without_patients_is_not_tested(cohort):
    X, labels, _ = cohort
    everyone = signature_sets(signature_statistics(X, labels, ["one"] * 300), n_genes=20)["a"]
    assert signature_truth(X, labels == "a", n_genes=20).tolist() == everyone.tolist()


def test_known_scores_replace_the_auroc(cohort):
    X, labels, _ = cohort
    scores = np.linspace(0.6, 0.9, 30)
    assert signature_truth(X, labels == "a", scores=scores, n_genes=3).tolist() == [9, 8, 7]


def test_top_is_by_rank_and_stable():
    assert signature_top([0.5, 0.7, np.nan, 0.7, 0.9], 3).tolist() == [4, 1, 3]
    assert signature_top(np.array([1, 1, 1]), 3).tolist() == [0, 1, 2]


@pytest.mark.parametrize(("scores", "n"), [([0.5, np.nan], 2), ([], 1), ([[0.5, 0.6]], 1), ([0.5], 0)])
def test_top_refuses_what_it_cannot_fill(scores, n):
    with pytest.raises(InputError, match=r"scores of shape|n_genes=0"):
        signature_top(scores, n)


@pytest.mark.parametrize("call", [signature_statistics, lambda X, y, p: signature_truth(X, np.array(y) == "a")])
@pytest.mark.parametrize("value", [-0.1, 1000.0])
def test_values_that_are_no_logarithms_are_refused(call, value):
    X = np.ones((8, 2))
    X[0, 0] = value
    with pytest.raises(InputError, match="log1p"):
        call(X, ["a", "b"] * 4, ["P"] * 8)


def test_unusable_arguments_are_refused(cohort):
    X, labels, patients = cohort
    table = signature_statistics(*cohort)
    with pytest.raises(MissingKeyError, match="p_adj"):
        signature_sets(table.drop(columns="p_adj"))
    with pytest.raises(InputError, match="alpha"):
        signature_sets(table, alpha=5)
    with pytest.raises(InputError, match="n_genes=0"):
        signature_sets(table, n_genes=0)
    with pytest.raises(InputError, match="one score for each of 30 genes"):
        signature_truth(X, labels == "a", scores=[0.5])
    with pytest.raises(InputError, match="under 2 observations"):
        signature_truth(X, np.arange(300) == 0, patients=patients)


def test_genes_down_are_genes_up_of_the_mirrored_statistics(cohort):
    table = signature_statistics(*cohort)
    mirror = table.assign(auroc=1 - table["auroc"], log2fc=-table["log2fc"])
    mirror = mirror.rename(columns={"pct_in": "pct_out", "pct_out": "pct_in"})
    down, up = signature_sets(table, n_genes=8, direction="down"), signature_sets(mirror, n_genes=8)
    assert any(len(genes) for genes in down.values())
    for niche, genes in down.items():
        assert genes.tolist() == up[niche].tolist()
        assert not set(genes) & set(signature_sets(table, n_genes=30)[niche])


def test_an_unknown_direction_is_refused(cohort):
    with pytest.raises(InputError, match="direction='left'"):
        signature_sets(signature_statistics(*cohort), direction="left")


def test_alpha_of_one_leaves_the_test_out():
    row = {"niche": "a", "gene": 0, "auroc": 0.9, "log2fc": 2.0, "pct_in": 0.9, "pct_out": 0.1, "n_patients": 3}
    table = pd.DataFrame([row | {"p_value": 1.0, "p_adj": 1.0}])
    assert signature_sets(table, alpha=1)["a"].tolist() == [0]
    assert signature_sets(table, alpha=0.99)["a"].tolist() == []


def test_ranking_auroc_is_that_of_scikit_learn(rng):
    from sklearn.metrics import roc_auc_score

    scores = rng.integers(0, 6, 40) / 5
    genes = rng.permutation(40)[:9]
    assert signature_ranking_auroc(genes, scores) == pytest.approx(roc_auc_score(np.isin(np.arange(40), genes), scores))
    assert signature_ranking_auroc([], scores) != signature_ranking_auroc([], scores)
    assert np.isnan(signature_ranking_auroc(range(40), scores))


@pytest.mark.parametrize("genes", [[40], [-1], ["G1"]])
def test_ranking_auroc_refuses_what_is_no_position(genes):
    with pytest.raises(InputError, match="positions from 0 to 39"):
        signature_ranking_auroc(genes, np.zeros(40))


def test_fold_change_correlation_is_that_of_scipy(rng):
    a, b = rng.integers(0, 9, 50).astype(float), rng.normal(size=50)
    assert signature_fold_change_correlation(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)
    assert signature_fold_change_correlation(a, np.exp(a)) == pytest.approx(1)
    assert signature_fold_change_correlation(a, -a) == pytest.approx(-1)
    assert np.isnan(signature_fold_change_correlation(a, np.ones(50)))


@pytest.mark.parametrize(
    ("a", "b", "words"), [([1.0], [1.0], "1 genes"), ([1.0, 2], [1.0], "shape"), ([1.0, np.nan], [1, 2], "NaN")]
)
def test_fold_change_correlation_refuses(a, b, words):
    with pytest.raises(InputError, match=words):
        signature_fold_change_correlation(a, b)
