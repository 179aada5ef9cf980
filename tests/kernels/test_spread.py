"""Gini and area: pairs of observations and a plain neighbour loop as the oracles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from stfmkit._kernels._spread import area_frac, gini

COUNTS = arrays(np.int64, (9, 4), elements=st.sampled_from([0, 0, 0, 1, 1, 2, 7, 30]))


@settings(deadline=None)
@given(COUNTS)
def test_gini_is_the_mean_difference_of_pairs(counts):
    got = gini(sparse.csr_array(counts))
    for gene in range(4):
        x = counts[:, gene].astype(float)
        if x.sum() == 0:
            assert np.isnan(got[gene])
        else:
            want = np.abs(x[:, None] - x).sum() / (2 * len(x) * x.sum())
            assert got[gene] == pytest.approx(want, abs=1e-12)


def test_gini_of_even_and_of_one():
    counts = sparse.csr_array(np.column_stack([np.full(50, 3), np.eye(50)[:, 0] * 9]))
    np.testing.assert_allclose(gini(counts), [0, 1 - 1 / 50], atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(COUNTS, st.integers(0, 1000))
def test_area_is_a_plain_maximum_over_neighbours(counts, seed):
    graph = np.random.default_rng(seed).uniform(size=(9, 9)) < 0.2
    want = [
        np.mean([counts[i, g] > 0 or any(counts[j, g] > 0 for j in range(9) if graph[i, j]) for i in range(9)])
        for g in range(4)
    ]
    np.testing.assert_allclose(area_frac(sparse.csr_array(counts), sparse.csr_array(graph.astype(float))), want)


def test_area_tells_scattered_from_confined():
    """Nine detections on a 30 × 30 grid reach five times as far scattered as in a block."""
    grid = np.arange(900).reshape(30, 30)
    edges = [(grid[:, :-1], grid[:, 1:]), (grid[:-1], grid[1:])]
    rows = np.concatenate([np.concatenate([a.ravel(), b.ravel()]) for a, b in edges])
    cols = np.concatenate([np.concatenate([b.ravel(), a.ravel()]) for a, b in edges])
    graph = sparse.csr_array((np.ones(len(rows)), (rows, cols)), shape=(900, 900))
    counts = np.zeros((900, 2))
    counts[grid[5:26:10, 5:26:10].ravel(), 0] = 1
    counts[grid[5:8, 5:8].ravel(), 1] = 1
    np.testing.assert_allclose(area_frac(sparse.csr_array(counts), graph) * 900, [45, 21])
