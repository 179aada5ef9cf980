"""The verb: numpy and the metrics by hand as references, round trips, and what must be refused."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import stfmkit as sk
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError

QUICK = {"n_orders": 4, "n_permutations": 19, "n_modules": 4, "n_eigenvectors": 3}


@pytest.fixture
def spots(toy, rng):
    toy.layers["guess"] = np.log1p(toy.X.toarray()) + rng.normal(0, 0.3, size=toy.shape)
    return toy


def run(adata, **options):
    sk.tl.coexpression(adata, **({"sample_key": "sample"} | QUICK | options))
    return adata.uns[options.get("key_added", "coexpression")]


def logged(adata, target=None):
    counts = adata.X.toarray().astype(float)
    depth = counts.sum(axis=1)
    return np.log1p(counts / depth[:, None] * (np.median(depth) if target is None else target)), depth


def partial(values, samples, depth=None):
    design = (np.asarray(samples)[:, None] == np.unique(samples)).astype(float)
    if depth is not None:
        design = np.column_stack([design, np.log(depth)])
    return np.corrcoef((values - design @ np.linalg.lstsq(design, values, rcond=None)[0]).T)


def wide(scores, status="scored"):
    rows = scores[(scores["status"] == status) & ~scores["setting"].str.contains("truth=latent")]
    rows = rows.assign(setting=rows["setting"].str.replace(r"(, )?truth=raw", "", regex=True))
    name = rows["metric"].where(~rows["setting"].str.contains("method|sd|over"), rows["metric"] + " " + rows["setting"])
    return rows.assign(metric=name).pivot_table(index="metric", columns="contender", values="value")


def test_matrices_equal_numpy(spots):
    run(spots, prediction="guess", null_model=None)
    values, depth = logged(spots)
    np.testing.assert_allclose(spots.varp["coexpression"], partial(values, spots.obs["sample"]), atol=1e-10)
    expected = partial(spots.layers["guess"], spots.obs["sample"])
    np.testing.assert_allclose(spots.varp["coexpression_predicted"], expected, atol=1e-10)
    run(spots, covariate="library_size", null_model=None)
    np.testing.assert_allclose(spots.varp["coexpression"], partial(values, spots.obs["sample"], depth), atol=1e-10)
    assert "coexpression_predicted" not in spots.varp
    assert len(spots.uns["coexpression"]["scores"]) == 0


@pytest.mark.parametrize("as_", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_all_kinds_of_matrices_give_the_same(spots, as_, method):
    spots.layers["values"] = as_(sk.pp.normalize(spots, copy=True).toarray())  # ties, to the last bit
    run(spots, method=method, null_model=None, key_added="counts")
    run(spots, method=method, null_model=None, layer="values", scale="as_is", key_added="values")
    np.testing.assert_allclose(spots.varp["values"], spots.varp["counts"], atol=1e-10)


def test_scores_equal_the_metrics_by_hand(spots):
    found = run(spots, prediction="guess", null_model="permutation", rng=3)
    truth, guess = spots.varp["coexpression"], spots.varp["coexpression_predicted"]
    order = spots.var_names.get_indexer(found["order"])
    np.testing.assert_array_equal(order, sk.metrics.coexpression_order(truth))
    scores = wide(found["scores"])["guess"]
    assert scores["ssim_ordered"] == pytest.approx(sk.metrics.ssim_ordered(truth, guess, order=order))
    for name in ("ssim_global", "rv_coefficient", "frobenius_error", "eigen_spectrum_distance", "participation_ratio"):
        assert scores[name] == pytest.approx(getattr(sk.metrics, name)(truth, guess))
    assert scores["mean_absolute_difference"] == pytest.approx(sk.metrics.mean_absolute_difference(truth, guess))
    assert scores["sign_agreement"] == sk.metrics.sign_agreement(truth, guess)
    assert scores["subspace_affinity"] == pytest.approx(sk.metrics.subspace_affinity(truth, guess, n_eigenvectors=3))
    assert scores["module_preservation"] == pytest.approx(sk.metrics.module_preservation(truth, guess, n_modules=4))
    assert scores["offdiagonal_correlation"] == pytest.approx(sk.metrics.offdiagonal_correlation(truth, guess))
    assert scores["mantel_p"] == 0.05
    ranked = sk.metrics.offdiagonal_correlation(truth, guess, method="spearman")
    assert scores["offdiagonal_correlation method=spearman"] == pytest.approx(ranked)


def test_controls_stand_in_their_order():
    adata = sk.datasets.synthetic_cohort(3, n_genes=60, as_="anndata")
    adata.layers["guess"] = np.log1p(adata.layers["noise_free"])
    adata.obs["train"] = (adata.obs["patient"] != adata.obs["patient"].iloc[0]).to_numpy()
    found = run(adata, prediction="guess", train="train")
    scores = wide(found["scores"])
    assert set(scores.columns) == {"guess", "control:thinned", "control:null", "control:random_features"}
    for name in ("offdiagonal_correlation", "rv_coefficient", "subspace_affinity", "module_preservation"):
        assert scores.loc[name, "guess"] > scores.loc[name, "control:null"] + 0.1
    # ridge from noise knows nothing of an observation, and looks like co-expression all the same
    assert scores.loc["offdiagonal_correlation", "control:random_features"] > 0.2
    assert abs(scores.loc["offdiagonal_correlation", "control:null"]) < 0.15


def test_training_gives_the_order_and_nothing_else(spots):
    train = (spots.obs["patient"] == "P1").to_numpy()
    found = run(spots, prediction="guess", train=train, null_model=None)
    test = spots[~train].copy()
    target = np.median(logged(spots[train])[1])
    values = {name: logged(part, target)[0] for name, part in (("train", spots[train]), ("test", test))}
    expected = partial(values["test"], test.obs["sample"])
    np.testing.assert_allclose(spots.varp["coexpression"], expected, atol=1e-10)
    learned = sk.metrics.coexpression_order(
        sk.metrics.correlation(values["train"], groups=spots.obs["sample"][train].astype(str))
    )
    assert found["order"].tolist() == spots.var_names[learned].tolist()
    again = run(spots, prediction="guess", train=train, null_model=None, order=found["order"])
    assert again["scores"].equals(found["scores"])


def test_a_selection_of_genes_leaves_the_others_undefined(spots):
    names = spots.var_names[[30, 2, 5, 7, 8, 11, 20, 21]]
    whole = run(spots, null_model=None, genes=names, key_added="some")
    defined = spots.var_names.isin(names)
    assert (~np.isnan(spots.varp["some"]) == np.outer(defined, defined)).all()
    assert set(whole["order"]) == set(names)
    spots.var["selected"] = defined
    run(spots, null_model=None, genes="selected", key_added="same")
    np.testing.assert_array_equal(spots.varp["same"], spots.varp["some"])


def test_degenerate_genes_are_left_out_and_counted(spots):
    spots.layers["guess"][:, [1, 4]] = 0.5
    found = run(spots, prediction="guess", null_model="permutation")["scores"]
    assert wide(found).loc["share_degenerate", "guess"] == pytest.approx(2 / 40)
    assert np.isnan(spots.varp["coexpression_predicted"][1]).all()
    rest = np.delete(np.arange(40), [1, 4])
    pair = [spots.varp[k][np.ix_(rest, rest)] for k in ("coexpression", "coexpression_predicted")]
    assert wide(found).loc["rv_coefficient", "guess"] == pytest.approx(sk.metrics.rv_coefficient(*pair))


def test_pairs_are_scored_in_the_neighbourhood(spots):
    frame = pd.DataFrame({"ligand": ["G1", "G2", "G3", "G30", "Z"], "receptor": ["G2", "G9", "G20", "G31", "G1"]})
    sk.pp.spatial_graph(spots, sample_key="sample")
    found = run(spots, prediction="guess", lr_pairs=frame, graph_key="spatial_connectivities")
    pairs = found["pairs"]
    assert pairs.columns.tolist() == ["ligand", "receptor", "truth", "predicted", "thinned", "null"]
    graph = spots.obsp["spatial_connectivities"]
    positions = [[1, 2], [2, 9], [3, 20], [30, 31]]
    for name, values in (("truth", logged(spots)[0]), ("predicted", spots.layers["guess"])):
        expected = sk.metrics.lagged_correlation(values, graph, positions, groups=spots.obs["sample"].astype(str))
        np.testing.assert_allclose(pairs[name], expected, atol=1e-12)
    scores = wide(found["scores"])
    difference = (pairs["truth"] - pairs["predicted"]).abs().mean()
    over = (
        scores["guess"].filter(like="over pairs").rename(lambda name: name.split(" ", 1)[1].removesuffix(" over pairs"))
    )
    assert over["mean absolute difference"] == pytest.approx(difference)
    assert over["pearson"] == pytest.approx(pairs["truth"].corr(pairs["predicted"]))
    near = run(spots, prediction="guess", lr_pairs=frame)["pairs"]
    assert near["truth"].corr(pairs["truth"]) > 0.9
    assert spots.uns["stfmkit"]["coexpression"]["results"]["coexpression"]["n_pairs_given"] == 5


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_results_survive_a_round_trip(spots, tmp_path, kind):
    frame = pd.DataFrame({"ligand": ["G1", "G2"], "receptor": ["G2", "G9"]})
    found = run(spots, prediction="guess", lr_pairs=frame)
    path = tmp_path / f"spots.{kind}"
    getattr(spots, f"write_{kind}")(path)
    back = getattr(ad, f"read_{kind}")(path)
    for key in ("coexpression", "coexpression_predicted"):
        np.testing.assert_array_equal(back.varp[key], spots.varp[key])
    for key in ("scores", "pairs", "summary"):
        pd.testing.assert_frame_equal(
            back.uns["coexpression"][key], found[key], check_dtype=False, check_index_type=False
        )
    assert list(map(str, back.uns["coexpression"]["order"])) == found["order"].tolist()
    again = run(back, prediction="guess", null_model=None, order=back.uns["coexpression"]["order"], key_added="again")
    assert again["order"].tolist() == found["order"].tolist()
    assert len(sk.pl.coexpression(back).images) == 1


def test_copy_writes_nothing_and_the_callers_data_stay(spots, content):
    before = content(spots)
    found = sk.tl.coexpression(spots, prediction="guess", sample_key="sample", copy=True, **QUICK)
    assert content(spots) == before
    assert set(found) == {"truth", "predicted", "scores", "by_patient", "summary", "order"}
    run(spots, prediction="guess")
    np.testing.assert_array_equal(found["truth"], spots.varp["coexpression"])
    pd.testing.assert_frame_equal(found["scores"], spots.uns["coexpression"]["scores"])
    after = content(spots)
    assert {k: after[k] for k in ("X", "obs", "columns", "var", "obsm")} == {
        k: before[k] for k in ("X", "obs", "columns", "var", "obsm")
    }


def test_the_seed_decides(spots):
    tables = [run(spots, prediction="guess", rng=rng)["scores"] for rng in (0, 0, 1, np.random.default_rng(0))]
    assert tables[0].equals(tables[1])
    assert not tables[0].equals(tables[2])
    assert not tables[0].equals(tables[3])


def test_slots_of_others_are_not_overwritten(spots):
    spots.varp["coexpression"] = np.zeros((40, 40))
    with pytest.raises(InputError, match="varp already has 'coexpression'"):
        run(spots)
    del spots.varp["coexpression"]
    spots.uns["coexpression"] = "mine"
    with pytest.raises(InputError, match="uns already has 'coexpression'"):
        run(spots)
    run(spots, null_model=None, key_added="other")
    run(spots, null_model=None, key_added="other")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"method": "kendall"}, InputError, "kendall"),
        ({"null_model": "shuffle"}, InputError, "null_model='shuffle'"),
        ({"key_added": "a/b"}, InputError, "key_added='a/b'"),
        ({"key_added": "stfmkit"}, InputError, "the key 'stfmkit' in uns"),
        ({"layer": "guess"}, InputError, "not integers|negative values"),
        ({"layer": "none"}, MissingKeyError, "no layer named 'none'"),
        ({"prediction": "guest"}, MissingKeyError, "Did you mean 'guess'"),
        ({"sample_key": "slide"}, MissingKeyError, "sample_key='slide'"),
        ({"sample_key": None}, InputError, "overlap in space"),
        ({"covariate": "area"}, MissingKeyError, "covariate='area'"),
        ({"covariate": "niche"}, InputTypeError, "niche"),
        ({"covariate": "library_size", "scale": "as_is"}, InputError, "scale='as_is'"),
        ({"genes": ["G1", "G2", "G3"]}, InputError, "side 3 and window=7"),
        ({"genes": ["G1", "nope"]}, InputError, "1 are not in var"),
        ({"genes": ["G1", "G1"]}, InputError, "1 are repeated"),
        ({"genes": "selected"}, MissingKeyError, "no such column"),
        ({"order": ["G1", "G2"]}, InputError, "an order of 2 names for 40 genes"),
        ({"order": ["G1"] * 40}, InputError, "an order of 40 names"),
        ({"train": np.ones(240, dtype=bool)}, InputError, "0 of 240 observations held out"),
        ({"train": np.ones(240)}, InputTypeError, "dtype float64"),
        ({"window": 8}, InputError, "window=8"),
        ({"n_eigenvectors": 40}, InputError, "n_eigenvectors=40 of 40 genes"),
        ({"n_modules": 41}, InputError, "n_modules=41"),
        ({"n_orders": 1}, InputError, "n_orders=1"),
        ({"spatial_key": "xy"}, MissingKeyError, "xy"),
        ({"lr_pairs": pd.DataFrame({"ligand": ["G1"], "receptor": ["G2"]}), "graph_key": "g"}, MissingKeyError, "obsp"),
        ({"lr_pairs": [("G1", "G2")]}, InputTypeError, "lr_pairs of type list"),
    ],
)
def test_unusable_input_is_refused(spots, options, error, words):
    with pytest.raises(error, match=words):
        run(spots, **options)
    assert "coexpression" not in spots.uns


def test_predictions_that_are_not_finite_are_refused(spots):
    spots.layers["guess"][3, 3] = np.nan
    with pytest.raises(InputError, match="1 NaN or infinite values"):
        run(spots, prediction="guess")


def test_neighbours_in_another_sample_are_refused(spots):
    spots.obsp["mixed"] = sparse.csr_matrix(np.roll(np.eye(240), 40, axis=1))
    with pytest.raises(InputError, match="240 edges between samples"):
        run(spots, graph_key="mixed", lr_pairs=pd.DataFrame({"ligand": ["G1"], "receptor": ["G2"]}))
