"""What was made worse on purpose keeps what it should keep, and loses what it should lose."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from stfmkit.evaluation.degradations import (
    NOISE,
    mixed_with_noise,
    permuted_genes,
    relabelled,
    smoothed,
    smoothed_labels,
)

SAMPLES = np.repeat([0, 1], [400, 300])


@pytest.fixture
def values() -> np.ndarray:
    rng = np.random.default_rng(1)
    shared = rng.normal(size=(700, 1))
    return shared + rng.normal(size=(700, 12)) + 3.0 * SAMPLES[:, None]


@given(share=st.floats(0, 1), seed=st.integers(0, 99))
def test_noise_keeps_mean_and_takes_the_stated_share(share, seed):
    samples = np.repeat([0, 1], [4000, 3000])
    values = np.random.default_rng(seed).normal(size=(7000, 3)) + 5.0 * samples[:, None]
    mixed = mixed_with_noise(values, samples, share=share, rng=np.random.default_rng(seed + 1))
    for sample in (0, 1):
        rows = sample == samples
        np.testing.assert_allclose(mixed[rows].mean(axis=0), values[rows].mean(axis=0), atol=1e-9)
        expected = (1 - share) / np.hypot(1 - share, share)
        r = [np.corrcoef(a, b)[0, 1] for a, b in zip(mixed[rows].T, values[rows].T, strict=True)]
        # The correlation of 3,000 unrelated values varies by 0.018: six times that, so that no seed of chance fails.
        np.testing.assert_allclose(r, expected, atol=0.11)
        np.testing.assert_allclose(mixed[rows].std(axis=0), values[rows].std(axis=0), rtol=0.11)


def test_all_noise_is_a_permutation_within_samples(values):
    mixed = mixed_with_noise(values, SAMPLES, share=1.0, rng=np.random.default_rng(0))
    for rows in (SAMPLES == 0, SAMPLES == 1):
        np.testing.assert_allclose(np.sort(mixed[rows], axis=0), np.sort(values[rows], axis=0))
    assert not np.allclose(mixed, values)
    within = np.corrcoef(mixed[SAMPLES == 0].T)[np.triu_indices(12, 1)]
    assert np.abs(within).max() < 0.2 < np.corrcoef(values[SAMPLES == 0].T)[np.triu_indices(12, 1)].min()


def test_no_noise_changes_nothing(values):
    np.testing.assert_allclose(mixed_with_noise(values, SAMPLES, share=0.0, rng=np.random.default_rng(0)), values)


@pytest.mark.parametrize("share", [0.0, *NOISE])
def test_labels_change_places_within_samples(share):
    labels = np.random.default_rng(2).choice(["a", "b", "c"], size=700)
    out = relabelled(labels, SAMPLES, share=share, rng=np.random.default_rng(3))
    for rows in (SAMPLES == 0, SAMPLES == 1):
        assert sorted(out[rows]) == sorted(labels[rows])
    by_chance = sum((labels == name).mean() ** 2 for name in "abc")
    assert (out == labels).mean() == pytest.approx(1 - share * (1 - by_chance), abs=0.06)


@given(share=st.floats(0, 1), n_genes=st.integers(1, 30), seed=st.integers(0, 99))
def test_exchanged_genes_carry_each_others_values(share, n_genes, seed):
    values = np.arange(4 * n_genes, dtype=float).reshape(4, n_genes)
    out = permuted_genes(values, share=share, rng=np.random.default_rng(seed))
    assert sorted(map(tuple, out.T)) == sorted(map(tuple, values.T))
    moved = (out != values).any(axis=0).sum()
    assert moved == (0 if n_genes == 1 else max(round(share * n_genes), 2))


def test_smoothing_is_the_mean_of_the_nearest(values):
    coords = np.random.default_rng(4).normal(size=(700, 2))
    out = smoothed(values, coords, SAMPLES, n_neighbors=7)
    for rows in (np.flatnonzero(SAMPLES == 0), np.flatnonzero(SAMPLES == 1)):
        near = np.argsort(cdist(coords[rows], coords[rows]), axis=1)[:, :7]
        np.testing.assert_allclose(out[rows], values[rows][near].mean(axis=1))


def test_smoothed_labels_are_the_most_frequent_of_the_nearest():
    rng = np.random.default_rng(5)
    coords, labels = rng.normal(size=(700, 2)), rng.choice(["x", "y"], size=700)
    out = smoothed_labels(labels, coords, SAMPLES, n_neighbors=5)
    for rows in (np.flatnonzero(SAMPLES == 0), np.flatnonzero(SAMPLES == 1)):
        near = np.argsort(cdist(coords[rows], coords[rows]), axis=1)[:, :5]
        share = (labels[rows][near] == "x").mean(axis=1)
        np.testing.assert_array_equal(out[rows], np.where(share > 0.5, "x", "y"))


def test_data_are_not_changed(values):
    before = values.copy()
    mixed_with_noise(values, SAMPLES, share=0.5, rng=np.random.default_rng(0))
    permuted_genes(values, share=0.5, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(values, before)
