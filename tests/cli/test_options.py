"""Options of models on the command line."""

from typing import Any

import pytest
from stfmkit.cli._options import read_models, read_options, with_weights

from stfmkit._core.errors import InputError, InputTypeError


@pytest.mark.parametrize(
    ("text", "value"),
    [("a=1", 1), ("a=1.5", 1.5), ("a=human", "human"), ("a={b: 2}", {"b": 2}), ("a=[x, y]", ["x", "y"]), ("a=", None)],
)
def test_values_are_yaml(text: str, value: Any) -> None:
    assert read_options([text]) == {"a": value}


@pytest.mark.parametrize("given", [["a"], ["=1"], ["a b=1"], ["a=1", "a=2"], ["a={b"]])
def test_what_is_no_option(given: list[str]) -> None:
    with pytest.raises(InputError, match="--option"):
        read_options(given)


def test_nothing_in_a_value_is_executed() -> None:
    with pytest.raises(InputError, match="not YAML"):
        read_options(["a=!!python/object/apply:os.system ['true']"])


def test_weights_follow_a_colon() -> None:
    assert with_weights(["hvg_pca", "coordinates"]) == ["hvg_pca", "coordinates"]
    assert with_weights(["hvg_pca", "scgpt:random", "scgpt:C:\\w"]) == {
        "hvg_pca": "hvg_pca",
        "scgpt:random": ("scgpt", {"weights": "random"}),
        "scgpt:C:\\w": ("scgpt", {"weights": "C:\\w"}),
    }
    with pytest.raises(InputError, match="every model once"):
        with_weights(["scgpt:random", "scgpt:random"])


def test_models_of_a_file() -> None:
    given = {"a": "hvg_pca", "b": {"model": "scgpt", "weights": "random"}}
    assert read_models(given) == {"a": "hvg_pca", "b": ("scgpt", {"weights": "random"})}
    with pytest.raises(InputTypeError, match="the model 'c' of type list"):
        read_models({"c": ["scgpt"]})
