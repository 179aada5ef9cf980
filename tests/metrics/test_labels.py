"""Agreement of labels: scikit-learn as the oracle."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    adjusted_rand_score,
    balanced_accuracy_score,
    f1_score,
    normalized_mutual_info_score,
    recall_score,
)

from stfmkit._core.errors import InputError, InputTypeError
from stfmkit.metrics import ari, balanced_accuracy, class_f1, macro_f1, nmi

LABELS = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcde")), min_size=1, max_size=60)


@settings(deadline=None)
@given(LABELS)
def test_macro_f1_equals_sklearn_over_classes_of_the_truth(pairs):
    truth, predicted = map(list, zip(*pairs, strict=True))
    present = sorted(set(truth))
    expected = f1_score(truth, predicted, labels=present, average="macro", zero_division=0)
    assert macro_f1(truth, predicted) == pytest.approx(expected)
    per_class = f1_score(truth, predicted, labels=present, average=None, zero_division=0)
    assert class_f1(truth, predicted).index.tolist() == present
    np.testing.assert_allclose(class_f1(truth, predicted), per_class)


@settings(deadline=None)
@given(LABELS)
def test_balanced_accuracy_equals_sklearn(pairs):
    truth, predicted = map(list, zip(*pairs, strict=True))
    expected = recall_score(truth, predicted, labels=sorted(set(truth)), average="macro", zero_division=0)
    assert balanced_accuracy(truth, predicted) == pytest.approx(expected)


def test_balanced_accuracy_equals_sklearns_own_where_all_classes_are_true(rng):
    truth, predicted = rng.integers(4, size=200), rng.integers(4, size=200)
    assert balanced_accuracy(truth, predicted) == pytest.approx(balanced_accuracy_score(truth, predicted))


def test_a_class_that_is_only_predicted_adds_no_zero():
    truth, predicted = ["a", "a", "b", "b"], ["a", "a", "b", "c"]
    assert macro_f1(truth, predicted) == pytest.approx((1 + 2 / 3) / 2)
    assert f1_score(truth, predicted, average="macro", zero_division=0) == pytest.approx((1 + 2 / 3 + 0) / 3)


@settings(deadline=None)
@given(LABELS)
def test_names_and_order_do_not_matter(pairs):
    truth, predicted = map(np.array, zip(*pairs, strict=True))
    turned = slice(None, None, -1)
    assert macro_f1(truth[turned], predicted[turned]) == pytest.approx(macro_f1(truth, predicted))
    rename = dict(zip("abcde", [4, 2, 9, 0, 7], strict=True))
    numbers = [rename[x] for x in truth], [rename[x] for x in predicted]
    assert macro_f1(*numbers) == pytest.approx(macro_f1(truth, predicted))


def test_categoricals_with_unused_levels_are_read_as_their_values():
    truth = pd.Categorical(["a", "b"], categories=["a", "b", "never"])
    assert class_f1(truth, ["a", "b"]).to_dict() == {"a": 1.0, "b": 1.0}


@pytest.mark.parametrize("metric", [macro_f1, balanced_accuracy, class_f1])
@pytest.mark.parametrize(
    ("truth", "predicted", "error", "words"),
    [
        (["a", "b"], ["a"], InputError, "2 labels"),
        ([], [], InputError, "empty"),
        ([["a"]], [["a"]], InputError, "shape"),
        (["a", None], ["a", "b"], InputError, "1 missing"),
        ([1.0, 2.0], [1.0, np.nan], InputError, "1 missing"),
        (["1", "2"], [1, 2], InputTypeError, "truth holds text, predicted holds numbers"),
        (["a", 1], ["a", "b"], InputTypeError, "mixed"),
    ],
)
def test_unusable_labels_are_refused(metric, truth, predicted, error, words):
    if truth == ["a", 1]:
        truth = np.array(truth, dtype=object)
    with pytest.raises(error, match=words):
        metric(truth, predicted)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=50))
def test_ari_and_nmi_equal_sklearn(pairs):
    truth, predicted = map(list, zip(*pairs, strict=True))
    assert ari(truth, predicted) == pytest.approx(adjusted_rand_score(truth, predicted))
    assert nmi(truth, predicted) == pytest.approx(normalized_mutual_info_score(truth, predicted))


def test_partitions_may_be_named_differently():
    assert ari(["a", "a", "b"], [7, 7, 1]) == 1.0
    assert nmi(["a", "a", "b"], [7, 7, 1]) == pytest.approx(1.0)


def test_ari_is_zero_on_average_for_random_labels(rng):
    truth = np.repeat([0, 1, 2], 20)
    scores = [ari(truth, rng.permutation(truth)) for _ in range(400)]
    assert abs(np.mean(scores)) < 3 * np.std(scores) / np.sqrt(400) + 1e-9


def test_partitions_of_different_length_are_refused():
    with pytest.raises(InputError, match="2 labels"):
        ari(["a", "b"], ["a"])
    with pytest.raises(InputError, match="1 missing"):
        nmi(["a", None], ["a", "b"])
