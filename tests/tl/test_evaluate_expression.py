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
from tests.tl.wide import by_gene, genes_of, summary

import stfmkit as sk
from stfmkit._core.errors import StfmkitWarning
from stfmkit.evaluation.averages import per_sample
from stfmkit.evaluation.scores import SCHEMA
from stfmkit.tl import _expression_blocks

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
    genes = genes_of(evaluate(table))
    truth = logged(table)
    assert len(genes) == 6 * table.n_vars
    for sample in ("S0", "S4"):
        rows = (table.obs["sample"] == sample).to_numpy()
        here = genes[genes["sample"] == sample].set_index("gene").loc[table.var_names]
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


def test_averages_go_from_genes_to_samples_to_patients_to_the_task(table):
    tables = evaluate(table)
    genes, patients = genes_of(tables), tables["by_patient"]
    for metric, how in (("pearson", "mean"), ("r2", "median")):
        mean = genes.groupby("sample")[metric].agg(how)
        by_hand = {"P1": mean[["S0", "S1"]].mean(), "P2": mean[["S2", "S3"]].mean(), "P3": mean["S4"], "P4": mean["S5"]}
        found = patients.query("metric == @metric and contender == 'model' and status == 'scored'")
        assert found.set_index("patient")["value"].to_dict() == pytest.approx(by_hand)
        whole = summary(tables).loc[metric]
        values = np.array(list(by_hand.values()))
        assert whole["mean"] == pytest.approx(values.mean())
        assert whole["sd"] == pytest.approx(values.std(ddof=1))
        assert (whole["min"], whole["max"], whole["n_patients"]) == pytest.approx((values.min(), values.max(), 4))


def test_every_metric_has_a_spec(table):
    scores = evaluate(table, train=(table.obs["patient"] == "P1").to_numpy())["scores"]
    found = set(scores["metric"])
    assert found <= set(sk.metrics.list_metrics().index)
    assert set(sk.metrics.list_metrics("expression").index) <= found
    assert set(scores["contender"]) == {"", "model", "control:linear_library_size", "control:linear_coordinates"}
    assert list(scores) == list(SCHEMA)


@pytest.mark.parametrize(
    ("scale", "values"),
    [
        ("size_factor_log1p", logged),
        ("log1p", lambda a: np.log1p(a.X.toarray())),
        ("counts", lambda a: a.X.toarray()),
        ("as_is", lambda a: a.X.toarray()),
    ],
)
def test_the_truth_itself_is_perfect_on_every_scale(toy, scale, values):
    toy.layers["model"] = values(toy).astype(np.float64)
    tables = evaluate(toy, scale=scale)
    means = summary(tables)["mean"]
    for name in ("pearson", "spearman", "ccc", "r2", "auroc_top", "map_ssim", "variance_ratio"):
        # scanpy divides in another order, so that its equal shares are ties but for the last bit
        assert means[name] == pytest.approx(1, abs=1e-5 if name == "spearman" else 1e-6)
    assert means["rmse"] == pytest.approx(0, abs=1e-6)
    assert ("pearson_ceiling" in means) == (scale != "as_is")
    assert ("partial_pearson" in means) == (scale != "as_is")


def test_target_sum_is_that_of_scanpy(toy):
    toy.layers["model"] = logged(toy, target_sum=1e4)
    assert summary(evaluate(toy, target_sum=1e4)).loc["rmse", "mean"] == pytest.approx(0, abs=1e-9)
    assert summary(evaluate(toy)).loc["rmse", "mean"] > 1


def test_controls_are_put_in_order(toy, rng):
    counts = toy.X.toarray().astype(np.int64)
    half = rng.binomial(counts, 0.5)
    toy.layers["thinned"] = np.log1p(2.0 * half)
    toy.layers["shuffled"] = rng.permutation(np.log1p(counts))
    better, worse = (summary(evaluate(toy, key, scale="log1p"))["mean"] for key in ("thinned", "shuffled"))
    for name in ("pearson", "spearman", "ccc", "r2", "auroc_top", "map_ssim", "bivariate_morans_i", "partial_pearson"):
        assert better[name] > worse[name] + 0.02, name
    assert better["nrmse"] < worse["nrmse"]
    assert better["pearson"] - better["pearson_coordinates"] > 0.2
    assert abs(worse["pearson"]) < 0.05


