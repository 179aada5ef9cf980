"""The few-shot curve on embeddings whose curve is known."""

import numpy as np
import pytest

from stfmkit._core.errors import InputError
from stfmkit.metrics import few_shot_f1

NICHE = np.tile(["a", "b", "c"], 60)
PATIENT = np.repeat(["P1", "P2", "P3"], 60)


def centres(noise):
    """Three classes in a plane, with noise around them."""
    return (NICHE[:, None] == np.array(["a", "b", "c"])) * 2.0 + noise


def test_the_curve_rises_with_labels_and_falls_to_chance_on_noise(rng):
    noise = rng.normal(size=(180, 3))
    curve = few_shot_f1(centres(noise), NICHE, PATIENT, n_labels=(1, 5, 30))["macro_f1"]
    assert curve.is_monotonic_increasing
    assert curve.iloc[-1] > 0.75
    assert few_shot_f1(noise, NICHE, PATIENT, n_labels=(1, 30))["macro_f1"].max() < 0.45


def test_perfect_from_one_label_on(rng):
    curve = few_shot_f1(centres(rng.normal(0, 0.01, size=(180, 3))), NICHE, PATIENT, n_labels=(1, 5))
    assert (curve["macro_f1"] == 1).all()
    assert (curve["sd"] == 0).all()


def test_a_class_that_is_too_small_leaves_the_point_out(rng):
    X = centres(rng.normal(size=(180, 3)))
    keep = (NICHE != "c") | (np.cumsum(NICHE == "c") % 10 == 0)
    curve = few_shot_f1(X[keep], NICHE[keep], PATIENT[keep], n_labels=(1, 4, 10))["macro_f1"]
    assert curve.isna().tolist() == [False, False, True]


def test_draws_are_seeded_and_smaller_ones_do_not_depend_on_larger(rng):
    X = centres(rng.normal(size=(180, 3)))
    curve = few_shot_f1(X, NICHE, PATIENT, n_labels=(1, 5), rng=3)
    assert curve.equals(few_shot_f1(X, NICHE, PATIENT, n_labels=(1, 5), rng=3))
    assert curve.loc[[5]].equals(few_shot_f1(X, NICHE, PATIENT, n_labels=(5,), rng=3))
    assert not curve.equals(few_shot_f1(X, NICHE, PATIENT, n_labels=(1, 5), rng=4))


def test_patients_are_held_out_whole(rng):
    """Classes that are told by the patient alone cannot be told in a new one."""
    shift = {"P1": 0, "P2": 1, "P3": 2}
    code = (np.searchsorted(["a", "b", "c"], NICHE) + [shift[p] for p in PATIENT]) % 3
    X = np.eye(3)[code] * 10 + rng.normal(0, 0.1, size=(180, 3))
    assert few_shot_f1(X, NICHE, PATIENT, n_labels=(30,))["macro_f1"].iloc[0] < 0.4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"labels": ["a"] * 180}, "one class"),
        ({"groups": ["P"] * 180}, "one group"),
        ({"labels": NICHE[:-1]}, "labels of shape"),
        ({"n_labels": (5, 1)}, r"n_labels=\(5, 1\)"),
        ({"n_labels": ()}, r"n_labels=\(\)"),
        ({"n_labels": (0, 1)}, "n_labels=0"),
        ({"n_repeats": 0}, "n_repeats=0"),
        ({"n_folds": 1}, "n_folds=1"),
    ],
)
def test_unusable_input_is_refused(arguments, words, rng):
    given = {"labels": NICHE, "groups": PATIENT} | arguments
    with pytest.raises(InputError, match=words):
        few_shot_f1(rng.normal(size=(180, 2)), given.pop("labels"), given.pop("groups"), **given)
