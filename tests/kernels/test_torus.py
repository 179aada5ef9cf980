"""Moved labels: a lattice, where a shift is a roll, and what must hold on any tissue."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stfmkit._kernels._torus import MOVES, LabelMover


def lattice(width, height):
    x, y = np.meshgrid(np.arange(width, dtype=float), np.arange(height, dtype=float))
    return np.column_stack([x.ravel(), y.ravel()])


@pytest.mark.parametrize("offset", [0.0, -1e4, 1e6])
def test_a_shift_of_a_full_lattice_is_a_roll(offset):
    xy = lattice(7, 5)
    mover = LabelMover(xy + offset, np.zeros(35, dtype=int), kind="torus")
    for seed in range(10):
        vector = np.random.default_rng(seed).random(2) * [7, 5]  # the box and one more step
        source = mover.draw(np.random.default_rng(seed)).reshape(5, 7)
        steps = np.rint(vector).astype(int)
        expected = np.roll(np.arange(35).reshape(5, 7), (-steps[1], -steps[0]), axis=(0, 1))
        np.testing.assert_array_equal(source, expected)


def test_a_rotation_takes_the_nearest_label(rng):
    xy = rng.uniform(-1, 1, size=(80, 2))
    angle = np.random.default_rng(3).random() * 2 * np.pi
    centre = (xy.min(axis=0) + xy.max(axis=0)) / 2
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = (xy - centre) @ turn
    slow = [int(np.argmin(((xy - centre - place) ** 2).sum(axis=1))) for place in moved]
    found = LabelMover(xy, np.zeros(80, dtype=int), kind="rotation").draw(np.random.default_rng(3))
    assert found.tolist() == slow
    assert len(set(slow)) < 80  # corners fall outside


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from(MOVES), st.integers(1, 40))
def test_labels_never_cross_samples_and_draws_repeat(seed, kind, n):
    rng = np.random.default_rng(seed)
    xy, samples = rng.normal(size=(n, 2)), rng.integers(0, 3, n)
    mover = LabelMover(xy, samples, kind=kind)
    source = mover.draw(np.random.default_rng(seed))
    assert (samples[source] == samples).all()
    assert (mover.draw(np.random.default_rng(seed)) == source).all()


@pytest.mark.parametrize("kind", MOVES)
@pytest.mark.parametrize("xy", [[[3.0, 4.0]], [[0, 0], [1, 0], [2, 0]], [[5, 5], [5, 5], [5, 5]]])
def test_points_lines_and_piles_are_moved_onto_themselves(kind, xy):
    source = LabelMover(np.array(xy, dtype=float), np.zeros(len(xy), dtype=int), kind=kind).draw(
        np.random.default_rng(0)
    )
    assert set(source) <= set(range(len(xy)))


@pytest.mark.parametrize("kind", MOVES)
def test_neighbours_stay_neighbours(kind):
    """Shuffled labels would agree with the neighbour in half of the places."""
    xy = lattice(20, 20)
    label = xy[:, 0] >= 10
    for seed in range(5):
        moved = label[LabelMover(xy, np.zeros(400, dtype=int), kind=kind).draw(np.random.default_rng(seed))]
        grid = moved.reshape(20, 20)
        assert (grid[:, 1:] == grid[:, :-1]).mean() > 0.85
        assert 0.2 < moved.mean() < 0.8
