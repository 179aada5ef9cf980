"""Scores of predicted expression against loops over genes, and their ends."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import r2_score

from stfmkit import metrics
from stfmkit._kernels._neighbors import neighbor_graph
from stfmkit.evaluation.expression import (
    ExpressionTruth,
    expression_ceilings,
    score_expression,
    score_pearson,
    spot_scores,
)
from stfmkit.evaluation.reliability import Reliability


@pytest.fixture
def truth(rng):
    """Two samples of counts with a pattern in space; the fourth gene is silent in the second sample."""
    coords = rng.uniform(0, 20, size=(120, 2))
    samples = np.repeat(["S1", "S2"], 60)
    rate = np.exp(np.sin(coords[:, :1] / 3) + rng.normal(0.5, 0.3, size=4))
    rate[samples == "S2", 3] = 0
    counts = rng.poisson(rate)
    return ExpressionTruth(
        expression=np.log1p(counts),
        genes=np.array(list("ABCD")),
        samples=samples,
        patients=np.repeat(["P1", "P2"], 60),
        scale="log1p",
        graph=neighbor_graph(coords, samples),
        train_mean=np.full(4, 0.8),
        log_depth=np.log1p(counts.sum(axis=1) + 1),
        fold=3,
    )


@pytest.fixture
def predicted(truth, rng):
    return truth.expression * 0.6 + rng.normal(0, 0.4, truth.expression.shape)


def wide(table):
    return table.pivot_table(index=["sample", "gene"], columns="metric", values="value", dropna=False)


def test_scores_equal_loops_over_genes(truth, predicted):
    table = score_expression(truth, predicted)
    found = wide(table)
    assert set(table["fold"]) == {3}
    assert set(table["scope"]) == {"gene"}
    for sample in ("S1", "S2"):
        rows = truth.samples == sample
        for g, gene in enumerate("ABC"):
            x, y, row = truth.expression[rows, g], predicted[rows, g], found.loc[(sample, gene)]
            assert row["pearson"] == pytest.approx(stats.pearsonr(x, y)[0])
            assert row["spearman"] == pytest.approx(stats.spearmanr(x, y)[0])
            assert row["r2"] == pytest.approx(r2_score(x, y))
            assert row["q2"] == pytest.approx(1 - ((x - y) ** 2).sum() / ((x - 0.8) ** 2).sum())
            assert row["rmse"] == pytest.approx(np.sqrt(((x - y) ** 2).mean()))
            left = [stats.linregress(truth.log_depth[rows], v) for v in (x, y)]
            rest = [v - fit.slope * truth.log_depth[rows] for v, fit in zip((x, y), left, strict=True)]
            assert row["partial_pearson"] == pytest.approx(stats.pearsonr(*rest)[0])


def test_a_gene_without_variation_has_no_score_and_says_so(truth, predicted):
    table = score_expression(truth, predicted)
    silent = table.query("sample == 'S2' and gene == 'D'")
    assert set(silent["status"]) == {"undefined"}
    assert set(silent["reason"]) == {"the truth is constant in this sample"}
    assert silent["value"].isna().all()
    assert (table.query("gene != 'D' and metric != 'moran_ratio'")["status"] == "scored").all()


def test_a_pattern_that_is_not_there_has_no_ratio(truth, predicted, rng):
    flat = replace(truth, expression=rng.permutation(truth.expression))
    ratio = score_expression(flat, predicted).query("metric == 'moran_ratio' and status == 'undefined'")
    weak = wide(score_expression(flat, flat.expression))
    for row in ratio.query("gene != 'D'").itertuples():
        rows = flat.samples == row.sample
        column = flat.expression[rows][:, [list("ABCD").index(row.gene)]]
        assert metrics.morans_i(column, flat.graph[rows][:, rows]) < 0.05
        assert "below 0.05" in row.reason
    assert len(ratio) > len(weak) / 4


def test_a_perfect_and_a_constant_prediction(truth):
    best = wide(score_expression(truth, truth.expression)).dropna()
    for metric in ("pearson", "spearman", "ccc", "r2", "q2", "auroc_top", "map_ssim", "variance_ratio", "moran_ratio"):
        assert best[metric].to_numpy() == pytest.approx(1)
    mean = np.tile(truth.train_mean, (120, 1))
    level = wide(score_expression(truth, mean)).dropna(subset="pearson")
    for metric in ("pearson", "spearman", "ccc", "partial_pearson", "q2", "deviance_explained"):
        assert level[metric].to_numpy() == pytest.approx(0, abs=1e-9)


def test_what_is_not_known_is_not_scored(truth, predicted):
    bare = replace(truth, graph=None, train_mean=None, log_depth=None, reliability=None)
    plain = {"pearson", "spearman", "ccc", "r2", "nrmse", "rmse", "auroc_top", "variance_ratio"}
    assert set(score_expression(bare, predicted)["metric"]) == plain
    assert expression_ceilings(bare).empty
    as_is = set(score_expression(replace(truth, scale="as_is"), predicted)["metric"])
    assert "deviance_explained" not in as_is
    assert "q2" in as_is


def test_deviance_is_that_of_counts(truth, predicted):
    found = wide(score_expression(truth, predicted))["deviance_explained"]
    rows = truth.samples == "S1"
    counts, guess = np.expm1(truth.expression[rows]), np.expm1(np.maximum(predicted[rows], 0))
    expected = metrics.deviance_explained(counts, guess, null=np.expm1(truth.train_mean))
    np.testing.assert_array_equal(found.loc["S1"], expected)


def test_ceilings_are_roots_of_the_reliability_of_halves(truth):
    agreement = {"S1": np.array([0.5, -0.2, 0.9, np.nan]), "S2": np.array([0.0, 0.1, 0.2, 0.3])}
    known = replace(truth, reliability=Reliability(agreement=agreement))
    table = expression_ceilings(known)
    assert set(table["status"]) == {"ceiling"}
    found = wide(table)
    for gene, r in zip("AC", (0.5, 0.9), strict=True):  # of three genes none borrows from the others
        assert found.loc[("S1", gene), "split_half_reliability"] == pytest.approx(2 * r / (1 + r))
        assert found.loc[("S1", gene), "pearson"] == pytest.approx(np.sqrt(2 * r / (1 + r)))
    assert found.loc[("S1", "B")].tolist() == [0, 0]
    assert found.loc[("S1", "D")].isna().all()
    assert "constant" in table.query("sample == 'S1' and gene == 'D'")["reason"].iloc[0]


def test_a_gene_without_signal_in_training_has_a_reason_and_no_ceiling(truth):
    agreement = dict.fromkeys(("S1", "S2"), np.array([0.5, 0.6, 0.7, 0.8]))
    train = np.array([0.099, 0.1, 0.9, np.nan])
    table = expression_ceilings(replace(truth, reliability=Reliability(agreement=agreement, train=train)))
    limits = table.query("metric == 'pearson'")
    assert set(limits.dropna(subset="value")["gene"]) == {"B", "C"}
    assert limits[limits["value"].isna()]["reason"].str.startswith("no signal in training").all()
    assert table.query("metric == 'split_half_reliability'")["value"].notna().all()


def test_small_samples_are_not_scored(truth, predicted):
    assert score_expression(replace(truth, min_obs=61), predicted).empty
    known = Reliability(agreement=dict.fromkeys(("S1", "S2"), np.full(4, 0.5)))
    assert expression_ceilings(replace(truth, min_obs=61, reliability=known)).empty


def test_pearson_alone_is_that_of_all_scores(truth, predicted):
    one, every = score_pearson(truth, predicted), score_expression(truth, predicted)
    columns = ["sample", "gene", "value", "status", "reason"]
    assert one[columns].equals(every.query("metric == 'pearson'")[columns].reset_index(drop=True))


def test_scores_of_observations_are_correlations_over_scaled_genes(rng):
    train, truth = rng.normal(3, 2, size=(50, 6)), rng.normal(3, 2, size=(9, 6))
    predicted = truth + rng.normal(size=truth.shape)
    scaled = [(v - train.mean(axis=0)) / train.std(axis=0) for v in (truth, predicted)]
    expected = [stats.pearsonr(a, b)[0] for a, b in zip(*scaled, strict=True)]
    np.testing.assert_allclose(spot_scores(truth, predicted, train=train), expected)
    mean = np.tile(train.mean(axis=0), (9, 1))
    assert (spot_scores(truth, mean, train=train) == 0).all()
