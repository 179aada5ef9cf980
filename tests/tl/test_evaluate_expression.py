"""One call for every predictor: scores against scipy, averages by hand, and what the verb writes and leaves alone."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy import sparse, stats
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import stfmkit as sk
from stfmkit._core.errors import StfmkitWarning
from stfmkit.tl import _expression_scores

KEYS = {"patient_key": "patient", "sample_key": "sample"}
SAMPLES = [f"S{i}" for i in range(6)]


def evaluate(adata, key="model", **options):
    return sk.tl.evaluate_expression(adata, key, copy=True, **KEYS, **options)


def logged(adata, target_sum=None):
    """Size-factor log1p by scanpy."""
    other = ad.AnnData(adata.X.toarray().astype(np.float64))
    sc.pp.normalize_total(other, target_sum=target_sum)
    sc.pp.log1p(other)
    return other.X


@pytest.fixture
def table(toy, rng):
    """The toy with a noisy prediction on the scale of size-factor log1p."""
    truth = logged(toy)
    toy.layers["model"] = 0.3 + 0.5 * truth + rng.normal(0, 0.3, truth.shape)
    return toy


def test_scores_of_genes_equal_scipy_within_samples(table):
    genes = evaluate(table)["by_gene"]
    truth = logged(table)
    assert len(genes) == 6 * table.n_vars
    for sample in ("S0", "S4"):
        rows = (table.obs["sample"] == sample).to_numpy()
        here = genes[genes["sample"] == sample].set_index("gene")
        assert here.index.tolist() == table.var_names.tolist()
        for g in (0, 17):
            x, y = truth[rows, g], table.layers["model"][rows, g]
            found = here.iloc[g]
            assert found["pearson"] == pytest.approx(stats.pearsonr(x, y)[0])
            assert found["spearman"] == pytest.approx(stats.spearmanr(x, y)[0])
            assert found["rmse"] == pytest.approx(np.sqrt(((x - y) ** 2).mean()))
            assert found["nrmse"] == pytest.approx(np.sqrt(((x - y) ** 2).mean()) / x.std())
            assert found["variance_ratio"] == pytest.approx(y.std() / x.std())
            depth = np.log1p(table.X.toarray().sum(axis=1))[rows]
            partial = [v - np.polyval(np.polyfit(depth, v, 1), depth) for v in (x, y)]
            assert found["partial_pearson"] == pytest.approx(stats.pearsonr(*partial)[0])
            assert found["n_obs"] == 40


def test_averages_go_from_genes_to_samples_to_patients_to_the_task(table):
    tables = evaluate(table)
    genes, samples, patients = tables["by_gene"], tables["by_sample"], tables["by_patient"]
    mean = genes.groupby("sample")["pearson"].mean()
    np.testing.assert_allclose(samples.set_index("sample")["pearson"], mean[samples["sample"]])
    np.testing.assert_allclose(
        samples.set_index("sample")["r2"],
        genes.groupby("sample")["r2"].median()[samples["sample"]],
    )
    by_hand = {"P1": mean[["S0", "S1"]].mean(), "P2": mean[["S2", "S3"]].mean(), "P3": mean["S4"], "P4": mean["S5"]}
    assert patients.set_index("patient")["pearson"].to_dict() == pytest.approx(by_hand)
    assert patients.set_index("patient")["n_samples"].to_dict() == {"P1": 2, "P2": 2, "P3": 1, "P4": 1}
    found = tables["summary"].loc["pearson"]
    values = np.array(list(by_hand.values()))
    assert found["mean"] == pytest.approx(values.mean())
    assert found["sd"] == pytest.approx(values.std(ddof=1))
    assert (found["min"], found["max"], found["n_patients"]) == pytest.approx((values.min(), values.max(), 4))


def test_every_score_has_a_spec(table):
    columns = set(evaluate(table, train=(table.obs["patient"] == "P1").to_numpy())["summary"].index)
    derived = {"reliability", "pearson_of_ceiling"}
    derived |= {f"{d}pearson_{b}" for d in ("", "delta_") for b in ("library_size", "coordinates")}
    assert derived <= columns
    assert columns - derived <= set(sk.metrics.list_metrics().index)
    expected = set(sk.metrics.list_metrics("expression").index)
    assert expected <= columns


@pytest.mark.parametrize(
    ("target", "values"),
    [
        ("size_factor_log1p", logged),
        ("log1p", lambda a: np.log1p(a.X.toarray())),
        ("counts", lambda a: a.X.toarray()),
        ("as_is", lambda a: a.X.toarray()),
    ],
)
def test_the_truth_itself_is_perfect_on_every_scale(toy, target, values):
    toy.layers["model"] = values(toy).astype(np.float64)
    tables = evaluate(toy, target=target)
    summary = tables["summary"]["mean"]
    for name in ("pearson", "spearman", "ccc", "r2", "auroc_top", "map_ssim", "variance_ratio"):
        # scanpy divides in another order, so that its equal shares are ties but for the last bit
        assert summary[name] == pytest.approx(1, abs=1e-5 if name == "spearman" else 1e-6)
    assert summary["rmse"] == pytest.approx(0, abs=1e-6)
    assert ("reliability" in summary) == (target != "as_is")
    assert ("partial_pearson" in summary) == (target != "as_is")


def test_target_sum_is_that_of_scanpy(toy):
    toy.layers["model"] = logged(toy, target_sum=1e4)
    assert evaluate(toy, target_sum=1e4)["summary"].loc["rmse", "mean"] == pytest.approx(0, abs=1e-9)
    assert evaluate(toy)["summary"].loc["rmse", "mean"] > 1


def test_controls_are_put_in_order(toy, rng):
    counts = toy.X.toarray().astype(np.int64)
    half = rng.binomial(counts, 0.5)
    toy.layers["thinned"] = np.log1p(2.0 * half)
    toy.layers["shuffled"] = rng.permutation(np.log1p(counts))
    better, worse = (evaluate(toy, key, target="log1p")["summary"]["mean"] for key in ("thinned", "shuffled"))
    for name in ("pearson", "spearman", "ccc", "r2", "auroc_top", "map_ssim", "bivariate_morans_i", "partial_pearson"):
        assert better[name] > worse[name] + 0.02, name
    assert better["nrmse"] < worse["nrmse"]
    assert better["delta_pearson_coordinates"] > 0.2
    assert abs(worse["pearson"]) < 0.05


def test_degenerate_genes_are_counted(table):
    rows = (table.obs["sample"] == "S2").to_numpy()
    counts = table.X.toarray()
    counts[rows, 4] = 0
    table.X = sparse.csr_matrix(counts)
    table.layers["model"][rows, 5] = 0.25
    tables = evaluate(table)
    here = tables["by_gene"].query("sample == 'S2'").set_index("gene")
    assert here.loc["G4", "constant_truth"]
    assert here.loc["G4", ["pearson", "map_ssim", "r2"]].isna().all()
    assert here.loc["G5", "constant_prediction"]
    assert here.loc["G5", ["pearson", "spearman", "ccc", "map_ssim"]].tolist() == [0, 0, 0, 0]
    found = tables["by_sample"].set_index("sample").loc["S2"]
    assert (found["n_genes"], found["n_constant_truth"], found["n_constant_prediction"]) == (39, 1, 1)
    assert found["pearson"] == pytest.approx(here["pearson"].drop("G4").mean())
    assert found["rmse"] == pytest.approx(here["rmse"].drop("G4").mean())


def test_a_table_in_obsm_may_hold_some_genes_in_any_order(table, rng):
    whole = evaluate(table)["by_gene"].set_index(["sample", "gene"])
    chosen = rng.permutation(table.var_names)[:7]
    frame = pd.DataFrame(table.layers["model"], index=table.obs_names, columns=table.var_names)[list(chosen)]
    table.obsm["panel"] = frame
    part = evaluate(table, "panel")["by_gene"].set_index(["sample", "gene"])
    assert len(part) == 42
    pd.testing.assert_frame_equal(part, whole.loc[part.index])


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csc_matrix, np.asarray])
def test_layers_of_any_kind_give_the_same_scores(toy, kind):
    values = np.log1p(toy.X.toarray() // 2)
    toy.layers["model"] = kind(values)
    toy.layers["dense"] = values
    toy.X = kind(toy.X.toarray())
    pd.testing.assert_frame_equal(
        evaluate(toy, target="log1p")["by_gene"], evaluate(toy, "dense", target="log1p")["by_gene"]
    )


def test_blocks_of_genes_do_not_change_the_scores(table, monkeypatch):
    whole = evaluate(table, train=(table.obs["patient"] == "P1").to_numpy())
    monkeypatch.setattr(_expression_scores, "_CELLS", 1)
    parts = evaluate(table, train=(table.obs["patient"] == "P1").to_numpy())
    for name, frame in whole.items():
        pd.testing.assert_frame_equal(frame, parts[name])


def test_order_of_observations_does_not_matter(table, rng):
    mixed = table[rng.permutation(table.n_obs)].copy()
    names = ["pearson", "map_ssim", "moran_ratio", "pearson_coordinates", "auroc_top", "partial_pearson"]
    pd.testing.assert_frame_equal(evaluate(table)["by_gene"][names], evaluate(mixed)["by_gene"][names])


def test_what_is_not_predicted_is_left_out_and_counted(table):
    model = table.layers["model"]
    whole = evaluate(table)["by_gene"].set_index(["sample", "gene"])
    model[(table.obs["sample"] == "S5").to_numpy()] = np.nan  # a sample
    model[(table.obs["sample"] == "S0").to_numpy(), 3] = np.nan  # a gene in a sample
    tables = evaluate(table)
    found = tables["by_gene"].set_index(["sample", "gene"])
    assert len(found) == 5 * 40 - 1
    assert "pearson_ceiling" in found
    names = ["pearson", "map_ssim", "rmse", "pearson_library_size", "reliability"]
    pd.testing.assert_frame_equal(found[names], whole.loc[found.index, names])
    assert tables["by_sample"].set_index("sample")["n_not_predicted"].to_dict() == {
        "S0": 1, "S1": 0, "S2": 0, "S3": 0, "S4": 0,
    }  # fmt: skip
    assert tables["summary"].loc["pearson", "n_patients"] == 3


def test_small_samples_are_not_scored(table):
    keep = (table.obs["sample"] != "S5").to_numpy() | (np.arange(table.n_obs) % 4 == 0)
    assert "S5" not in evaluate(table[keep].copy())["by_sample"]["sample"].tolist()
    assert "S5" in evaluate(table[keep].copy(), min_obs=10)["by_sample"]["sample"].tolist()


def test_training_means_from_everywhere_agree(table):
    train = (table.obs["patient"] == "P1").to_numpy()
    table.obs["fitted"] = train
    by_mask = evaluate(table, train=train)
    median = float(np.median(table.X.toarray().sum(axis=1)[train]))
    truth = logged(table, target_sum=median)
    mean = truth[train].mean(axis=0)
    held_out = table[~train].copy()
    given = {
        "column": evaluate(table, train="fitted"),
        "array": evaluate(held_out, train_mean=mean, target_sum=median),
        "series": evaluate(held_out, train_mean=pd.Series(mean, index=table.var_names)[::-1], target_sum=median),
    }
    assert set(by_mask["by_sample"]["patient"]) == {"P2", "P3", "P4"}
    for tables in given.values():
        pd.testing.assert_series_equal(tables["by_gene"]["q2"], by_mask["by_gene"]["q2"])
        pd.testing.assert_series_equal(
            tables["by_gene"]["deviance_explained"], by_mask["by_gene"]["deviance_explained"]
        )
    rows = (table.obs["sample"] == "S3").to_numpy()
    x, y = truth[rows, 2], table.layers["model"][rows, 2]
    expected = 1 - ((x - y) ** 2).sum() / ((x - mean[2]) ** 2).sum()
    assert by_mask["by_gene"].query("sample == 'S3' and gene == 'G2'")["q2"].item() == pytest.approx(expected)
    assert "q2" not in evaluate(table)["by_gene"]


def test_recorded_folds_give_the_training_mean_and_the_scale(toy, rng):
    toy.obsm["encoder"] = rng.normal(size=(toy.n_obs, 3))
    split = sk.pp.PatientKFold(4)
    sk.tl.predict_expression(toy, "encoder", genes=["G9", "G1"], split=split, alphas=[1e12], **KEYS)
    tables = evaluate(toy, "predicted")
    # a penalty beyond measure predicts the training mean: Q² is 0, and the prediction has no pattern
    np.testing.assert_allclose(tables["by_gene"]["q2"], 0, atol=1e-4)
    table = toy.obsm["predicted"]
    for patient in ("P2", "P4"):
        test = (toy.obs["patient"] == patient).to_numpy()
        counts = toy.X.toarray().astype(np.float64)
        depth = counts.sum(axis=1)
        scaled = np.log1p(counts / depth[:, None] * np.median(depth[~test]))
        np.testing.assert_allclose(table.loc[test, "G9"], scaled[~test, 9].mean(), rtol=1e-5)
        here = tables["by_gene"].query("patient == @patient and gene == 'G9'")
        sample = here["sample"].iloc[0]
        rows = (toy.obs["sample"] == sample).to_numpy()
        expected = np.sqrt(((scaled[rows, 9] - table.loc[rows, "G9"]) ** 2).mean())
        assert here["rmse"].iloc[0] == pytest.approx(expected, rel=1e-5)


def test_predictions_of_spatial_blocks_are_scored_per_fold_and_gene(toy):
    one = toy[toy.obs["patient"].isin(["P1", "P2"])].copy()
    one.obsm["encoder"] = np.log1p(one.X.toarray())[:, :9]
    split = sk.pp.SpatialBlockKFold(block=250, buffer=20, n_splits=2)
    sk.tl.predict_expression(one, "encoder", genes=8, split=split, **KEYS)
    frame = one.obsm["predicted"]
    assert frame.isna().to_numpy().any()
    found = evaluate(one, "predicted", min_obs=5)["by_gene"].set_index(["sample", "gene"])
    truth_of = {}
    for fold in (0, 1):
        counts = one.X.toarray().astype(np.float64)
        size = one.uns["stfmkit"]["predict_expression"]["results"]["predicted"]["size_target"][fold]
        truth_of[fold] = np.log1p(counts / counts.sum(axis=1, keepdims=True) * size)
    for (sample, gene), row in found.iterrows():
        rows = (one.obs["sample"] == sample).to_numpy() & frame[gene].notna().to_numpy()
        folds = one.obs["predicted_fold"].to_numpy()
        g = one.var_names.get_loc(gene)
        truth = np.where(folds == 0, truth_of[0][:, g], truth_of[1][:, g])
        assert row["n_obs"] == rows.sum()
        assert row["pearson"] == pytest.approx(stats.pearsonr(truth[rows], frame[gene][rows])[0])


def test_baselines_are_linear_and_held_out(table):
    genes = evaluate(table)["by_gene"].set_index(["sample", "gene"])
    truth, depth = logged(table), np.log1p(table.X.toarray().astype(float).sum(axis=1))[:, None]
    places = table.obsm["spatial"].copy()
    for sample in SAMPLES:
        rows = (table.obs["sample"] == sample).to_numpy()
        places[rows] -= places[rows].mean(axis=0)
        places[rows] /= np.sqrt((places[rows] ** 2).sum(axis=1).mean())
    for patient, sample in (("P1", "S1"), ("P3", "S4")):
        test, rows = (table.obs["patient"] == patient).to_numpy(), (table.obs["sample"] == sample).to_numpy()
        for name, known in (("library_size", depth), ("coordinates", places)):
            model = make_pipeline(StandardScaler(), Ridge(alpha=1.0)).fit(known[~test], truth[~test])
            for g in (0, 12):
                found = genes.loc[(sample, f"G{g}")]
                expected = stats.pearsonr(truth[rows, g], model.predict(known[rows])[:, g])[0]
                assert found[f"pearson_{name}"] == pytest.approx(expected)
                assert found[f"delta_pearson_{name}"] == pytest.approx(found["pearson"] - expected)


def test_library_size_explains_counts_without_biology(rng):
    n, genes = 300, 12
    depth = rng.lognormal(0, 0.6, (n, 1))
    counts = rng.poisson(3 * depth * np.ones((1, genes)))
    obs = pd.DataFrame({"patient": np.repeat(["A", "B", "C"], 100)}, index=[f"c{i}" for i in range(n)])
    obs["sample"] = obs["patient"]
    adata = ad.AnnData(sparse.csr_matrix(counts), obs=obs, obsm={"spatial": rng.uniform(0, 1, (n, 2))})
    adata.layers["depth"] = np.log1p(3 * depth * np.ones((1, genes)))
    raw, scaled = (evaluate(adata, "depth", target=t)["summary"]["mean"] for t in ("log1p", "size_factor_log1p"))
    assert raw["pearson"] > 0.5
    assert abs(raw["delta_pearson_library_size"]) < 0.05
    assert abs(raw["partial_pearson"]) < 0.1
    assert scaled["pearson"] < raw["pearson"] - 0.3


def test_the_noise_free_truth_reaches_the_ceiling(rng):
    n = 1500
    rate = rng.gamma(1.5, 2, size=(n, 6))
    obs = pd.DataFrame({"patient": np.repeat(["A", "B"], n // 2)}, index=[f"c{i}" for i in range(n)])
    obs["sample"] = obs["patient"]
    adata = ad.AnnData(sparse.csr_matrix(rng.poisson(rate)), obs=obs)
    adata.layers["model"] = rate
    summary = evaluate(adata, target="counts", spatial_key=None)["summary"]["mean"]
    assert summary["pearson_of_ceiling"] == pytest.approx(1, abs=0.03)
    assert 0.5 < summary["pearson_ceiling"] < 0.95
    assert "map_ssim" not in summary
    assert "pearson_coordinates" not in summary


def test_unreliable_genes_have_no_share_of_a_ceiling(rng):
    n = 4000
    obs = pd.DataFrame({"patient": np.repeat(["A", "B"], n // 2)}, index=[f"c{i}" for i in range(n)])
    obs["sample"] = obs["patient"]
    counts = np.column_stack([rng.poisson(2.0, n), rng.poisson(rng.gamma(1, 9, n))])
    adata = ad.AnnData(sparse.csr_matrix(counts), obs=obs, var=pd.DataFrame(index=["noise", "signal"]))
    adata.layers["model"] = counts.astype(float)
    tables = evaluate(adata, target="counts", spatial_key=None)
    share = tables["by_gene"].set_index(["gene", "sample"])["pearson_of_ceiling"]
    assert share["noise"].isna().all()
    assert share["signal"].notna().all()
    low = tables["by_gene"].query("reliability < 0.1").groupby("sample").size()
    assert tables["by_sample"].set_index("sample")["n_unreliable"].to_dict() == low.to_dict() == {"A": 1, "B": 1}


def test_a_graph_may_be_given(table):
    default = evaluate(table)["by_gene"]
    sk.pp.spatial_graph(table, sample_key="sample", kind="knn", n_neighbors=6)
    given = evaluate(table, graph="spatial_connectivities")["by_gene"]
    for name in ("map_ssim", "moran_ratio", "bivariate_morans_i"):
        np.testing.assert_allclose(given[name], default[name])
    sk.pp.spatial_graph(table, sample_key="sample", kind="knn", n_neighbors=20, key_added="wide")
    wide = evaluate(table, graph="wide_connectivities", spatial_key=None)["by_gene"]
    assert not np.allclose(wide["map_ssim"], default["map_ssim"])


def test_one_patient_has_scores_and_a_warning(table):
    one = table[table.obs["patient"] == "P1"].copy()
    with pytest.warns(StfmkitWarning, match="nothing about the next patient, and there are no baselines"):
        tables = evaluate(one)
    assert tables["summary"].loc["pearson", "n_patients"] == 1
    assert np.isnan(tables["summary"].loc["pearson", "sd"])
    assert "pearson_library_size" not in tables["summary"].index
    train = (table.obs["patient"] != "P1").to_numpy()
    with pytest.warns(StfmkitWarning, match=r"next patient\.$"):
        assert "pearson_library_size" in evaluate(table, train=train)["summary"].index


def test_writes_its_tables_and_nothing_else(table, content):
    before = content(table)
    copied = evaluate(table)
    assert content(table) == before
    assert sk.tl.evaluate_expression(table, "model", **KEYS) is None
    for name, frame in table.uns.pop("expression_scores").items():
        pd.testing.assert_frame_equal(frame, copied[name])
    params = table.uns["stfmkit"].pop("evaluate_expression")["results"]["expression_scores"]
    assert (params["target"], params["pred_layer"], params["n_obs"]) == ("size_factor_log1p", "model", 240)
    assert content(table) == before


def test_same_seed_same_bits(table):
    first, again, other = (evaluate(table, rng=r)["by_gene"] for r in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not np.allclose(first["reliability"], other["reliability"])


@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning", "ignore:Writing zarr v2:UserWarning")
def test_tables_survive_files(table, tmp_path, suffix):
    sk.tl.evaluate_expression(table, "model", target="size_factor_log1p", **KEYS)
    path = tmp_path / f"x.{suffix}"
    table.write_h5ad(path) if suffix == "h5ad" else table.write_zarr(path)
    back = ad.read_h5ad(path) if suffix == "h5ad" else ad.read_zarr(path)
    for name, frame in table.uns["expression_scores"].items():
        found = back.uns["expression_scores"][name]
        assert found.columns.tolist() == frame.columns.tolist()
        numbers = frame.select_dtypes("number").columns
        np.testing.assert_array_equal(found[numbers], frame[numbers])
        assert found.index.astype(str).tolist() == frame.index.astype(str).tolist()
    sk.tl.evaluate_expression(back, "model", **KEYS)  # our own entry may be written again


@pytest.mark.real_data
@pytest.mark.slow
def test_her2st_expression_is_predicted_from_expression_and_not_from_place(real_data):
    data = ad.read_h5ad(real_data / "her2st_patients_A-F.h5ad")
    keys = {"patient_key": "patient", "sample_key": "section"}
    sk.tl.embed(data, "hvg_pca", n_components=30)
    with pytest.warns(StfmkitWarning, match="was fitted on 4766"):
        sk.tl.predict_expression(
            data, "X_hvg_pca", genes=40, split=sk.pp.PatientKFold(6), alphas=(1.0, 1e2, 1e4), **keys
        )
    sk.tl.evaluate_expression(data, "predicted", spatial_key="spatial_um", **keys)
    tables = data.uns["expression_scores"]
    patients = tables["by_patient"]
    assert patients["patient"].tolist() == list("ABCDEF")
    assert patients["n_samples"].tolist() == [2] * 6
    for name in ("library_size", "coordinates"):
        assert (patients[f"delta_pearson_{name}"] > 0.03).all()
    summary = tables["summary"]["mean"]
    assert summary["pearson"] < summary["pearson_ceiling"]
    assert summary["variance_ratio"] < 1 < summary["moran_ratio"]  # regression smooths
    assert 0 < summary["map_ssim"] < 1
