"""From the fields of a request to flags, and from their text to values."""

from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from stfmkit._core.errors import InputError
from stfmkit.cli._app import build
from stfmkit.cli._arguments import flag, read_values
from stfmkit.service import commands
from stfmkit.service.bench import BenchRequest
from stfmkit.service.bin import BinRequest
from stfmkit.service.embed import EmbedRequest


def options_of(*texts: str) -> dict[str, Any]:
    return read_values(EmbedRequest, {"options": list(texts)}).get("options", {})


@pytest.mark.parametrize("name", commands())
def test_every_field_is_a_flag_and_every_flag_a_field(name: str) -> None:
    command = typer.main.get_command(build()).commands[name]
    fields = set(commands()[name].request.model_fields) - {"command"}
    assert {p.name for p in command.params} - {"help"} == fields | {"config", "json"}
    for parameter in command.params:
        if parameter.name in fields:
            assert parameter.default is None  # what is left out is left to the request
            spelled = {parameter.name.upper()} if parameter.param_type_name == "argument" else set(parameter.opts)
            assert flag(parameter.name) in spelled
            assert parameter.help


def test_flags_of_old_and_of_the_vocabulary() -> None:
    command = typer.main.get_command(build()).commands["bench"]
    spelled = {parameter.name: set(parameter.opts) for parameter in command.params}
    assert spelled["contenders"] == {"--contenders", "--models"}
    assert spelled["rng"] == {"--rng", "--seed"}
    assert spelled["n_jobs"] == {"--n-jobs", "--jobs"}


@pytest.mark.parametrize(
    ("text", "value"),
    [("a=1", 1), ("a=1.5", 1.5), ("a=human", "human"), ("a={b: 2}", {"b": 2}), ("a=[x, y]", ["x", "y"]), ("a=", None)],
)
def test_values_of_options_are_yaml(text: str, value: Any) -> None:
    assert options_of(text) == {"a": value}


@pytest.mark.parametrize("given", [["a"], ["=1"], ["a b=1"], ["a=1", "a=2"], ["a={b"], ["a=2024-13-45"]])
def test_what_is_no_option(given: list[str]) -> None:
    with pytest.raises(InputError, match="--option"):
        options_of(*given)


def test_nothing_in_a_value_is_executed() -> None:
    with pytest.raises(InputError, match="not YAML"):
        options_of("a=!!python/object/apply:os.system ['true']")


names = st.text(alphabet=st.characters(categories=("L", "N")), min_size=1)


@given(st.lists(st.lists(names, min_size=1), min_size=1))
def test_lists_repeated_or_by_commas_are_the_same(groups: list[list[str]]) -> None:
    by_commas = read_values(BenchRequest, {"contenders": [", ".join(group) for group in groups]})
    repeated = read_values(BenchRequest, {"contenders": [name for group in groups for name in group]})
    assert by_commas == repeated == {"contenders": [name for group in groups for name in group]}


def test_values_keep_the_type_of_their_field() -> None:
    given = {
        "data": Path("d"), "pitch": None, "resolutions": ["8,16.5", "x"], "origin": "-3,4.5", "carry": ["a,b", "c"],
        "drop_controls": False, "angle": 0.0,
    }  # fmt: skip
    assert read_values(BinRequest, given) == {
        "data": Path("d"),
        "resolutions": [8, 16.5, "x"],  # the request says what it takes
        "origin": [-3, 4.5],
        "carry": ["a", "b", "c"],
        "drop_controls": False,
        "angle": 0.0,  # a flag of 0 is a flag
    }
    assert read_values(BinRequest, {"origin": "centroid"}) == {"origin": "centroid"}
