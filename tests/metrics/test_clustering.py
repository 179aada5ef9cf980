"""Partitions against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from stfmkit._core.errors import InputError
from stfmkit.metrics import ari, nmi


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
