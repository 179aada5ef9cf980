"""HEST-Benchmark's probe against a script of its own, written with scanpy and scikit-learn alone."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy import sparse, stats
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from tests.tl.wide import summary

import stfmkit as sk
from stfmkit._core.errors import InputError, StfmkitWarning
from stfmkit.tl._hest_probe import hest_genes, hest_predict, hest_scores

KEYS = {"patient_key": "patient", "sample_key": "sample"}


def script_genes(slides, k):
    """The rule, slide by slide, on dense tables."""
    common = None
    for slide in slides:
        one = slide.copy()
        sc.pp.filter_genes(one, min_cells=int(np.ceil(0.1 * one.n_obs)))
        common = one.var_names if common is None else np.intersect1d(common, one.var_names)
    common = [g for g in common if "BLANK" not in g and "Control" not in g]
    stacked = sc.AnnData(pd.concat([slide.to_df()[common] for slide in slides]).astype(np.float32))
    sc.pp.log1p(stacked)
    sc.pp.highly_variable_genes(stacked, n_top_genes=k)
    return stacked.var_names[stacked.var["highly_variable"]][:k].tolist()


def script_score(adata, genes, embedding):
    """Leave one patient out; return the predictions, and the mean and population SD of the folds."""
    counts = adata[:, genes].X.toarray().astype(np.float32)
    target, patients = np.log1p(counts), adata.obs["patient"].to_numpy()
    predicted, means = np.empty_like(target), []
    for patient in np.unique(patients):
        train, test = patients != patient, patients == patient
        k = min(256, embedding.shape[1], int(train.sum()))
        pipe = Pipeline([("scaler", StandardScaler()), ("PCA", PCA(n_components=k, random_state=1))])
        x, z = pipe.fit_transform(embedding[train]), pipe.transform(embedding[test])
        ridge = Ridge(
            solver="lsqr", alpha=100 / (k * len(genes)), random_state=1, fit_intercept=False, max_iter=1000
        ).fit(x, target[train])
        predicted[test] = ridge.predict(z)
        means.append(np.mean([stats.pearsonr(target[test, g], predicted[test, g])[0] for g in range(len(genes))]))
    return predicted, np.mean(means), np.std(means)


@pytest.fixture
def cohort(toy, rng):
    """The toy with silent, sparse and control genes, and a wide embedding."""
    extra = rng.poisson(0.02, size=(toy.n_obs, 4))
    names = [*toy.var_names, "rare1", "rare2", "BLANK_1", "NegControlProbe_1"]
    extra[:, 2:] = rng.poisson(9, size=(toy.n_obs, 2))
    counts = np.hstack([toy.X.toarray(), extra])[:, ::-1]  # not in alphabetical order
    out = ad.AnnData(sparse.csr_matrix(counts.astype(np.float32)), obs=toy.obs, var=pd.DataFrame(index=names[::-1]))
    out.obsm["spatial"] = toy.obsm["spatial"]
    mix = rng.normal(size=(40, 300))
    out.obsm["encoder"] = (np.log1p(toy.X.toarray()) @ mix + rng.normal(0, 5, (toy.n_obs, 300))).astype(np.float32)
    return out


def test_genes_equal_the_script(cohort):
    slides = [cohort[cohort.obs["sample"] == s].copy() for s in cohort.obs["sample"].cat.categories]
    found = hest_genes(
        sparse.csr_array(cohort.X),
        samples=cohort.obs["sample"].cat.codes.to_numpy(),
        genes=cohort.var_names.to_numpy(dtype=str),
        n_genes=12,
    )
    assert found.tolist() == script_genes(slides, 12)
    one = hest_genes(
        sparse.csr_array(slides[0].X),
        samples=np.zeros(slides[0].n_obs),
        genes=cohort.var_names.to_numpy(dtype=str),
        n_genes=9,
    )
    assert one.tolist() == script_genes(slides[:1], 9)


@pytest.mark.parametrize("width", [300, 30])
def test_predictions_and_score_equal_the_script(cohort, width):
    cohort.obsm["encoder"] = cohort.obsm["encoder"][:, :width]
    with pytest.warns(StfmkitWarning, match="test patients included"):
        sk.tl.predict_expression(cohort, "encoder", n_genes=12, hest_compat=True, **KEYS)
    sk.tl.evaluate_expression(cohort, "predicted", hest_compat=True, **KEYS)
    genes = cohort.obsm["predicted"].columns.tolist()
    predicted, mean, sd = script_score(cohort, genes, cohort.obsm["encoder"])
    np.testing.assert_allclose(cohort.obsm["predicted"].to_numpy(), predicted, rtol=1e-6, atol=1e-6)
    found = cohort.uns["expression_scores"]["hest"].loc["pearson"]
    assert found["mean"] == pytest.approx(mean, abs=1e-6)
    assert found["sd"] == pytest.approx(sd, abs=1e-6)
    assert found["n_folds"] == 4
    facts = cohort.uns["stfmkit"]["predict_expression"]["results"]["predicted"]
    assert facts["scale"] == "log1p"
    np.testing.assert_allclose(facts["ridge_alpha"], 100 / (facts["n_components"] * 12))


def test_the_score_of_another_predictor_pools_the_slides_of_a_patient(toy, rng):
    truth = np.log1p(toy.X.toarray())
    toy.layers["model"] = truth + rng.normal(0, 1, truth.shape)
    sk.tl.evaluate_expression(toy, "model", hest_compat=True, **KEYS)
    means = []
    for patient in toy.obs["patient"].cat.categories:
        rows = (toy.obs["patient"] == patient).to_numpy()
        r = [stats.pearsonr(truth[rows, g], toy.layers["model"][rows, g])[0] for g in range(40)]
        means.append(np.mean(r))
    found = toy.uns["expression_scores"]["hest"].loc["pearson"]
    assert found["mean"] == pytest.approx(np.mean(means))
    assert found["sd"] == pytest.approx(np.std(means))


def test_pooling_rewards_differences_between_slides(toy, rng):
    level = toy.obs["sample"].map({"S0": 0, "S1": 3, "S2": 0, "S3": 3, "S4": 1, "S5": 2}).to_numpy(dtype=float)
    counts = rng.poisson(np.exp(level)[:, None] * np.ones((1, toy.n_vars))) + 1
    toy.X = sparse.csr_matrix(counts.astype(np.float32))
    toy.layers["level"] = level[:, None] + rng.normal(0, 0.1, counts.shape)
    tables = sk.tl.evaluate_expression(toy, "level", hest_compat=True, copy=True, **KEYS)
    assert abs(summary(tables).loc["pearson", "mean"]) < 0.05
    assert tables["hest"].loc["pearson", "mean"] > 0.4


def test_one_constant_gene_poisons_the_mean():
    rng = np.random.default_rng(0)
    truth, predicted = rng.normal(size=(20, 3)), rng.normal(size=(20, 3))
    truth[:10, 1] = 0
    by_gene, summary = hest_scores(truth, predicted, folds=np.repeat([0, 1], 10), genes=np.array(list("abc")))
    assert by_gene["pearson"].isna().sum() == 1
    assert summary.loc["pearson"].isna()[["mean", "sd"]].all()


def test_r2_of_the_probe_means_nothing(rng):
    x = rng.normal(size=(200, 5))
    counts = np.exp(5 + 0.3 * x[:, :2])
    y = np.log1p(counts)
    predicted, _, _ = hest_predict(x[:100], counts[:100], x[100:])
    assert stats.pearsonr(predicted[:, 0], y[100:, 0])[0] > 0.95
    assert 1 - ((predicted - y[100:]) ** 2).sum() / ((y[100:] - y[100:].mean(axis=0)) ** 2).sum() < -3


def test_too_few_genes_and_other_scales_are_refused(toy):
    toy.obsm["encoder"] = np.ones((toy.n_obs, 3)) * np.arange(toy.n_obs)[:, None]
    with pytest.warns(StfmkitWarning), pytest.raises(InputError, match="40 genes that are detected"):
        sk.tl.predict_expression(toy, "encoder", hest_compat=True, **KEYS)
    with pytest.raises(InputError, match="size_factor_log1p"):
        sk.tl.predict_expression(toy, "encoder", scale="size_factor_log1p", hest_compat=True, **KEYS)
    toy.layers["model"] = np.log1p(toy.X.toarray())
    with pytest.raises(InputError, match="hest_compat=True"):
        sk.tl.evaluate_expression(toy, "model", scale="size_factor_log1p", hest_compat=True, **KEYS)
