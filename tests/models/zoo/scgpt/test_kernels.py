"""Bins against numpy's own quantiles, and keyed draws that are random and depend on nothing else."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from stfmkit.models.zoo.scgpt.kernels import bin_rows

KEYS = np.random.default_rng(0).integers(0, 2**63, size=500).astype(np.uint64)


def by_numpy(values: np.ndarray, draws: np.ndarray, n_bins: int) -> np.ndarray:
    """Return the bins of one row, as numpy finds quantiles and places."""
    edges = np.quantile(values, np.linspace(0, 1, n_bins - 1))
    left, right = np.digitize(values, edges), np.digitize(values, edges, right=True)
    return np.ceil(draws * (right - left) + left)


rows = st.lists(
    st.one_of(st.integers(1, 12).map(float), st.floats(2.0**-10, 2.0**10, width=32)),
    min_size=1,
    max_size=130,
)


def binned(values: np.ndarray, *, limits: tuple[int, ...] = (), draws: np.ndarray | None = None) -> np.ndarray:
    """Return the bins of all values, in one row or in several."""
    indptr = np.array(limits or (0, len(values)))
    csr = (indptr, np.arange(len(values)), values.astype(np.float32))
    return bin_rows(csr, np.arange(len(values)), KEYS[: len(indptr) - 1], n_bins=51, limit=10**6, draws=draws)[2]


@given(rows, st.integers(3, 60), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=150)
def test_bins_are_those_of_numpy(row: list[float], n_bins: int, seed: int) -> None:
    values = np.array(row, dtype=np.float32)
    draws = np.random.default_rng(seed).random(len(values))
    csr = (np.array([0, len(values)]), np.arange(len(values)), values)
    found = bin_rows(csr, np.arange(len(values)), KEYS[:1], n_bins=n_bins, limit=500, draws=draws)[2]
    np.testing.assert_array_equal(found, by_numpy(values, draws, n_bins))


@pytest.mark.parametrize("top", [5, 1023, 1024, 5000])
def test_counts_of_any_size_are_sorted(top: int) -> None:
    draw = np.random.default_rng(top)
    values, draws = draw.integers(1, top + 1, size=400).astype(np.float32), draw.random(400)
    values[7] = top
    np.testing.assert_array_equal(binned(values, draws=draws), by_numpy(values, draws, 51))


def test_rows_are_binned_on_their_own() -> None:
    draw = np.random.default_rng(3)
    limits = (0, 40, 40, 41, 116, 118)
    values, draws = draw.lognormal(size=118).astype(np.float32), draw.random(118)
    found = binned(values, limits=limits, draws=draws)
    for a, b in pairwise(limits):
        if a < b:
            np.testing.assert_array_equal(found[a:b], by_numpy(values[a:b], draws[a:b], 51))


def test_without_ties_the_draws_have_no_effect() -> None:
    values = np.random.default_rng(1).permutation(200)[:90] + 1
    np.testing.assert_array_equal(binned(values, draws=np.zeros(90)), binned(values, draws=np.full(90, 1 - 1e-9)))


def tied(n_rows: int, *, n: int = 200) -> np.ndarray:
    """Return the bins (n_rows, n) of values that all are one, with larger ones beside them."""
    values = np.tile(np.array([1.0] * n + [2.0, 3.0]), n_rows)
    indptr = np.arange(n_rows + 1) * (n + 2)
    csr = (indptr, np.tile(np.arange(n + 2), n_rows), values.astype(np.float32))
    return bin_rows(csr, np.arange(n + 2), KEYS[:n_rows], n_bins=51, limit=10**6)[2].reshape(n_rows, n + 2)[:, :n]


def test_tied_values_take_every_bin_that_they_touch() -> None:
    held, number = np.unique(tied(1, n=3000), return_counts=True)
    np.testing.assert_array_equal(held, np.arange(1, 50))
    assert stats.chisquare(number).pvalue > 1e-3


def test_draws_are_unrelated_between_rows_and_genes() -> None:
    bins = tied(500)
    assert stats.chisquare(np.unique(bins, return_counts=True)[1]).pvalue > 1e-3
    assert abs(np.corrcoef(bins[:-1].ravel(), bins[1:].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(bins[:, :-1].ravel(), bins[:, 1:].ravel())[0, 1]) < 0.02


def test_draws_and_choices_follow_from_row_and_token_alone() -> None:
    draw = np.random.default_rng(4)
    values, tokens, order = draw.integers(1, 4, size=60).astype(np.float32), draw.permutation(60), draw.permutation(60)
    limits, place = np.array([0, 60]), np.arange(60)

    def pairs(which: np.ndarray, key: int) -> set[tuple[float, ...]]:
        found = bin_rows((limits, place, values[which]), tokens[which], KEYS[key : key + 1], n_bins=51, limit=33)
        return set(zip(*found[1:], strict=True))

    assert pairs(order, 0) == pairs(place, 0)
    assert pairs(place, 1) != pairs(place, 0)


@pytest.mark.parametrize("limit", [1, 7, 29])
def test_a_choice_has_its_size_and_is_fair(limit: int) -> None:
    csr = (np.arange(501) * 30, np.tile(np.arange(30), 500), np.ones(15000, dtype=np.float32))
    starts, tokens, _ = bin_rows(csr, np.arange(30), KEYS, n_bins=51, limit=limit)
    assert (np.diff(starts) == limit).all()
    assert len(set(zip(np.repeat(np.arange(500), limit), tokens, strict=True))) == 500 * limit
    assert stats.chisquare(np.bincount(tokens, minlength=30)).pvalue > 1e-3


def test_short_rows_stay_whole() -> None:
    csr = (np.array([0, 3, 3, 9]), np.arange(9), np.ones(9, dtype=np.float32))
    starts, tokens, _ = bin_rows(csr, np.arange(9), KEYS[:3], n_bins=51, limit=4)
    assert starts.tolist() == [0, 3, 3, 7]
    assert tokens[:3].tolist() == [0, 1, 2]


def test_genes_of_one_token_do_not_exceed_the_limit() -> None:
    csr = (np.array([0, 9]), np.arange(9), np.ones(9, dtype=np.float32))
    starts, tokens, _ = bin_rows(csr, np.full(9, 5), KEYS[:1], n_bins=51, limit=4)
    assert tokens.tolist() == [5] * 4
    assert starts.tolist() == [0, 4]
