"""Niche signatures: what is written, against scanpy and slow loops; controls in order; bad input."""

import itertools

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse, stats

import stfmkit as sk
from stfmkit._core.errors import InputError, StfmkitWarning
from stfmkit._kernels._thinning import thin

KEYS = {"patient_key": "patient"}
UP = {"tumour": {f"G{g}" for g in range(10)}, "stroma": {f"G{g}" for g in range(10, 20)}}


def run(adata, niche="niche", **options):
    return sk.tl.niche_signatures(adata, niche, copy=True, **(KEYS | {"sizes": 10} | options))


def values(result, metric, *, status="scored", of="n=", contender=""):
    """Return one metric by niche and size, 0 where it reads all genes; `of` is the end of the setting."""
    rows = result["scores"].query("metric == @metric and contender.str.startswith(@contender)")
    rows = rows[rows["status"].isin([status, "undefined"] if status == "scored" else [status])]
    if status == "scored" and not contender:
        rows = rows[~rows["contender"].str.startswith("control:")]
    size = rows["setting"].replace("", "n=0").str.extract(r"^n=(?P<n>\d+)(?P<rest>.*)$").astype({"n": int})
    rows = rows.assign(n=size["n"])[size["rest"] == of.removeprefix("n=")]
    return rows.set_index(["niche", "n"])["value"].sort_index()


def chance(result):
    return values(result, "jaccard", contender="control:chance")


def ceiling(result, *, patients=False):
    of = ", halves of patients" if patients else "n="
    return values(result, "adjusted_jaccard", status="ceiling", of=of)


def share(result):
    return values(result, "adjusted_jaccard", status="of ceiling")


def log1p(adata):
    """Shares are rounded once, so that equal shares are ties, as in the verb."""
    counts = adata.X.toarray().astype(float)
    depth = counts.sum(axis=1, keepdims=True)
    return sparse.csr_matrix(np.log1p(counts / depth * np.median(depth)))


@pytest.fixture
def predicted(toy):
    """A perfect prediction, a thinned one, and one of shuffled observations."""
    toy.layers["truth"] = log1p(toy)
    half = toy.copy()
    half.X = sparse.csr_matrix(thin(sparse.csr_array(toy.X), rng=np.random.default_rng(1), share=0.3)[0])
    toy.layers["thinned"] = log1p(half)
    order = np.random.default_rng(2).permutation(toy.n_obs)
    toy.layers["shuffled"] = toy.layers["truth"][order]
    return toy


def test_the_planted_genes_are_found(toy):
    genes = run(toy)["genes"]
    for niche, expected in UP.items():
        rows = genes[genes["niche"] == niche].set_index("gene")
        assert set(rows.index[rows["selected"]]) == expected
        assert set(rows.index[rows["selected_down"]]) == set.union(*UP.values()) - expected
        assert sorted(rows.loc[rows["selected"], "rank"]) == list(range(1, 11))
        best = rows[rows["selected"]].sort_values("rank")
        assert best["auroc"].is_monotonic_decreasing
        assert (rows.loc[~rows["selected"], "rank"] == 0).all()


def test_statistics_are_those_of_the_pure_function_on_the_normalised_counts(toy):
    genes = run(toy)["genes"]
    expected = sk.metrics.signature_statistics(sparse.csr_array(log1p(toy)), toy.obs["niche"], toy.obs["patient"])
    for column in ("auroc", "log2fc", "pct_in", "pct_out", "n_patients", "p_value", "p_adj"):
        np.testing.assert_allclose(genes[column], expected[column])
    assert genes["gene"].tolist() == [*toy.var_names] * 2


