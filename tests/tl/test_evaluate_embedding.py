"""One call, one table: equal to the metrics themselves, complete, and safe to store."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

import stfmkit as sk
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError, UnitsError
from stfmkit.evaluation import averages, embedding_study
from stfmkit.evaluation.embedding import PLAN
from stfmkit.evaluation.scores import SCHEMA
from stfmkit.metrics._scib import BATCH, BIO

KEYS = {"patient_key": "patient", "sample_key": "sample", "label_key": "niche"}
SCIB = {*BIO, *BATCH, "scib_total"}
QUICK = [name for name in PLAN if name not in SCIB and name != "few_shot_f1"]
CONTROLS = ["control:coordinates", "control:chance"]


def evaluate(adata, key="X_hvg_pca", **options):
    """Return the table of scores and write nothing."""
    return sk.tl.evaluate_embedding(adata, key, copy=True, **{**KEYS, **options})["scores"]


@pytest.fixture(scope="module")
def cohort():
    cells = sk.datasets.synthetic_cohort(
        n_patients=3, n_genes=100, size=350, counts_per_cell=300, as_="anndata", show_progress=False
    )
    sk.tl.embed(cells, "hvg_pca", n_components=10)
    sk.tl.embed(cells, "random", rng=0)
    return cells


@pytest.fixture
def cells(cohort):
    return cohort.copy()


def own(table):
    """Return the rows of embeddings, without controls."""
    return table[~table["contender"].isin(CONTROLS)]


def value(table, metric, setting=""):
    """Return the score of all observations, or the mean over patients of the means over their samples."""
    rows = own(table)
    rows = rows[(rows["metric"] == metric) & rows["setting"].str.startswith(setting)]
    found = averages.summary(rows)
    assert len(found) == 1
    return found["mean"].iloc[0]


def test_every_metric_has_a_row_within_its_bounds(cells):
    given = {"celltype_key": "cell_type", "radius": 40, "reference_key": "X_random"}
    table = evaluate(cells, metrics=QUICK, **given)
    assert list(table.columns) == list(SCHEMA)
    assert table["metric"].drop_duplicates().tolist() == QUICK
    assert (table["status"] == "scored").all()
    assert (table["reason"] == "").all()
    assert set(table["contender"]) == {"X_hvg_pca", *CONTROLS}
    assert set(table["scope"]) == {"cohort", "sample"}
    for row in table.itertuples():
        low, high = sk.metrics.spec(row.metric).bounds
        assert low is None or row.value >= low
        assert high is None or row.value <= high


def test_values_are_those_of_the_metrics(cells):
    given = {"celltype_key": "cell_type", "radius": 40, "reference_key": "X_random"}
    table = evaluate(cells, metrics=QUICK, **given)
    X = cells.obsm["X_hvg_pca"].astype(float)
    xy, niche, patient, sample = (
        cells.obsm["spatial"],
        *(np.asarray(cells.obs[k]) for k in ("niche", "patient", "sample")),
    )
    depth = np.asarray(cells.X.sum(axis=1)).ravel()
    m = sk.metrics
    assert value(table, "neighborhood_purity") == pytest.approx(m.neighborhood_purity(X, niche))
    assert value(table, "robustness_index") == pytest.approx(m.robustness_index(X, niche, patient))
    assert value(table, "group_probe_accuracy") == pytest.approx(m.group_probe_accuracy(X, patient))
    assert value(table, "library_size_r2") == pytest.approx(m.library_size_r2(X, depth, patient))
    around = m.neighborhood_composition(xy, np.asarray(cells.obs["cell_type"]), sample, radius=40)
    held = around.counts > 0
    guess = m.grouped_ridge(X[held], around.shares[held], patient[held])
    for name in ("composition_r2", "composition_js", "composition_f1"):
        assert value(table, name) == pytest.approx(m.spec(name).function(around.shares[held], guess))
    counts = around.counts.astype(float)
    assert value(table, "density_r2") == pytest.approx(
        m.density_r2(counts, m.grouped_ridge(X, counts[:, None], patient)[:, 0])
    )
    assert value(table, "cka") == pytest.approx(m.cka(X, cells.obsm["X_random"], debiased=True))
    assert value(table, "knn_overlap") == pytest.approx(m.knn_overlap(X, cells.obsm["X_random"]))
    near = KMeans(4, n_init=10, random_state=5).fit_predict(X)
    assert value(table, "ari") == pytest.approx(adjusted_rand_score(niche, near), abs=0.1)


def test_scores_by_sample_and_their_mean_over_patients(cells):
    cells.obs["patient"] = cells.obs["patient"].astype(str).replace({"P03": "P02"})  # two samples of one patient
    tables = sk.tl.evaluate_embedding(cells, "X_hvg_pca", metrics=["pas", "coordinate_r2"], copy=True, **KEYS)
    summary = tables["summary"].set_index(["metric", "contender"])
    for name in ("pas", "coordinate_r2"):
        by = tables["scores"].query("metric == @name and contender == 'X_hvg_pca'").set_index("sample")["value"]
        assert by.index.tolist() == ["P01_S1", "P02_S1", "P03_S1"]
        expected = (by["P01_S1"] + (by["P02_S1"] + by["P03_S1"]) / 2) / 2
        assert summary.loc[(name, "X_hvg_pca"), "mean"] == pytest.approx(expected)
        assert summary.loc[(name, "X_hvg_pca"), "n_patients"] == 2
    coherent = summary.loc["pas", "mean"]
    assert coherent["control:coordinates"] < 0.2 < coherent["X_hvg_pca"]


def test_expression_is_better_at_labels_and_noise_at_leaks(cells):
    names = ["ari", "neighborhood_purity", "few_shot_f1", "coordinate_r2", "group_probe_accuracy", "library_size_r2"]
    for key in ("X_hvg_pca", "X_random"):
        sk.tl.evaluate_embedding(cells, key, metrics=names, **KEYS)
    table = cells.uns["embedding_scores"]["summary"]
    wide = table.pivot_table(index=["metric", "setting"], columns="contender", values="mean")
    for name in ("ari", "neighborhood_purity"):
        assert (wide.loc[name]["X_hvg_pca"] > wide.loc[name]["X_random"]).all()
    curve = wide.loc["few_shot_f1"]
    assert curve.loc["labels_per_class=10", "X_hvg_pca"] > curve.loc["labels_per_class=10", "X_random"]
    for name in ("group_probe_accuracy", "coordinate_r2"):
        assert (wide.loc[name]["X_random"] < wide.loc[name]["X_hvg_pca"]).all()
    assert wide.loc["group_probe_accuracy"]["X_random"].iloc[0] == pytest.approx(1 / 3, abs=0.08)
    assert wide.loc["group_probe_accuracy"]["control:chance"].iloc[0] == pytest.approx(1 / 3)


def test_neighbours_in_other_samples_have_a_row_where_a_level_holds_several(cells):
    cells.obs["platform"] = np.where(cells.obs["sample"] == "P03_S1", "xenium", "visium")
    table = evaluate(cells, metrics=["robustness_index"], confounder_keys=["platform"])
    found = table.set_index(["setting", "contender"])["value"]
    elsewhere = "confounder=platform, n_neighbors=50, other samples"
    assert table["setting"].drop_duplicates().tolist() == [
        "confounder=patient, n_neighbors=50",
        "confounder=platform, n_neighbors=50",
        elsewhere,
    ]
    given = [np.asarray(cells.obs[key]) for key in ("niche", "platform")]
    sample = np.asarray(cells.obs["sample"])
    expected = sk.metrics.robustness_index(cells.obsm["X_hvg_pca"], *given, exclude=sample)
    assert found[elsewhere, "X_hvg_pca"] == expected
    assert found[elsewhere, "control:chance"] == sk.metrics.robustness_index_chance(*given, exclude=sample)


def test_approximate_silhouettes_are_sampled_and_say_so(cells, monkeypatch):
    monkeypatch.setattr(embedding_study, "_SILHOUETTES", 200)
    given = {"metrics": ["spatial_asw"]}
    few, again = (evaluate(cells, neighbor_search="approximate", **given) for _ in range(2))
    pd.testing.assert_frame_equal(few, again, check_exact=True)
    assert few["setting"].str.endswith("n_sampled=200").all()
    every = evaluate(cells, **given)
    assert not every["setting"].str.contains("n_sampled").any()
    assert 0 < np.abs(few["value"] - every["value"]).max() < 2 / np.sqrt(200)


@pytest.mark.slow
def test_approximate_search_serves_every_score_with_neighbours(cells, monkeypatch):
    monkeypatch.setattr(embedding_study, "_SILHOUETTES", 300)
    names = ["group_probe_accuracy", "knn_overlap", "robustness_index", "neighborhood_purity", "scib_silhouette_label"]
    cells.obs["all"] = np.where(cells.obs["sample"] == "P03_S1", "one", "two")
    given = {"metrics": names, "reference_key": "X_random", "confounder_keys": ["all"]}
    exact = own(evaluate(cells, **given)).set_index(["metric", "setting"])
    found = own(evaluate(cells, neighbor_search="approximate", **given)).set_index(["metric", "setting"])
    elsewhere = ("robustness_index", "confounder=all, n_neighbors=50, other samples")
    assert exact.loc[elsewhere, "status"] == "scored"
    assert "method='approximate' with exclude" in found.loc[elsewhere, "reason"]
    assert ("scib_silhouette_label", "n_sampled=300") in found.index
    both = found.index.intersection(exact.index).drop(elsewhere)
    assert len(both) == 6
    np.testing.assert_allclose(found.loc[both, "value"], exact.loc[both, "value"], atol=0.02)


@pytest.mark.slow
def test_scib_is_part_of_it(cells):
    table = evaluate(cells, metrics=sorted(SCIB), reference_key="X_random").set_index("metric")
    assert (table["status"] == "scored").all()
    assert table.loc["scib_total", "value"] == pytest.approx(sk.metrics.scib_total(table["value"]))
    wanted = sk.metrics.scib_clisi(cells.obsm["X_hvg_pca"], np.asarray(cells.obs["niche"]))
    assert table.loc["scib_clisi", "value"] == pytest.approx(wanted)


def test_what_lacks_its_input_is_listed_with_the_reason(cells):
    del cells.obsm["spatial"]
    cells.X = cells.X.astype(float) * 0.5
    table = own(evaluate(cells, "X_random", label_key=None))
    assert set(table["metric"]) == set(PLAN)
    done = table[table["status"] == "scored"]["metric"]
    assert done.tolist() == ["group_probe_accuracy", "scib_ilisi"]
    reasons = table.set_index("metric")["reason"]
    for name, words in {
        "ari": "no labels: pass label_key=; no number of clusters",
        "library_size_r2": "not integers",
        "coordinate_r2": "no coordinates in obsm['spatial']",
        "composition_r2": "no cell types: pass celltype_key=",
        "density_r2": "no radius: pass radius= in µm",
        "cka": "pass reference_key=",
        "scib_pcr": "pass reference_key=",
        "scib_total": "no labels",
    }.items():
        assert words in reasons[name]
    assert table[table["status"] != "scored"]["value"].isna().all()


def test_without_scib_the_rest_is_there(cells, monkeypatch):
    from stfmkit.tl import _evaluate_embedding as module

    monkeypatch.setattr(module, "find_spec", lambda name: None)
    table = evaluate(cells, "X_random", metrics=["scib_ilisi", "nmi"])
    assert table["status"].tolist() == ["undefined", "scored"]
    assert "pip install 'stfmkit[scib]'" in table["reason"].iloc[0]


def test_one_patient_and_few_observations_are_reasons_too(cells):
    one = cells[cells.obs["sample"] == "P01_S1"][:60].copy()
    table = own(evaluate(one, "X_random")).groupby("metric").first()
    assert "one patient" in table.loc["library_size_r2", "reason"]
    assert "1 groups" in table.loc["group_probe_accuracy", "reason"]
    assert "60 observations and" in table.loc["scib_clisi", "reason"]
    assert "one value in confounder" in table.loc["robustness_index", "reason"]
    assert table.loc["neighborhood_purity", "status"] == "scored"


def test_observations_without_a_label_are_left_out(cells):
    cells.obs["niche"] = cells.obs["niche"].astype(object)
    cells.obs.iloc[::3, cells.obs.columns.get_loc("niche")] = None
    rest = cells[~cells.obs["niche"].isna()].copy()
    tables = [evaluate(a, metrics=QUICK) for a in (cells, rest)]
    pd.testing.assert_frame_equal(*tables)
    sk.tl.evaluate_embedding(cells, "X_hvg_pca", metrics=["ari"], **KEYS)
    facts = cells.uns["stfmkit"]["evaluate_embedding"]["results"]["embedding_scores"]["X_hvg_pca"]
    assert facts["n_obs"] == rest.n_obs


def test_more_confounders_have_rows_of_their_own(cells):
    cells.obs["half"] = np.where(np.arange(cells.n_obs) % 2, "odd", "even")
    names = ["robustness_index", "group_probe_accuracy"]
    table = evaluate(cells, metrics=names, confounder_keys=["half", "panel"])
    found = table.set_index(["metric", "setting", "contender"])
    half = ("group_probe_accuracy", "confounder=half, n_neighbors=10")
    assert found.loc[(*half, "X_hvg_pca"), "value"] == pytest.approx(0.5, abs=0.1)
    assert found.loc[(*half, "control:chance"), "value"] == 0.5
    patient = ("group_probe_accuracy", "confounder=patient, n_neighbors=10", "control:chance")
    assert found.loc[patient, "value"] == pytest.approx(1 / 3)
    panel = ("robustness_index", "confounder=panel, n_neighbors=50", "X_hvg_pca")
    assert "one value" in found.loc[panel, "reason"]


def test_a_subset_of_metrics_gives_the_same_bits(cells):
    whole = evaluate(cells, metrics=QUICK, rng=4)
    names = ["coordinate_r2", "fide", "ari"]
    part = evaluate(cells, metrics=names, rng=4)
    for name in names:
        left, right = (t[t["metric"] == name].reset_index(drop=True) for t in (whole, part))
        pd.testing.assert_frame_equal(left, right, check_exact=True)
    other = evaluate(cells, metrics=["coordinate_r2"], rng=5)
    assert value(other, "coordinate_r2") != value(part, "coordinate_r2")


@pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")
@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_the_table_survives_a_file_and_grows_after_it(cells, tmp_path, kind):
    names = ["ari", "density_r2", "pas"]
    sk.tl.evaluate_embedding(cells, "X_hvg_pca", metrics=names, confounder_keys=["panel"], **KEYS)
    path = tmp_path / f"cells.{kind}"
    (cells.write_h5ad if kind == "h5ad" else cells.write_zarr)(path)
    back = (ad.read_h5ad if kind == "h5ad" else ad.read_zarr)(path)
    for name, table in cells.uns["embedding_scores"].items():
        pd.testing.assert_frame_equal(back.uns["embedding_scores"][name], table, check_index_type=False)
    sk.tl.evaluate_embedding(back, "X_random", metrics=names, confounder_keys=["panel"], **KEYS)
    found = back.uns["embedding_scores"]["scores"]["contender"]
    assert set(found) == {"X_hvg_pca", "X_random", "control:coordinates"}
    assert (found == "control:coordinates").sum() == 3  # samples
    assert back.uns["embedding_scores"]["scores"].index.is_unique


def test_scores_of_an_embedding_are_replaced_and_others_kept(cells, content):
    before = content(cells)
    assert sk.tl.evaluate_embedding(cells, "X_hvg_pca", metrics=["ari", "pas"], copy=True, **KEYS) is not None
    assert content(cells) == before
    for key in ("X_hvg_pca", "X_random", "X_hvg_pca"):
        assert sk.tl.evaluate_embedding(cells, key, metrics=["ari"], **KEYS) is None
    assert cells.uns["embedding_scores"]["scores"]["contender"].tolist() == ["X_random", "X_hvg_pca"]
    facts = cells.uns["stfmkit"]["evaluate_embedding"]["results"]["embedding_scores"]
    assert set(facts) == {"X_hvg_pca", "X_random"}
    assert facts["X_random"]["versions"]["scib-metrics"]
    after = content(cells)
    assert {k: v for k, v in after.items() if k != "uns"} == {k: v for k, v in before.items() if k != "uns"}


def test_scores_of_other_settings_are_not_mixed(cells):
    sk.tl.evaluate_embedding(cells, "X_hvg_pca", metrics=["ari"], **KEYS)
    with pytest.raises(InputError, match="'X_hvg_pca' with another 'n_clusters'"):
        sk.tl.evaluate_embedding(cells, "X_random", metrics=["ari"], n_clusters=7, **KEYS)
    sk.tl.evaluate_embedding(cells, "X_random", metrics=["ari"], n_clusters=7, key_added="seven", **KEYS)
    assert len(cells.uns["embedding_scores"]["scores"]) == len(cells.uns["seven"]["scores"]) == 1


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({"embedding_key": "X_pca"}, MissingKeyError, "Did you mean 'X_hvg_pca'"),
        ({"reference_key": "X_pca"}, MissingKeyError, "reference_key='X_pca'"),
        ({"patient_key": "donor"}, MissingKeyError, "patient_key='donor'"),
        ({"sample_key": "slide"}, MissingKeyError, "sample_key='slide'"),
        ({"label_key": "region"}, MissingKeyError, "label_key='region'"),
        ({"celltype_key": "type"}, MissingKeyError, "celltype_key='type'"),
        ({"confounder_keys": ["platform"]}, MissingKeyError, "confounder_keys='platform'"),
        ({"metrics": ["arri"]}, MissingKeyError, "Did you mean 'ari'"),
        ({"metrics": ["pearson"]}, MissingKeyError, "no metric of an embedding named 'pearson'"),
        ({"neighbor_search": "annoy"}, InputError, "neighbor_search='annoy'"),
        ({"n_clusters": 1}, InputError, "n_clusters=1"),
        ({"n_neighbors": 0}, InputError, "n_neighbors=0"),
        ({"radius": -1.0}, InputError, "radius=-1"),
        ({"rng": 0.5}, InputTypeError, "rng=0.5"),
        ({"key_added": "a/b"}, InputError, "key_added='a/b'"),
        ({"key_added": "stfmkit"}, InputError, "the key 'stfmkit' in uns"),
        ({"key_added": "synthetic_cohort"}, InputError, "not written by evaluate_embedding"),
        ({"table_key": "cells"}, InputError, "table_key"),
        ({"patient_key": "niche"}, InputError, "several values of obs"),
    ],
)
def test_wrong_arguments_leave_the_table_alone(cells, content, arguments, kind, words):
    before = content(cells)
    given = {"embedding_key": "X_hvg_pca", **KEYS, **arguments}
    with pytest.raises(kind, match=words):
        sk.tl.evaluate_embedding(cells, given.pop("embedding_key"), **given)
    assert content(cells) == before


def test_broken_data_are_refused_at_once(cells):
    cells.obsm["bad"] = np.where(np.arange(cells.n_obs)[:, None] == 3, np.nan, cells.obsm["X_random"])
    with pytest.raises(InputError, match=r"NaN or infinite values in obsm\['bad'\]"):
        sk.tl.evaluate_embedding(cells, "bad", **KEYS)
    cells.obsm["spatial"][5] = np.inf
    with pytest.raises(InputError, match="1 observations with NaN or infinite coordinates"):
        sk.tl.evaluate_embedding(cells, "X_random", **KEYS)
    with pytest.raises(InputTypeError, match=r"sk\.io\.read"):
        sk.tl.evaluate_embedding("cells.h5ad", "X_random", **KEYS)
    cells.obs["patient"] = cells.obs["patient"].astype(object)
    cells.obs.iloc[0, cells.obs.columns.get_loc("patient")] = ""
    with pytest.raises(InputError, match="without an id"):
        sk.tl.evaluate_embedding(cells, "X_random", **KEYS)


def test_a_radius_needs_a_unit(cells):
    del cells.uns["stfmkit"]["microns_per_unit"]
    with pytest.raises(UnitsError, match="microns_per_unit"):
        sk.tl.evaluate_embedding(cells, "X_random", radius=30, **KEYS)
    halves = cells.copy()
    halves.obsm["spatial"] = halves.obsm["spatial"] / 2
    names = ["density_r2", "composition_r2"]
    tables = [
        evaluate(a, "X_random", radius=30, microns_per_unit=mpu, celltype_key="cell_type", metrics=names)["value"]
        for a, mpu in ((cells, 1.0), (halves, 2.0))
    ]
    np.testing.assert_allclose(*tables)


def test_a_second_annotation_is_the_ceiling_of_agreement(cells):
    rng = np.random.default_rng(0)
    second = cells.obs["niche"].astype(str).to_numpy(dtype=object)
    moved = rng.random(len(second)) < 0.2
    second[moved] = rng.permutation(second)[moved]
    second[::10] = None
    cells.obs["second"] = second
    table = evaluate(cells, metrics=["ari", "nmi"], second_label_key="second")
    known = cells.obs["second"].notna().to_numpy()
    limit = table.query("status == 'ceiling'").set_index("metric")["value"]
    own, other = (cells.obs[key].astype(str).to_numpy()[known] for key in ("niche", "second"))
    assert limit["ari"] == pytest.approx(np.sqrt(adjusted_rand_score(own, other)))
    share = table.query("status == 'of ceiling' and metric == 'ari'")
    assert share["contender"].tolist() == ["X_hvg_pca"]
    scored = table.query("status == 'scored' and metric == 'ari'")["value"].item()
    assert share["value"].item() == pytest.approx(scored / limit["ari"])
    assert not evaluate(cells, metrics=["ari"])["status"].isin(["ceiling", "of ceiling"]).any()


def test_the_second_annotation_stands_once_beside_several_embeddings(cells):
    cells.obs["second"] = np.roll(cells.obs["niche"].astype(str).to_numpy(), 1)
    cells.obsm["X_other"] = np.random.default_rng(0).normal(size=(cells.n_obs, 3))
    for key in ("X_hvg_pca", "X_other"):
        sk.tl.evaluate_embedding(cells, key, metrics=["ari"], second_label_key="second", **KEYS)
    table = cells.uns["embedding_scores"]["scores"]
    assert (table["status"] == "ceiling").sum() == 1
    assert set(table.query("status == 'of ceiling'")["contender"]) <= {"X_hvg_pca", "X_other"}