def test_degenerate_genes_are_counted(table):
    rows = (table.obs["sample"] == "S2").to_numpy()
    counts = table.X.toarray()
    counts[rows, 4] = 0
    table.X = sparse.csr_matrix(counts)
    table.layers["model"][rows, 5] = 0.25
    tables = evaluate(table)
    here = genes_of(tables).query("sample == 'S2'").set_index("gene")
    assert here.loc["G4", ["pearson", "map_ssim", "r2"]].isna().all()
    assert here.loc["G5", ["pearson", "spearman", "ccc", "map_ssim"]].tolist() == [0, 0, 0, 0]
    left_out = tables["scores"].query("sample == 'S2' and contender == 'model' and reason.str.contains('constant in')")
    assert set(left_out["gene"]) == {"G4"}
    assert set(left_out["status"]) == {"undefined"}
    averages = per_sample(tables["scores"]).query("sample == 'S2' and contender == 'model' and status == 'scored'")
    found = averages.set_index("metric")["value"]
    assert found["pearson"] == pytest.approx(here["pearson"].drop("G4").mean())
    assert found["rmse"] == pytest.approx(here["rmse"].drop("G4").mean())


def test_a_table_in_obsm_may_hold_some_genes_in_any_order(table, rng):
    whole = by_gene(evaluate(table)).droplevel(["patient", "fold"])
    chosen = rng.permutation(table.var_names)[:7]
    frame = pd.DataFrame(table.layers["model"], index=table.obs_names, columns=table.var_names)[list(chosen)]
    table.obsm["panel"] = frame
    part = by_gene(evaluate(table, "panel")).droplevel(["patient", "fold"])
    assert len(part) == 42
    own = [name for name in part if not name.endswith("_ceiling")]  # genes share what is known of their noise
    pd.testing.assert_frame_equal(part[own], whole.loc[part.index, own])


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csc_matrix, np.asarray])
def test_layers_of_any_kind_give_the_same_scores(toy, kind):
    values = np.log1p(toy.X.toarray() // 2)
    toy.layers["model"] = kind(values)
    toy.layers["dense"] = values
    toy.X = kind(toy.X.toarray())
    pd.testing.assert_frame_equal(
        genes_of(evaluate(toy, scale="log1p")),
        genes_of(evaluate(toy, "dense", scale="log1p")),
    )


def test_blocks_of_genes_do_not_change_the_scores(table, monkeypatch):
    whole = evaluate(table, train=(table.obs["patient"] == "P1").to_numpy())
    monkeypatch.setattr(_expression_blocks, "_CELLS", 1)
    parts = evaluate(table, train=(table.obs["patient"] == "P1").to_numpy())
    for name, frame in whole.items():
        pd.testing.assert_frame_equal(frame, parts[name])


def test_order_of_observations_does_not_matter(table, rng):
    mixed = table[rng.permutation(table.n_obs)].copy()
    names = ["pearson", "map_ssim", "moran_ratio", "pearson_coordinates", "auroc_top", "partial_pearson"]
    pd.testing.assert_frame_equal(genes_of(evaluate(table))[names], genes_of(evaluate(mixed))[names])


def test_what_is_not_predicted_is_left_out_and_counted(table):
    model = table.layers["model"]
    whole = by_gene(evaluate(table)).droplevel(["patient", "fold"])
    model[(table.obs["sample"] == "S5").to_numpy()] = np.nan  # a sample
    model[(table.obs["sample"] == "S0").to_numpy(), 3] = np.nan  # a gene in a sample
    tables = evaluate(table)
    found = by_gene(tables).droplevel(["patient", "fold"])
    assert len(found) == 5 * 40
    names = ["pearson", "map_ssim", "rmse", "pearson_library_size"]
    assert found.loc[("S0", "G3"), names].isna().all()
    found = found.drop(("S0", "G3"))
    pd.testing.assert_frame_equal(found[names], whole.loc[found.index, names])
    left_out = tables["scores"].query("reason == 'the gene is not predicted in this sample' and status == 'undefined'")
    assert left_out[["sample", "gene"]].to_numpy().tolist() == [["S0", "G3"]]
    assert summary(tables).loc["pearson", "n_patients"] == 3


def test_small_samples_are_not_scored(table):
    keep = (table.obs["sample"] != "S5").to_numpy() | (np.arange(table.n_obs) % 4 == 0)
    assert "S5" not in set(evaluate(table[keep].copy())["scores"]["sample"])
    assert "S5" in set(evaluate(table[keep].copy(), min_obs=10)["scores"]["sample"])


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
    assert set(by_mask["scores"]["patient"]) == {"P2", "P3", "P4"}
    for tables in given.values():
        pd.testing.assert_series_equal(genes_of(tables)["q2"], genes_of(by_mask)["q2"])
        pd.testing.assert_series_equal(genes_of(tables)["deviance_explained"], genes_of(by_mask)["deviance_explained"])
    rows = (table.obs["sample"] == "S3").to_numpy()
    x, y = truth[rows, 2], table.layers["model"][rows, 2]
    expected = 1 - ((x - y) ** 2).sum() / ((x - mean[2]) ** 2).sum()
    assert genes_of(by_mask).query("sample == 'S3' and gene == 'G2'")["q2"].item() == pytest.approx(expected)
    assert "q2" not in genes_of(evaluate(table))


def test_recorded_folds_give_the_training_mean_and_the_scale(toy, rng):
    toy.obsm["encoder"] = rng.normal(size=(toy.n_obs, 3))
    split = sk.pp.PatientKFold(4)
    sk.tl.predict_expression(toy, "encoder", genes=["G9", "G1"], split=split, ridge_alpha=[1e12], **KEYS)
    tables = evaluate(toy, "predicted")
    # a penalty beyond measure predicts the training mean: Q² is 0, and the prediction has no pattern
    np.testing.assert_allclose(genes_of(tables)["q2"], 0, atol=1e-4)
    table = toy.obsm["predicted"]
    for patient in ("P2", "P4"):
        test = (toy.obs["patient"] == patient).to_numpy()
        counts = toy.X.toarray().astype(np.float64)
        depth = counts.sum(axis=1)
        scaled = np.log1p(counts / depth[:, None] * np.median(depth[~test]))
        np.testing.assert_allclose(table.loc[test, "G9"], scaled[~test, 9].mean(), rtol=1e-5)
        here = genes_of(tables).query("patient == @patient and gene == 'G9'")
        sample = here["sample"].iloc[0]
        rows = (toy.obs["sample"] == sample).to_numpy()
        expected = np.sqrt(((scaled[rows, 9] - table.loc[rows, "G9"]) ** 2).mean())
        assert here["rmse"].iloc[0] == pytest.approx(expected, rel=1e-5)


def test_predictions_of_spatial_blocks_are_scored_per_fold_and_gene(toy):
    one = toy[toy.obs["patient"].isin(["P1", "P2"])].copy()
    one.obsm["encoder"] = np.log1p(one.X.toarray())[:, :9]
    split = sk.pp.SpatialBlockKFold(block=250, buffer=20, n_splits=2)
    sk.tl.predict_expression(one, "encoder", n_genes=8, selector="hvg", split=split, **KEYS)
    frame, folds = one.obsm["predicted"], one.obs["predicted_fold"].to_numpy()
    assert frame.isna().to_numpy().any()
    tables = evaluate(one, "predicted", min_obs=5)
    counts = one.X.toarray().astype(np.float64)
    sizes = one.uns["stfmkit"]["predict_expression"]["results"]["predicted"]["size_target"]
    found = by_gene(tables).droplevel("patient")["pearson"].dropna()
    assert set(found.index.get_level_values("fold")) == {0, 1}
    for (sample, gene, fold), value in found.items():
        rows = (one.obs["sample"] == sample).to_numpy() & (folds == fold)
        truth = np.log1p(counts / counts.sum(axis=1, keepdims=True) * sizes[fold])[rows, one.var_names.get_loc(gene)]
        assert value == pytest.approx(stats.pearsonr(truth, frame[gene][rows])[0])


def test_baselines_are_linear_and_held_out(table):
    genes = by_gene(evaluate(table)).droplevel(["patient", "fold"])
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


def test_library_size_explains_counts_without_biology(rng):
    n, genes = 300, 12
    depth = rng.lognormal(0, 0.6, (n, 1))
    counts = rng.poisson(3 * depth * np.ones((1, genes)))
    obs = pd.DataFrame({"patient": np.repeat(["A", "B", "C"], 100)}, index=[f"c{i}" for i in range(n)])
    obs["sample"] = obs["patient"]
    adata = ad.AnnData(sparse.csr_matrix(counts), obs=obs, obsm={"spatial": rng.uniform(0, 1, (n, 2))})
    adata.layers["depth"] = np.log1p(3 * depth * np.ones((1, genes)))
    raw, scaled = (summary(evaluate(adata, "depth", scale=t))["mean"] for t in ("log1p", "size_factor_log1p"))
    assert raw["pearson"] > 0.5
    assert abs(raw["pearson"] - raw["pearson_library_size"]) < 0.05
    assert abs(raw["partial_pearson"]) < 0.1
    assert scaled["pearson"] < raw["pearson"] - 0.3


def test_the_noise_free_truth_reaches_the_ceiling(rng):
    n = 1500
    rate = rng.gamma(1.5, 2, size=(n, 6))
    obs = pd.DataFrame({"patient": np.repeat(["A", "B"], n // 2)}, index=[f"c{i}" for i in range(n)])
    obs["sample"] = obs["patient"]
    adata = ad.AnnData(sparse.csr_matrix(rng.poisson(rate)), obs=obs)
    adata.layers["model"] = rate
    means = summary(evaluate(adata, scale="counts", spatial_key=None))["mean"]
    assert means["pearson_of_ceiling"] == pytest.approx(1, abs=0.03)
    assert 0.5 < means["pearson_ceiling"] < 0.95
    assert "map_ssim" not in means
    assert "pearson_coordinates" not in means


def test_unreliable_genes_have_no_share_of_a_ceiling(rng):
    n = 4000
    obs = pd.DataFrame({"patient": np.repeat(["A", "B"], n // 2)}, index=[f"c{i}" for i in range(n)])
    obs["sample"] = obs["patient"]
    counts = np.column_stack([rng.poisson(2.0, n), rng.poisson(rng.gamma(1, 9, n))])
    adata = ad.AnnData(sparse.csr_matrix(counts), obs=obs, var=pd.DataFrame(index=["noise", "signal"]))
    adata.layers["model"] = counts.astype(float)
    tables = evaluate(adata, scale="counts", spatial_key=None)
    limit = by_gene(tables).droplevel(["patient", "fold"]).swaplevel()["pearson_ceiling"]
    assert limit["noise"].isna().all()
    assert limit["signal"].notna().all()
    silent = tables["scores"].query("status == 'ceiling' and reason.str.contains('no signal in training')")
    assert silent[["sample", "gene"]].to_numpy().tolist() == [["A", "noise"], ["B", "noise"]]
    shares = tables["scores"].query("status == 'of ceiling' and contender == 'model'")
    scored = genes_of(tables).query("gene == 'signal'").set_index("sample")
    expected = scored["pearson"] / scored["pearson_ceiling"]
    pd.testing.assert_series_equal(shares.set_index("sample")["value"], expected, check_names=False)
    assert (shares["gene"] == "").all()


def test_whether_a_gene_counts_is_decided_elsewhere(rng):
    """A gene with signal in one patient only counts in the others, and not in its own."""
    n = 3000
    obs = pd.DataFrame({"patient": np.repeat(["A", "B", "C"], n // 3)}, index=[f"c{i}" for i in range(n)])
    obs["sample"] = obs["patient"]
    rate = np.where(obs["patient"] == "A", rng.gamma(1, 4, n), 4.0)
    steady = rng.gamma(1, 4, n)
    adata = ad.AnnData(sparse.csr_matrix(rng.poisson(np.column_stack([rate, steady]))), obs=obs)
    adata.layers["model"] = np.column_stack([rate, steady])
    one = genes_of(evaluate(adata, scale="counts", spatial_key=None)).query("gene == '0'").set_index("sample")
    assert one["pearson_ceiling"].notna().to_dict() == {"A": False, "B": True, "C": True}
    assert one["pearson_ceiling"].drop("A").max() < 0.3  # in training A has signal, and these have none
    where = adata.obs["patient"] == "A"
    trained = evaluate(adata, scale="counts", spatial_key=None, train=where.to_numpy())
    assert genes_of(trained)["pearson_ceiling"].notna().all()


def test_a_graph_may_be_given(table):
    default = genes_of(evaluate(table))
    sk.pp.spatial_graph(table, sample_key="sample", kind="knn", n_neighbors=6)
    given = genes_of(evaluate(table, graph_key="spatial_connectivities"))
    for name in ("map_ssim", "moran_ratio", "bivariate_morans_i"):
        np.testing.assert_allclose(given[name], default[name])
    sk.pp.spatial_graph(table, sample_key="sample", kind="knn", n_neighbors=20, key_added="wide")
    wide = genes_of(evaluate(table, graph_key="wide_connectivities", spatial_key=None))
    assert not np.allclose(wide["map_ssim"], default["map_ssim"])


def test_one_patient_has_scores_and_a_warning(table):
    one = table[table.obs["patient"] == "P1"].copy()
    with pytest.warns(StfmkitWarning, match="nothing about the next patient, and there are no baselines"):
        tables = evaluate(one)
    assert summary(tables).loc["pearson", "n_patients"] == 1
    assert np.isnan(summary(tables).loc["pearson", "sd"])
    assert "pearson_library_size" not in summary(tables).index
    train = (table.obs["patient"] != "P1").to_numpy()
    with pytest.warns(StfmkitWarning, match=r"next patient\.$"):
        assert "pearson_library_size" in summary(evaluate(table, train=train)).index


def test_writes_its_tables_and_nothing_else(table, content):
    before = content(table)
    copied = evaluate(table)
    assert content(table) == before
    assert sk.tl.evaluate_expression(table, "model", **KEYS) is None
    for name, frame in table.uns.pop("expression_scores").items():
        pd.testing.assert_frame_equal(frame, copied[name])
    params = table.uns["stfmkit"].pop("evaluate_expression")["results"]["expression_scores"]
    assert (params["scale"], params["prediction"], params["n_obs"]) == ("size_factor_log1p", "model", 240)
    assert content(table) == before


def test_same_seed_same_bits(table):
    first, again, other = (genes_of(evaluate(table, rng=r)) for r in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not np.allclose(first["pearson_ceiling"], other["pearson_ceiling"])


@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning", "ignore:Writing zarr v2:UserWarning")
def test_tables_survive_files(table, tmp_path, suffix):
    sk.tl.evaluate_expression(table, "model", scale="size_factor_log1p", **KEYS)
    path = tmp_path / f"x.{suffix}"
    table.write_h5ad(path) if suffix == "h5ad" else table.write_zarr(path)
    back = ad.read_h5ad(path) if suffix == "h5ad" else ad.read_zarr(path)
    for name, frame in table.uns["expression_scores"].items():
        pd.testing.assert_frame_equal(back.uns["expression_scores"][name], frame, check_index_type=False)
    sk.tl.evaluate_expression(back, "model", **KEYS)  # our own entry may be written again


@pytest.mark.real_data
@pytest.mark.slow
def test_her2st_expression_is_predicted_from_expression_and_not_from_place(real_data):
    data = ad.read_h5ad(real_data / "her2st_patients_A-F.h5ad")
    keys = {"patient_key": "patient", "sample_key": "section"}
    sk.tl.embed(data, "hvg_pca", n_components=30)
    with pytest.warns(StfmkitWarning, match="was fitted on 4766"):
        sk.tl.predict_expression(
            data,
            "X_hvg_pca",
            n_genes=40,
            selector="hvg",
            split=sk.pp.PatientKFold(6),
            ridge_alpha=(1.0, 1e2, 1e4),
            **keys,
        )
    sk.tl.evaluate_expression(data, "predicted", spatial_key="spatial_um", **keys)
    tables = data.uns["expression_scores"]
    pearson = tables["by_patient"].query("metric == 'pearson' and status == 'scored'")
    patients = pearson.pivot_table(index="patient", columns="contender", values="value")
    assert patients.index.tolist() == list("ABCDEF")
    for name in ("library_size", "coordinates"):
        assert (patients["predicted"] - patients[f"control:linear_{name}"] > 0.03).all()
    means = summary(tables)["mean"]
    assert means["pearson"] < means["pearson_ceiling"]
    assert means["variance_ratio"] < 1 < means["moran_ratio"]  # regression smooths
    assert 0 < means["map_ssim"] < 1