def test_the_ranking_of_one_patient_is_that_of_scanpy(toy):
    import scanpy as sc

    one = toy[toy.obs["patient"] == "P1"].copy()
    with pytest.warns(StfmkitWarning, match="not tested"):
        genes = run(one)["genes"]
    one.X = log1p(one)
    one.uns["log1p"] = {"base": None}
    sc.tl.rank_genes_groups(one, "niche", method="wilcoxon", pts=True, tie_correct=False)
    for niche, rows in genes.groupby("niche", observed=True):
        oracle = sc.get.rank_genes_groups_df(one, group=niche).set_index("names").loc[one.var_names]
        n_in = (one.obs["niche"] == niche).sum()
        n_out = one.n_obs - n_in
        z = (rows["auroc"].to_numpy() - 0.5) * n_in * n_out / np.sqrt(n_in * n_out * (one.n_obs + 1) / 12)
        np.testing.assert_allclose(z, oracle["scores"], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(rows["pct_in"], oracle["pct_nz_group"])
        assert rows["p_adj"].isna().all()


def test_tests_within_patients_are_those_of_scipy(toy):
    table = run(toy, within_patient=True)["within_patient"]
    values = log1p(toy)
    values = values.toarray() if hasattr(values, "toarray") else values
    assert "within_patient" not in run(toy)
    assert table["patient"].cat.categories.tolist() == ["P1", "P2", "P3", "P4"]
    for (niche, patient), rows in table.groupby(["niche", "patient"], observed=True):
        inside = (toy.obs["patient"] == patient) & (toy.obs["niche"] == niche)
        outside = (toy.obs["patient"] == patient) & (toy.obs["niche"] != niche)
        oracle = stats.mannwhitneyu(
            values[inside.to_numpy()], values[outside.to_numpy()], method="asymptotic", use_continuity=False
        )
        np.testing.assert_allclose(rows["p_value"], oracle.pvalue, rtol=1e-8)
        assert rows["gene"].tolist() == toy.var_names.tolist()


def test_scores_follow_their_definitions(predicted):
    result = run(predicted, prediction="thinned", sizes=(3, 8))
    genes, names = result["genes"], predicted.var_names
    for niche, n in itertools.product(UP, (3, 8)):
        rows = genes.query("niche == @niche")
        up = [names[i] for i in np.flatnonzero(rows["rank"].between(1, n))]
        guess = rows.sort_values("predicted_auroc", ascending=False, kind="stable")["gene"].tolist()
        top = guess[: len(up)]
        shared = len(set(up) & set(top))
        j = shared / (len(up) + len(top) - shared)
        by_chance = sk.metrics.expected_jaccard(n, n, n_genes=40)
        assert values(result, "signature_size")[niche, n] == n
        assert values(result, "signature_size", of=", down")[niche, n] == n
        assert chance(result)[niche, n] == pytest.approx(by_chance)
        expected = {
            "jaccard": j,
            "adjusted_jaccard": (j - by_chance) / (1 - by_chance),
            "dice": 2 * shared / (2 * n),
            "overlap_coefficient": shared / n,
            "rank_biased_overlap": sk.metrics.rank_biased_overlap(
                rows[rows["rank"].between(1, n)].sort_values("rank")["gene"].tolist(), top
            ),
        }
        for metric, value in expected.items():
            assert values(result, metric)[niche, n] == pytest.approx(value), metric
        u = stats.mannwhitneyu(
            rows.loc[rows["gene"].isin(up), "predicted_auroc"], rows.loc[~rows["gene"].isin(up), "predicted_auroc"]
        ).statistic
        assert values(result, "signature_ranking_auroc")[niche, n] == pytest.approx(u / (n * (40 - n)))
        rho = stats.spearmanr(rows["log2fc"], rows["predicted_log2fc"]).statistic
        assert values(result, "signature_fold_change_correlation")[niche, 0] == pytest.approx(rho)


def test_a_perfect_prediction_has_every_score_at_its_best(predicted):
    result = run(predicted, prediction="truth")
    for metric in ("jaccard", "adjusted_jaccard", "dice", "overlap_coefficient", "rank_biased_overlap"):
        np.testing.assert_allclose(values(result, metric), 1)
    for metric in (
        "signed_jaccard",
        "signature_ranking_auroc",
        "signature_fold_change_correlation",
        "signature_specificity",
    ):
        np.testing.assert_allclose(values(result, metric), 1)
    genes = result["genes"]
    np.testing.assert_allclose(genes["predicted_auroc"], genes["auroc"])
    np.testing.assert_allclose(genes["predicted_log2fc"], genes["log2fc"])


def test_controls_are_ordered(predicted):
    results = {name: run(predicted, prediction=name, sizes=5) for name in ("truth", "thinned", "shuffled")}
    for metric in ("jaccard", "adjusted_jaccard", "rank_biased_overlap", "signed_jaccard", "signature_ranking_auroc"):
        best, good, bad = (values(result, metric).mean() for result in results.values())
        assert best >= good > bad, metric
    assert values(results["shuffled"], "signature_fold_change_correlation").abs().max() < 0.6
    shares = [share(result).mean() for result in results.values()]
    assert shares[0] >= shares[1] > shares[2]
    whole = results["truth"]["scores"]
    assert not whole[whole["status"] == "of ceiling"]["setting"].str.contains("patients").any()


def test_ceilings_lie_between_chance_and_one_and_rise_with_depth(toy):
    thin_data = toy.copy()
    thin_data.X = sparse.csr_matrix(
        thin(sparse.csr_array(toy.X), rng=np.random.default_rng(0), share=0.15)[0].astype(np.float32)
    )
    keep = np.asarray(thin_data.X.sum(axis=1)).ravel() > 0
    thin_data = thin_data[keep].copy()
    deep, shallow = (run(d, sizes=10, alpha=1.0) for d in (toy, thin_data))
    for result in (deep, shallow):
        for patients in (False, True):
            limit = ceiling(result, patients=patients)
            assert (limit > 0).all()  # which is chance
            assert (limit <= 1).all()
    assert ceiling(deep).mean() > ceiling(shallow).mean()
    assert "of ceiling" not in set(deep["scores"]["status"])  # nothing was predicted


def test_without_ceiling_there_is_none(predicted):
    without = run(predicted, prediction="truth", ceiling=False)["scores"]
    assert set(without["status"]) == {"scored"}
    logged = run(predicted, layer="truth", scale="as_is")
    assert len(ceiling(logged, patients=True)) == 2
    assert len(ceiling(logged)) == 0  # logarithms cannot be thinned


def test_normalised_layers_give_the_same_signatures(predicted):
    counts, logged = run(predicted), run(predicted, layer="truth", scale="as_is")
    pd.testing.assert_frame_equal(counts["genes"], logged["genes"])
    predicted.layers["scanpy"] = sk.pp.normalize(predicted, copy=True)  # in whose rounding a few ties are lost
    close = run(predicted, layer="scanpy", scale="as_is")["genes"]
    np.testing.assert_allclose(close["auroc"], counts["genes"]["auroc"], atol=2e-3)


def test_equal_shares_of_the_library_are_ties(toy):
    """The same shares in libraries of any depth: no gene tells the niches apart."""
    factor = np.random.default_rng(0).integers(1, 50, toy.n_obs)
    toy.X = sparse.csr_matrix(np.outer(factor, np.arange(1, 41)).astype(np.float32))
    assert (run(toy)["genes"]["auroc"] == 0.5).all()


def test_predicted_counts_are_normalised(toy):
    toy.layers["expected"] = toy.X * 0.5  # expected counts need not be integers
    genes = run(toy, prediction="expected", scale="counts")["genes"]
    np.testing.assert_allclose(genes["predicted_auroc"], genes["auroc"])


@pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")  # about a default of anndata to come
def test_signatures_are_written_and_survive_files(predicted, tmp_path, content):
    predicted.uns["theirs"] = {"a": 1}
    before = content(predicted)
    result = run(predicted, prediction="thinned", sample_key="sample", null_model="torus", n_permutations=3)
    assert content(predicted) == before  # copy=True writes nothing
    options = {"prediction": "thinned", "sample_key": "sample", "null_model": "torus", "n_permutations": 3, "sizes": 10}
    assert sk.tl.niche_signatures(predicted, "niche", **KEYS, **options) is None
    slot = predicted.uns["niche_signatures"]
    assert list(slot) == ["genes", "scores", "by_patient", "summary", "niches", "null"]
    params = predicted.uns["stfmkit"]["niche_signatures"]["results"]["niche_signatures"]
    assert (params["label_key"], params["scale"], params["prediction"], params["sizes"], params["rng"]) == (
        "niche",
        "size_factor_log1p",
        "thinned",
        [10],
        0,
    )
    predicted.write_h5ad(tmp_path / "a.h5ad")
    predicted.write_zarr(tmp_path / "a.zarr")
    for read in (ad.read_h5ad(tmp_path / "a.h5ad"), ad.read_zarr(tmp_path / "a.zarr")):
        for name, table in result.items():
            pd.testing.assert_frame_equal(read.uns["niche_signatures"][name], table, check_index_type=False)
    sk.tl.niche_signatures(predicted, "niche", **KEYS, sizes=10)  # the same step may write again
    del predicted.uns["niche_signatures"], predicted.uns["stfmkit"]["niche_signatures"]
    assert content(predicted) == before


def test_a_slot_of_others_is_kept(toy):
    toy.uns["niche_signatures"] = "mine"
    with pytest.raises(InputError, match="not written by niche_signatures"):
        sk.tl.niche_signatures(toy, "niche", **KEYS)
    sk.tl.niche_signatures(toy, "niche", **KEYS, key_added="other")
    assert toy.uns["niche_signatures"] == "mine"


def test_same_seed_same_bits_and_rows_may_come_in_any_order(predicted, rng):
    first = run(predicted, prediction="thinned", rng=5)
    again = run(predicted, prediction="thinned", rng=5)
    for name in first:
        pd.testing.assert_frame_equal(first[name], again[name])
    order = rng.permutation(predicted.n_obs)
    other = run(predicted[order].copy(), prediction="thinned", rng=5)
    pd.testing.assert_frame_equal(first["genes"], other["genes"])


@pytest.mark.parametrize("as_", ["dense", "csr", "csc"])
def test_any_storage_gives_the_same(predicted, as_):
    expected = run(predicted, prediction="thinned", sample_key="sample", null_model="torus", n_permutations=2)
    form = {"dense": lambda m: m.toarray(), "csr": sparse.csr_matrix, "csc": sparse.csc_matrix}[as_]
    predicted.X, predicted.layers["thinned"] = form(predicted.X), form(predicted.layers["thinned"])
    found = run(predicted, prediction="thinned", sample_key="sample", null_model="torus", n_permutations=2)
    for name in expected:
        pd.testing.assert_frame_equal(found[name], expected[name])


def test_unlabelled_observations_are_left_out(toy):
    toy.obs["part"] = toy.obs["niche"].astype(object)
    toy.obs.loc[toy.obs_names[:20], "part"] = None
    found = run(toy, "part")["genes"]
    expected = run(toy[20:].copy())["genes"]
    pd.testing.assert_frame_equal(found, expected)


def test_a_table_of_spatialdata(toy):
    import spatialdata

    data = spatialdata.SpatialData(tables={"cells": toy})
    found = sk.tl.niche_signatures(data, "niche", **KEYS, sizes=10, table_key="cells", copy=True)
    pd.testing.assert_frame_equal(found["genes"], run(toy)["genes"])


@pytest.mark.parametrize(
    "pick", [lambda a: a.to_df("truth"), lambda a: pd.DataFrame(a.layers["truth"].toarray(), a.obs_names, a.var_names)]
)
def test_a_prediction_may_be_a_table(predicted, pick):
    table, layer = (run(predicted, prediction=given)["scores"] for given in (pick(predicted), "truth"))
    assert {"prediction"} == set(table["contender"]) - set(layer["contender"])
    pd.testing.assert_frame_equal(table.drop(columns="contender"), layer.drop(columns="contender"))


@given(slope=st.floats(0.1, 3), bend=st.floats(0, 2), swap=st.booleans())
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_rising_scale_of_the_prediction_gives_the_same_sets(predicted, slope, bend, swap):
    """A predicted signature is a matter of ranks, and names of niches are only names."""
    niche = "niche"
    keys = ["niche", "metric", "setting"]
    expected = run(predicted, prediction="thinned", sizes=5, ceiling=False)["scores"].query("contender == 'thinned'")
    thinned = predicted.layers["thinned"].toarray()
    predicted.layers["bent"] = slope * thinned + bend * thinned**2 / (1 + thinned.max())
    names = {"tumour": "a", "stroma": "b"} if swap else {"tumour": "tumour", "stroma": "stroma"}
    predicted.obs["named"] = predicted.obs[niche].astype(str).map(names)
    found = run(predicted, "named", prediction="bent", sizes=5, ceiling=False)["scores"].query("contender == 'bent'")
    bent = found.set_index(keys)["value"].to_dict()
    for (name, metric, setting), value in expected.set_index(keys)["value"].items():
        if metric != "signature_fold_change_correlation":  # which reads sizes
            assert bent[names[name], metric, setting] == pytest.approx(value, nan_ok=True), metric


def test_a_constant_prediction_ranks_nothing(predicted):
    """Means of equal values differ in the last digits, which are no fold changes."""
    predicted.layers["flat"] = np.tile(np.random.default_rng(0).uniform(0.1, 3, 40), (240, 1))
    result = run(predicted, prediction="flat")
    assert values(result, "signature_fold_change_correlation").isna().all()
    assert (values(result, "signature_ranking_auroc") == 0.5).all()
    assert (values(result, "signature_specificity") <= 0).all()


# labels of the prediction


def test_predicted_labels_are_used_for_the_prediction_only(predicted):
    swap = {"tumour": "stroma", "stroma": "tumour"}
    predicted.obs["guess"] = predicted.obs["niche"].map(swap)
    own = run(predicted, prediction="truth")
    swapped = run(predicted, prediction="truth", predicted_label_key="guess")
    np.testing.assert_allclose(swapped["genes"]["auroc"], own["genes"]["auroc"])
    np.testing.assert_allclose(swapped["genes"]["predicted_auroc"], 1 - own["genes"]["auroc"])
    assert (values(swapped, "jaccard") == 0).all()
    assert (values(swapped, "signature_specificity") == -1).all()


@pytest.mark.filterwarnings("ignore:.*not tested:stfmkit.errors.StfmkitWarning")
def test_a_niche_that_is_never_predicted_scores_nothing(predicted):
    niche = predicted.obs["niche"].astype(str).to_numpy()
    niche[::7] = "rim"
    predicted.obs["three"] = niche
    predicted.obs["guess"] = predicted.obs["niche"].astype(str)
    result = run(predicted, "three", prediction="truth", predicted_label_key="guess", alpha=1.0, min_log2fc=0.0)
    assert values(result, "signature_size")["rim", 10] > 0
    assert values(result, "jaccard")["rim", 10] == 0
    assert np.isnan(values(result, "signature_ranking_auroc")["rim", 10])
    assert np.isnan(values(result, "signature_fold_change_correlation")["rim", 0])
    assert values(result, "jaccard")["tumour", 10] > 0.5


def test_predicted_labels_need_a_prediction_and_common_names(predicted):
    predicted.obs["cluster"] = np.where(predicted.obs["niche"] == "tumour", "0", "1")
    with pytest.raises(InputError, match="without prediction"):
        run(predicted, predicted_label_key="cluster")
    with pytest.raises(InputError, match=r"no name in common(?s:.)*match the names first"):
        run(predicted, prediction="truth", predicted_label_key="cluster")


def test_genes_that_are_not_predicted_are_not_compared(predicted, rng):
    """A panel in any order: signatures are those of its genes, normalised by the whole library."""
    frame = predicted.to_df("thinned")[list(rng.permutation(predicted.var_names)[:26])]
    predicted.obsm["panel"] = frame
    result = run(predicted, prediction="panel", sizes=5)
    names = [g for g in predicted.var_names if g in frame.columns]
    assert result["genes"]["gene"].tolist() == names * 2
    part = predicted[:, names].copy()
    expected = run(part, layer="truth", scale="as_is", prediction="thinned", sizes=5)
    pd.testing.assert_frame_equal(result["genes"], expected["genes"])
    for metric in ("jaccard", "signature_ranking_auroc"):
        pd.testing.assert_series_equal(values(result, metric), values(expected, metric))


# niches that cannot be scored


def test_niches_too_small_or_empty_are_left_out_and_counted(toy):
    niche = toy.obs["niche"].astype(str).to_numpy()
    niche[0] = "single"
    toy.obs["odd"] = pd.Categorical(niche, categories=["empty", "single", "stroma", "tumour"])
    with pytest.warns(StfmkitWarning, match=r"2 niches are left out.*'empty', 'single'"):
        result = run(toy, "odd")
    table = result["niches"].set_index("niche")
    assert table["n_obs"].to_dict() | {"stroma": 0, "tumour": 0} == {"empty": 0, "single": 1, "stroma": 0, "tumour": 0}
    assert table["scored"].to_dict() == {"empty": False, "single": False, "stroma": True, "tumour": True}
    assert set(result["genes"]["niche"]) == {"stroma", "tumour"}


def test_patients_without_a_niche_are_excluded_and_counted(toy):
    niche = np.where((toy.obs["patient"] == "P1") & (toy.obs["niche"] == "tumour"), "rim", toy.obs["niche"].astype(str))
    toy.obs["regions"] = niche
    with pytest.warns(StfmkitWarning, match=r"1 niches are in fewer than 3 patients.*'rim'"):
        result = run(toy, "regions")
    table = result["niches"].set_index("niche")
    assert table.loc["rim", ["n_patients", "patients_left_out", "tested"]].tolist() == [1, 3, False]
    assert table.loc["tumour", ["n_patients", "patients_left_out", "tested"]].tolist() == [3, 1, True]
    rim = result["genes"].query("niche == 'rim'")
    assert rim["p_adj"].isna().all()
    assert len(UP["tumour"] & set(rim.loc[rim["selected"], "gene"])) >= 8  # chosen without a test
    assert np.isnan(ceiling(result, patients=True)["rim", 10])
    one = run(toy[toy.obs["patient"] != "P1"].copy())["genes"].query("niche == 'tumour'")
    np.testing.assert_allclose(result["genes"].query("niche == 'tumour'")["auroc"], one["auroc"])


def test_one_niche_has_nothing_to_be_compared_with(toy):
    toy.obs["all"] = "tissue"
    with pytest.raises(InputError, match="no niche of obs\\['all'\\] with 3 observations inside and outside"):
        run(toy, "all")


def test_a_niche_without_markers_has_no_scores(predicted):
    result = run(predicted, prediction="truth", min_log2fc=9.0)
    assert (values(result, "signature_size") == 0).all()
    for metric in ("jaccard", "adjusted_jaccard", "signature_specificity", "signature_ranking_auroc"):
        assert values(result, metric).isna().all()
    assert share(result).isna().all()
    assert values(result, "signature_fold_change_correlation").notna().all()


# real tissue


@pytest.mark.real_data
def test_layers_of_the_prefrontal_cortex_have_their_markers(real_data):
    """Known markers lead, one mouse names those of the other, and no region of the same shape does as well."""
    data = ad.read_h5ad(real_data / "starmap_mpfc_BZ5_BZ9.h5ad")
    keys = {"patient_key": "mouse", "sizes": 10, "copy": True, "null_model": "torus", "n_permutations": 19}
    with pytest.warns(StfmkitWarning, match="4 niches are in fewer than 3 patients"):
        result = sk.tl.niche_signatures(data, "domain", sample_key="section", **keys)
    genes = result["genes"][result["genes"]["selected"]].groupby("niche", observed=True)["gene"].apply(set)
    known = {
        "L1": {"Bgn", "Aqp4"},
        "L2/3": {"Cux2", "Otof"},
        "L5": {"Etv1", "Parm1"},
        "L6": {"Pcp4", "Ctgf", "Tbr1", "Foxp2", "Syt6"},
    }
    for layer, markers in known.items():
        assert markers <= genes[layer], layer
    null = result["null"].set_index("niche")
    assert (null["observed"] > null["null_mean"]).all()
    assert (null.loc[["L2/3", "L6"], "p_value"] == 1 / 20).all()
    assert (ceiling(result) > 0.2).all()
    assert (ceiling(result, patients=True) > 0.1).all()
