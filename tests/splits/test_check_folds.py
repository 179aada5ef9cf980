"""A splitter of anybody is held to its contract, in the split and in the comparison."""

from dataclasses import dataclass

import numpy as np
import pytest

import stfmkit as sk
from stfmkit.errors import InputError
from stfmkit.splits.check_folds import make_folds
from stfmkit.splits.folds import Fold
from stfmkit.splits.splitters import SplitRows

PATIENTS = np.repeat(np.arange(3), 4)
ROWS = SplitRows(patients=PATIENTS, samples=np.repeat(np.arange(6), 2), patient_names=("a", "b", "c"))


def fold(number=0, train=range(4, 12), test=range(4), groups=None):
    train, test = np.asarray(list(train)), np.asarray(list(test))
    return Fold(number, train, test, np.zeros(len(train)) if groups is None else groups)


@dataclass(frozen=True)
class Mine:
    """A splitter that returns what a test says."""

    found: object
    holds_out: str = "patient"
    needs_microns = False
    extra_key = None

    def split(self, rows, *, rng):
        return self.found

    def describe(self):
        return {"name": "Mine"}


BROKEN = [
    (None, "returns NoneType"),
    ([(np.arange(4), np.arange(4, 8))], "tuple"),
    ([], "returns no fold"),
    ([fold(), fold(1)], "tests 4 rows in more than one fold"),
    ([fold(train=range(12))], "trains and tests 4 rows in fold 0"),
    ([fold(train=range(2, 12), test=range(2))], "holds_out='patient', and 1 of them are in training and test"),
    ([fold(test=[0, 99])], r"rows 0 to 99"),
    ([fold(test=[-1, 0])], r"rows -1 to 0"),
    ([fold(test=[])], "array of shape"),
    ([fold(train=[])], "array of shape"),
    ([fold(test=[0.0, 1.0])], "dtype float64"),
    ([Fold(0, PATIENTS > 0, np.arange(4), PATIENTS)], "dtype bool"),
    ([fold(test=[0, 0])], "rows that occur twice"),
    ([fold(3)], "numbers its folds 3"),
    ([fold(number="a")], "number='a'"),
    ([fold(groups=np.zeros(3))], "train_groups of shape"),
]


@pytest.mark.parametrize(("found", "text"), BROKEN)
def test_every_broken_promise_is_named(found, text):
    with pytest.raises(InputError, match=rf"splitter 'Mine' (?s:.)*{text}"):
        make_folds(Mine(found), ROWS, rng=np.random.default_rng(0))


def test_units_are_those_that_are_stated():
    torn = [fold(train=range(2, 12), test=range(2))]  # one sample of a patient with two
    for unit in ("slide", "block", "observation"):
        assert len(make_folds(Mine(torn, unit), ROWS, rng=np.random.default_rng(0))) == 1
    with pytest.raises(InputError, match="every slide on one side"):
        make_folds(Mine([fold(train=range(3, 12), test=range(3))], "slide"), ROWS, rng=np.random.default_rng(0))


def test_split_and_comparison_hold_to_it(toy):
    keys = {"patient_key": "patient", "sample_key": "sample"}
    with pytest.raises(InputError, match="returns NoneType"):
        sk.pp.split(toy, Mine(None), **keys)
    with pytest.raises(InputError, match="returns no fold"):
        sk.bm.audit(toy, sk.bm.Protocol(**keys, split=Mine([])))
    assert "fold" not in toy.obs


@pytest.mark.parametrize("kind", [sk.pp.PatientKFold, sk.pp.SlideKFold, sk.pp.RandomKFold])
@pytest.mark.parametrize("n_splits", [2.0, np.float64(3), float("nan"), float("inf"), 2.5, True, "2"])
def test_a_number_of_folds_is_an_integer(kind, n_splits):
    with pytest.raises((InputError, TypeError), match="n_splits"):
        kind(n_splits)
    assert kind(np.int64(3)).n_splits == 3
