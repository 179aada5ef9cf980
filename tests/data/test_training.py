"""The training observations are those of a mask, a column or a fold, and no fold leaks."""

import numpy as np
import pandas as pd
import pytest

from stfmkit._core.errors import InputError, InputTypeError, LeakError, MissingKeyError
from stfmkit._data.training import held_out_rows, training_rows
from stfmkit.splits.folds import Fold


def fold(train, test):
    train, test = np.asarray(train), np.asarray(test)
    return Fold(number=0, train=train, test=test, train_groups=np.zeros(len(train)))


@pytest.fixture
def mask(toy, rng):
    return rng.random(toy.n_obs) < 0.5


def test_column_mask_series_and_fold_are_the_same(toy, mask):
    toy.obs["train"] = mask
    wanted = [i for i in range(toy.n_obs) if mask[i]]
    shuffled = fold(wanted[::-1], np.flatnonzero(~mask))
    for train in ("train", mask, toy.obs["train"], list(mask), shuffled):
        np.testing.assert_array_equal(training_rows(toy, train), wanted)
        np.testing.assert_array_equal(held_out_rows(toy, train), np.flatnonzero(~mask))


def test_none_is_all_and_holds_nothing_out(toy):
    np.testing.assert_array_equal(training_rows(toy, None), np.arange(toy.n_obs))
    assert len(held_out_rows(toy, None, least=0)) == 0
    with pytest.raises(InputError, match="0 of 240 observations held out"):
        held_out_rows(toy, None)


def test_the_buffer_of_a_fold_is_neither_trained_on_nor_held_out(toy):
    some = fold([5, 3, 1], [200, 100])
    np.testing.assert_array_equal(training_rows(toy, some), [1, 3, 5])
    np.testing.assert_array_equal(held_out_rows(toy, some), [100, 200])


def test_a_fold_that_leaks_is_refused(toy):
    with pytest.raises(LeakError, match="2 observations in training and test"):
        training_rows(toy, fold([1, 2, 3], [2, 3, 4]))


@pytest.mark.parametrize("rows", [([1, 240], [3]), ([-1, 2], [3]), ([1], [500])])
def test_a_fold_of_another_table_is_refused(toy, rows):
    with pytest.raises(InputError, match="the table has 240"):
        training_rows(toy, fold(*rows))


@pytest.mark.parametrize(
    ("train", "error", "text"),
    [
        ("nowhere", MissingKeyError, "train='nowhere'"),
        ("sample", InputTypeError, "of dtype"),
        (np.ones(240), InputTypeError, "float64"),
        (np.ones(239, dtype=bool), InputError, r"\(239,\)"),
        (np.ones((240, 1), dtype=bool), InputError, r"\(240, 1\)"),
        (np.zeros(240, dtype=bool), InputError, "0 training observations"),
        (pd.Series(np.ones(240, dtype=bool)), InputError, "another index"),
    ],
)
def test_refused(toy, train, error, text):
    with pytest.raises(error, match=text):
        training_rows(toy, train)


def test_fewest_observations_are_asked_for_on_both_sides(toy):
    one = np.arange(toy.n_obs) == 4
    training_rows(toy, one)
    with pytest.raises(InputError, match=r"1 training observations in train(?s:.)*at least 2"):
        training_rows(toy, one, least=2)
    with pytest.raises(InputError, match=r"1 of 240 observations held out by fit(?s:.)*at least 2"):
        held_out_rows(toy, ~one, role="fit", least=2)
