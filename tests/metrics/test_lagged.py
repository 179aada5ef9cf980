"""Neighbour-lagged correlation: a loop over observations and scipy as the oracle."""

import numpy as np
import pytest
from scipy import sparse, stats

from stfmkit._core.errors import InputError, InputTypeError
from stfmkit.metrics import lagged_correlation, morans_i

KINDS = [np.asarray, sparse.csr_array, sparse.csc_matrix]
PAIRS = [[0, 1], [2, 2], [4, 3]]


@pytest.fixture
def tissue(rng):
    X = rng.poisson(0.8, size=(60, 5)).astype(float)
    groups = np.repeat(["S1", "S2"], 30)
    graph = np.where(groups[:, None] == groups, rng.uniform(size=(60, 60)) < 0.15, 0) * rng.uniform(size=(60, 60))
    np.fill_diagonal(graph, 0)
    graph[5] = 0
    return X, sparse.csr_array(graph), groups


def slow(X, graph, pairs):
    rows = [i for i in range(len(X)) if graph[i].sum() > 0]
    lag = np.array([graph[i] @ X / graph[i].sum() for i in rows])
    return rows, X[rows][:, [p[0] for p in pairs]], lag[:, [p[1] for p in pairs]]


@pytest.mark.parametrize("as_", KINDS)
def test_equal_to_the_loop(tissue, as_):
    X, graph, _ = tissue
    _, here, there = slow(X, graph.toarray(), PAIRS)
    expected = [stats.pearsonr(a, b).statistic for a, b in zip(here.T, there.T, strict=True)]
    np.testing.assert_allclose(lagged_correlation(as_(X), graph, PAIRS), expected, atol=1e-12)
    expected = [stats.spearmanr(a, b).statistic for a, b in zip(here.T, there.T, strict=True)]
    np.testing.assert_allclose(lagged_correlation(as_(X), graph, PAIRS, method="spearman"), expected, atol=1e-12)


def test_groups_and_covariates_are_taken_out(tissue, rng):
    X, graph, groups = tissue
    known = rng.normal(size=60)
    rows, here, there = slow(X, graph.toarray(), PAIRS)
    design = np.column_stack([groups[rows] == "S1", groups[rows] == "S2", known[rows]]).astype(float)
    here, there = (m - design @ np.linalg.lstsq(design, m, rcond=None)[0] for m in (here, there))
    expected = [np.corrcoef(a, b)[0, 1] for a, b in zip(here.T, there.T, strict=True)]
    found = lagged_correlation(X, graph, PAIRS, groups=groups, covariate=known)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_gene_with_itself_has_the_sign_of_morans_i(rng):
    line = sparse.diags_array([np.ones(79), np.ones(79)], offsets=[1, -1], format="csr")
    X = np.cumsum(rng.normal(size=(80, 3)), axis=0)
    X[:, 2] = np.tile([1.0, -1], 40)
    assert (np.sign(lagged_correlation(X, line, [[g, g] for g in range(3)])) == np.sign(morans_i(X, line))).all()


def test_many_pairs_are_computed_in_parts(tissue, monkeypatch):
    X, graph, _ = tissue
    pairs = [[i, j] for i in range(5) for j in range(5)]
    whole = lagged_correlation(X, graph, pairs)
    monkeypatch.setattr("stfmkit.metrics._lagged._PAIRS", 4)
    np.testing.assert_array_equal(lagged_correlation(X, graph, pairs), whole)


def test_genes_without_variation_are_undefined(tissue):
    X, graph, groups = tissue
    X[:, 1] = 2
    X[:, 3] = groups == "S1"
    assert np.isnan(lagged_correlation(X, graph, [[0, 1], [1, 0], [0, 2]])).tolist() == [True, True, False]
    assert np.isnan(lagged_correlation(X, graph, [[3, 0]], groups=groups)).all()


def test_nothing_is_written_to_the_input(tissue):
    X, graph, _ = tissue
    before = X.copy(), graph.copy()
    lagged_correlation(X, graph, PAIRS, method="spearman")
    assert (before[0] == X).all()
    assert (before[1] != graph).nnz == 0


def test_unusable_input_is_refused(tissue):
    X, graph, groups = tissue
    loops, negative, empty = graph.copy().tolil(), graph * -1, sparse.csr_array((60, 60))
    loops[0, 0] = 1
    broken = graph.copy()
    broken.data[0] = np.nan
    for arguments, words in (
        ({"graph": loops}, "1 edges of observations to themselves"),
        ({"graph": negative}, "negative weights"),
        ({"graph": empty}, "0 observations with neighbours"),
        ({"graph": graph[:50, :50]}, r"graph of shape \(50, 50\) for 60"),
        ({"graph": broken}, "NaN or infinite"),
        ({"groups": np.roll(groups, 3)}, "edges between groups"),
        ({"pairs": [[0, 5]]}, "positions from 0 to 5 of 5 genes"),
        ({"pairs": [0, 1]}, r"pairs of shape \(2,\)"),
        ({"pairs": np.empty((0, 2), dtype=int)}, r"pairs of shape \(0, 2\)"),
        ({"X": np.full((60, 5), np.inf)}, "NaN or infinite values in X"),
        ({"method": "kendall"}, "kendall"),
    ):
        given = {"X": X, "graph": graph, "pairs": PAIRS} | arguments
        with pytest.raises(InputError, match=words):
            lagged_correlation(given.pop("X"), given.pop("graph"), given.pop("pairs"), **given)
    with pytest.raises(InputTypeError, match="pairs of dtype"):
        lagged_correlation(X, graph, [["A", "B"]])
