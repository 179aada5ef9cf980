"""Spots of a lattice and spots at given places."""

import numpy as np
import pytest

from stfmkit._core.errors import InputError
from stfmkit._kernels._lattice import Lattice
from stfmkit.pp._binning.spots import LatticeSpots, PlacedSpots

HEX = Lattice("hex", 100.0, diameter=55.0)
PLACES = HEX.centers(np.array([0, 0, 1, 1, 2]), np.array([0, 2, 1, 3, 2]))


def test_numbers_and_centres_agree(rng: np.random.Generator) -> None:
    at = rng.uniform(-900, 900, size=(4000, 2))
    for lattice in (HEX, Lattice("hex_gapless", 60.0, angle=20.0), Lattice("square", 30.0)):
        spots = LatticeSpots(lattice, (-900.0, -900.0, 900.0, 900.0))
        numbers = spots.locate(at[:, 0], at[:, 1])
        row, col, inside = lattice.assign(at[:, 0], at[:, 1])
        np.testing.assert_array_equal(numbers >= 0, inside)
        assert numbers.max() < spots.size
        np.testing.assert_array_equal(spots.centers(numbers[inside]), lattice.centers(row[inside], col[inside]))
        found = np.column_stack(spots.array_index(numbers[inside]))
        assert found.min() >= 0
        shift = found - np.column_stack([row, col])[inside]
        assert len(np.unique(shift, axis=0)) == 1
        if lattice.shape != "square":
            assert (shift % 2 == 0).all()


def test_placed_spots_hold_their_circles() -> None:
    spots = PlacedSpots(HEX, PLACES, None, sample="")
    x, y = PLACES[2] + [27.5, 0.0], PLACES[4] + [0.0, 27.6]
    assert spots.locate(np.array([x[0], y[0], 5000.0]), np.array([x[1], y[1], 0.0])).tolist() == [2, -1, -1]
    assert spots.array_index(np.arange(5)) is None
    assert spots.border(np.arange(5)).all()


def test_border_of_placed_spots_equals_that_of_the_lattice() -> None:
    spots = LatticeSpots(HEX, (0.0, 0.0, 900.0, 900.0))
    at = np.random.default_rng(0).uniform(0, 900, size=(20_000, 2))
    numbers = np.unique(spots.locate(at[:, 0], at[:, 1]))[1:]
    numbers = np.delete(numbers, len(numbers) // 2)  # a hole makes borders, too
    placed = PlacedSpots(HEX, spots.centers(numbers), None, sample="")
    np.testing.assert_array_equal(placed.border(np.arange(len(numbers))), spots.border(numbers))
    assert 0 < spots.border(numbers).sum() < len(numbers)


def test_places_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="50 µm apart, with pitch=100"):
        PlacedSpots(HEX, PLACES / 2, None, sample="")
    many = HEX.centers(np.repeat(np.arange(0, 8, 2), 6), np.tile(np.arange(0, 12, 2), 4))
    close = np.vstack([many, many[:1] + 20.0])
    with pytest.raises(InputError, match=r"sample 's1' only 28.28 µm apart"):
        PlacedSpots(HEX, close, None, sample="s1")
    alone = PlacedSpots(HEX, PLACES[:1], None, sample="")  # one spot has no neighbours to check
    assert alone.size == 1
