"""Ridge from sums against scikit-learn, fold by fold."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from stfmkit._core.errors import InputError
from stfmkit.metrics import grouped_ridge
from stfmkit.metrics._grouped_ridge import PENALTIES, deal

GROUPS = np.repeat(["P1", "P2", "P3", "P4"], [30, 20, 25, 15])


def slow_ridge(x, y, fold):
    """Nested search, one target and one fit at a time."""

    def fit_predict(train, test, target, penalty):
        mean, sd = x[train].mean(axis=0), x[train].std(axis=0)
        model = Ridge(alpha=penalty * train.sum()).fit((x[train] - mean) / sd, y[train, target])
        return model.predict((x[test] - mean) / sd)

    guess = np.empty_like(y)
    for target in range(y.shape[1]):
        for held in np.unique(fold):
            inner = [f for f in np.unique(fold) if f != held]
            errors = []
            for penalty in PENALTIES if len(inner) > 1 else ():
                parts = [
                    y[fold == f, target] - fit_predict((fold != held) & (fold != f), fold == f, target, penalty)
                    for f in inner
                ]
                errors.append(sum((part**2).sum() for part in parts))
            best = PENALTIES[int(np.argmin(errors))] if errors else 1e-2
            guess[fold == held, target] = fit_predict(fold != held, fold == held, target, best)
    return guess


@pytest.fixture
def data(rng):
    x = rng.normal(size=(90, 6)) * [1, 10, 0.01, 3, 1, 1] + [0, 1e4, 0, 5, 0, 0]
    y = np.column_stack([x[:, 0] + 0.1 * x[:, 1], rng.normal(size=90), 1e3 + x[:, 3] + rng.normal(size=90)])
    return x, y


def test_equals_the_nested_search_of_sklearn(data):
    x, y = data
    np.testing.assert_allclose(grouped_ridge(x, y, GROUPS), slow_ridge(x, y, deal(GROUPS, 5)), rtol=1e-6)


def test_two_groups_have_one_penalty(data):
    x, y = data
    two = np.where(np.isin(GROUPS, ["P1", "P4"]), "A", "B")
    np.testing.assert_allclose(grouped_ridge(x, y, two), slow_ridge(x, y, deal(two, 5)), rtol=1e-6)


def test_more_groups_than_folds_stay_whole():
    groups = np.repeat(np.arange(12), np.arange(1, 13))
    fold = deal(groups, 5)
    assert sorted(set(fold)) == [0, 1, 2, 3, 4]
    assert all(len(set(fold[groups == g])) == 1 for g in range(12))
    assert np.ptp(np.bincount(fold)) <= 4


def test_the_target_of_a_held_out_group_never_reaches_its_prediction(data):
    x, y = data
    before = grouped_ridge(x, y, GROUPS)
    spoiled = y.copy()
    spoiled[GROUPS == "P2"] *= -50
    after = grouped_ridge(x, spoiled, GROUPS)
    np.testing.assert_allclose(after[GROUPS == "P2"], before[GROUPS == "P2"], rtol=1e-6)
    assert not np.allclose(after[GROUPS == "P1"], before[GROUPS == "P1"])


def test_columns_that_say_nothing_change_nothing(data):
    x, y = data
    padded = np.column_stack([x, np.full(90, 7.0)])
    np.testing.assert_allclose(grouped_ridge(padded, y, GROUPS), grouped_ridge(x, y, GROUPS), rtol=1e-8)
    means = grouped_ridge(np.ones((90, 2)), y, GROUPS)
    np.testing.assert_allclose(means[GROUPS == "P1"], y[GROUPS != "P1"].mean(axis=0)[None].repeat(30, axis=0))


def test_the_order_of_rows_does_not_matter(data, rng):
    x, y = data
    mixed = rng.permutation(90)
    np.testing.assert_allclose(grouped_ridge(x[mixed], y[mixed], GROUPS[mixed]), grouped_ridge(x, y, GROUPS)[mixed])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x, y: grouped_ridge(x, y, ["P"] * 90), "one group"),
        (lambda x, y: grouped_ridge(x, y[:-1], GROUPS), "targets of shape"),
        (lambda x, y: grouped_ridge(x, y, GROUPS[:-1]), "groups of shape"),
        (lambda x, y: grouped_ridge(x * np.nan, y, GROUPS), "NaN"),
        (lambda x, y: grouped_ridge(x, y, GROUPS, n_folds=1), "n_folds=1"),
    ],
)
def test_unusable_input_is_refused(call, words, data):
    with pytest.raises(InputError, match=words):
        call(*data)
