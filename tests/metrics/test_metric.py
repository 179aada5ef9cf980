"""The decorator: it changes nothing of the function, and refuses facts that are missing or contradict each other."""

import inspect
import json
import pickle
from dataclasses import FrozenInstanceError

import pytest

from stfmkit import metrics
from stfmkit._core.errors import InputError, InputTypeError
from stfmkit.metrics._metric import metric, spec_of

FACTS = {
    "title": "Largest error",
    "family": "expression",
    "higher_is_better": False,
    "bounds": (0, None),
    "chance": None,
    "source": "textbook",
    "summary": "Largest absolute error.",
}


def largest_error(truth, predicted, *, power=1):
    """Return the largest error."""
    return abs(truth - predicted) ** power


def nothing():
    return 0


def described(**changed):
    """Describe a fresh function."""

    def score(truth, predicted, *, power: float = 1, **more) -> float:
        """Say something."""
        return (truth - predicted) ** power

    return metric(**FACTS | changed)(score)


def test_the_function_is_returned_as_it_is():
    signature, text = inspect.signature(largest_error), largest_error.__doc__
    assert metric(**FACTS)(largest_error) is largest_error
    assert inspect.signature(largest_error) == signature
    assert largest_error.__doc__ == text
    assert largest_error(1, 3) == 2
    assert pickle.loads(pickle.dumps(largest_error)) is largest_error
    assert pickle.loads(pickle.dumps(metrics.pearson)) is metrics.pearson


def test_name_target_and_needs_follow_from_the_function():
    spec = spec_of(described())
    assert (spec.name, spec.needs) == ("score", ("truth", "predicted"))
    assert spec.target.startswith(f"{__name__}:")
    assert spec.target.endswith("score")
    assert spec.function(3, 1) == 2


def test_defaults_and_conversions():
    spec = spec_of(described())
    assert (spec.over_genes, spec.over, spec.label, spec.ceiling) == ("mean", "mean", "Largest error", "")
    assert spec.bounds == (0.0, None)
    spec = spec_of(described(over_genes="median", over="median", label="Worst", chance=1))
    assert (spec.over_genes, spec.over, spec.label, spec.chance) == ("median", "median", "Worst", 1.0)


def test_the_description_is_frozen_and_ready_for_json():
    spec = spec_of(described())
    with pytest.raises(FrozenInstanceError):
        spec.title = "mine"
    facts = spec.facts()
    assert "function" not in facts
    assert json.loads(json.dumps(facts))["bounds"] == [0.0, None]


@pytest.mark.parametrize("fact", FACTS)
def test_no_fact_can_be_left_out(fact):
    with pytest.raises(TypeError, match=f"missing 1 required keyword-only argument: '{fact}'"):
        metric(**{name: value for name, value in FACTS.items() if name != fact})


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"title": " "}, InputError, "title=' '"),
        ({"title": None}, InputTypeError, "title=None"),
        ({"source": ""}, InputError, "source=''"),
        ({"summary": "No stop"}, InputError, "full stop"),
        ({"family": "Two words"}, InputError, "family='Two words'"),
        ({"higher_is_better": 1}, InputTypeError, "higher_is_better=1"),
        ({"higher_is_better": "yes"}, InputTypeError, "True, False or None"),
        ({"bounds": (1, 0)}, InputError, "smaller value first"),
        ({"bounds": (0, 0)}, InputError, "smaller value first"),
        ({"bounds": (0, float("inf"))}, InputTypeError, "finite numbers or None"),
        ({"bounds": 1}, InputTypeError, "bounds=1"),
        ({"bounds": (0, 1, 2)}, InputTypeError, "bounds="),
        ({"chance": -1}, InputError, "outside the bounds"),
        ({"chance": "0"}, InputTypeError, "chance='0'"),
        ({"chance": True}, InputTypeError, "chance=True"),
        ({"chance": 0}, InputError, "best value with higher_is_better=False"),
        (
            {"chance": 1, "bounds": (0, 1), "higher_is_better": True},
            InputError,
            "best value with higher_is_better=True",
        ),
        ({"over_genes": "sum"}, InputError, "over_genes='sum'"),
        ({"over": None}, InputError, "over=None"),
        ({"label": None}, InputTypeError, "label=None"),
        ({"ceiling": 3}, InputTypeError, "ceiling=3"),
    ],
)
def test_facts_that_cannot_be_are_refused(changed, error, words):
    with pytest.raises(error, match=words):
        metric(**FACTS | changed)


@pytest.mark.parametrize(
    ("function", "error", "words"),
    [
        (lambda truth, predicted: 0, InputError, "a function named '<lambda>'"),
        (nothing, InputError, "'nothing' needs no argument"),
        (len, InputTypeError, "builtin_function_or_method"),
        (int, InputTypeError, "a metric of type type"),
        (metrics.ari, InputError, "'ari' is described twice"),
    ],
)
def test_what_cannot_be_a_metric_is_refused(function, error, words):
    with pytest.raises(error, match=words):
        metric(**FACTS)(function)
    assert spec_of(metrics.ari).title == "Adjusted Rand index"


def test_a_function_without_a_description_has_no_spec():
    with pytest.raises(InputError, match="'nothing' has no description"):
        spec_of(nothing)
    with pytest.raises(InputTypeError, match="a metric of type str"):
        spec_of("ari")
