"""From a name and options to an object: unknown, missing and misshapen options, and cards that point nowhere."""

import pytest

import stfmkit as sk
from stfmkit.errors import InputError, InputTypeError
from stfmkit.methods.contract import Method


def test_options_are_stored():
    method = sk.methods.load_method("annotate/knn", embedding_key="X_pca", label_key="type", n_neighbors=3)
    assert isinstance(method, Method)
    assert method.options == {
        "embedding_key": "X_pca",
        "label_key": "type",
        "n_neighbors": 3,
        "weights": "uniform",
        "metric": "euclidean",
        "min_probability": None,
        "unknown_label": "unknown",
    }
    with pytest.raises(AttributeError):
        method.n_neighbors = 4


@pytest.mark.parametrize(
    ("options", "error", "found"),
    [
        ({"k": 3}, InputError, r"'k' is not an option of the method 'domains/gmm'"),
        ({"n_cluster": 3}, InputError, r"Did you mean 'n_clusters'"),
        ({}, InputError, r"'domains/gmm' without n_clusters"),
        ({"n_clusters": 2.5}, InputTypeError, r"n_clusters=2\.5[\s\S]*a whole number"),
        ({"n_clusters": True}, InputTypeError, r"n_clusters=True"),
        ({"n_clusters": "3"}, InputTypeError, r"n_clusters='3'"),
        ({"n_clusters": 1}, InputError, r"n_clusters=1"),
        ({"n_clusters": 3, "covariance": "round"}, InputError, r"covariance='round'[\s\S]*'tied', 'full'"),
        ({"n_clusters": 3, "covariance": 3}, InputTypeError, r"covariance=3"),
        ({"n_clusters": 3, "n_starts": 0}, InputError, r"n_starts=0"),
        ({"n_clusters": 3, "max_iter": 0}, InputError, r"max_iter=0"),
    ],
)
def test_options_that_are_refused(options, error, found):
    with pytest.raises(error, match=found):
        sk.methods.load_method("domains/gmm", embedding_key="X_pca", **options)


def test_optional_numbers():
    keys = {"embedding_key": "X", "label_key": "type"}
    assert sk.methods.load_method("annotate/knn", **keys, min_probability=None).min_probability is None
    assert sk.methods.load_method("annotate/knn", **keys, min_probability=1).min_probability == 1
    with pytest.raises(InputTypeError, match="a number or None"):
        sk.methods.load_method("annotate/knn", **keys, min_probability="half")
    with pytest.raises(InputError, match=r"min_probability=1\.5"):
        sk.methods.load_method("annotate/knn", **keys, min_probability=1.5)


def test_several_missing_options_are_named_at_once():
    with pytest.raises(InputError, match="without embedding_key and label_key"):
        sk.methods.load_method("annotate/knn")


def test_a_method_that_is_a_card_only(card, catalogue):
    catalogue.add(card(name="paper", target="", runs="card", reason="no code was published."))
    with pytest.raises(InputError, match=r"'annotate/paper' cannot be run: no code was published"):
        sk.methods.load_method("paper")


@pytest.mark.parametrize("target", ["stfmkit.methods.annotate.knn:CARD", "stfmkit.methods.annotate.knn:Nothing"])
def test_a_card_that_points_to_no_method(card, catalogue, target):
    catalogue.add(card(target=target))
    with pytest.raises(InputTypeError, match="which is no method"):
        sk.methods.load_method("mine")
