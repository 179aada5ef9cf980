"""Requests are plain data: they survive YAML and JSON, and say what is wrong in sentences."""

import copy
import json
import math
import pickle
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from stfmkit._core.errors import InputError, InputTypeError, MissingFileError, MissingKeyError, StfmkitError
from stfmkit.service import Failure, RequestError, commands, make_request, read_request, run, schemas
from stfmkit.service.bench import BenchRequest
from stfmkit.service.bin import BinRequest
from stfmkit.service.embed import EmbedRequest

EVERY = pytest.mark.parametrize("name", commands())
BENCH = {"data": "d", "patient_key": "p", "sample_key": "s", "contenders": ["a"], "out": "o"}


def example(name: str) -> dict[str, Any]:
    return {"command": name, **commands()[name].request.EXAMPLE}


# schemas and round trips


@EVERY
def test_schemas_are_valid_and_take_their_own_examples(name: str) -> None:
    found = schemas()[name]
    jsonschema.Draft202012Validator.check_schema(found["request"])
    jsonschema.Draft202012Validator.check_schema(found["response"])
    (shown,) = found["request"]["examples"]
    assert shown == example(name)
    jsonschema.validate(shown, found["request"])
    assert make_request(shown).command == name
    for field, schema in found["request"]["properties"].items():
        assert field == "command" or schema["description"]


@EVERY
def test_schemas_refuse_what_the_request_refuses(name: str) -> None:
    wrong = {**example(name), "no_such_field": 1}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schemas()[name]["request"])
    with pytest.raises(RequestError):
        make_request(wrong)


@EVERY
@pytest.mark.parametrize("form", ["yaml", "json"])
@pytest.mark.parametrize("nested", [True, False])
def test_round_trips(name: str, form: str, nested: bool, tmp_path: Path) -> None:
    request = make_request(example(name), folder=tmp_path)
    plain = request.model_dump(mode="json")
    if nested:
        plain = {plain.pop("command"): plain}
    file = tmp_path / f"request.{form}"
    file.write_text(yaml.safe_dump(plain) if form == "yaml" else json.dumps(plain))
    assert read_request(file) == request
    assert type(read_request(file)) is commands()[name].request


@given(
    origin=st.sampled_from(["bbox", "centroid"]) | st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 2),
    pitch=st.floats(min_value=1e-300, allow_infinity=False),
    carry=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1)),
    drop_controls=st.booleans(),
    min_qv=st.none() | st.floats(min_value=0, allow_infinity=False),
)
def test_any_values_round_trip(**values: Any) -> None:
    request = make_request({"command": "bin", "data": "d", "out": "o", "shape": "square", **values})
    plain = request.model_dump(mode="json")
    assert make_request(yaml.safe_load(yaml.safe_dump(plain))) == request
    assert make_request(json.loads(json.dumps(plain))) == request


def test_requests_are_values() -> None:
    request = make_request(example("bin"))
    assert pickle.loads(pickle.dumps(request)) == copy.deepcopy(request) == request
    with pytest.raises(ValueError, match="frozen"):
        request.data = Path("other")


# files


def test_paths_are_relative_to_the_file_and_the_home_is_expanded(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text(yaml.safe_dump({"command": "bench", **BENCH, "data": "sub/spots.h5ad", "out": "~/results"}))
    request = read_request(file)
    assert request.data == tmp_path / "sub" / "spots.h5ad"
    assert request.out == Path("~/results").expanduser()
    assert make_request({"bench": BENCH}).data == Path("d")
    absolute = make_request({"bench": {**BENCH, "data": "/a/b"}}, folder=tmp_path)
    assert absolute.data == Path("/a/b")


def test_names_may_have_dashes_and_lists_may_have_commas() -> None:
    request = make_request({"bench": {**BENCH, "patient-key": "q", "tasks": "t1, t2,t1", "contenders": ["a,b", "a,b"]}})
    assert request.patient_key == "q"
    assert request.tasks == ["t1", "t2"]
    assert request.contenders == ["a,b"]  # a list is taken as it is


@pytest.mark.parametrize(
    ("content", "error", "hint"),
    [
        ("- a\n- b\n", InputTypeError, "holds a list"),
        ("just text", InputTypeError, "holds a str"),
        ("", InputTypeError, "holds a NoneType"),
        ("a: [1", InputError, "cannot be read"),
        ("rng: !!python/object/apply:os.getcwd []", InputError, "cannot be read"),
        ("bench: {rng: &a [1], block: *a}", InputError, "alias"),
        ("bench: {data: 2024-13-45}", InputError, "cannot be read"),
        ("bench: " + "[" * 5000, InputError, "cannot be read"),
        ("bench: {rng: " + "9" * 5000 + "}", InputError, "cannot be read"),
    ],
)
def test_a_file_that_is_no_request(tmp_path: Path, content: str, error: type[Exception], hint: str) -> None:
    (tmp_path / "r.yaml").write_text(content)
    with pytest.raises(error, match=hint):
        read_request(tmp_path / "r.yaml")


def test_json_that_is_none_and_files_that_are_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "r.json").write_text("{'a': 1}")
    with pytest.raises(InputError, match="cannot be read"):
        read_request(tmp_path / "r.json")
    (tmp_path / "r.yaml").write_bytes(b"\x89HDF\xff\xfe")
    with pytest.raises(InputError, match="is no text"):
        read_request(tmp_path / "r.yaml")
    with pytest.raises(MissingFileError, match="no file"):
        read_request(tmp_path / "no.yaml")
    with pytest.raises(MissingFileError, match="no file"):
        read_request(tmp_path)
    monkeypatch.setenv("STFMKIT_MOST_REQUEST_BYTES", "3")
    with pytest.raises(InputError, match=r"more than a request[\s\S]*the limit 'request_bytes'"):
        read_request(tmp_path / "r.yaml")


@pytest.mark.parametrize("values", [{}, {"data": "x", "out": "y"}, {"bench": 3}, {"bench": [1]}])
def test_a_request_without_a_command(values: dict[str, Any]) -> None:
    with pytest.raises(MissingKeyError, match="names no command"):
        make_request(values)


@pytest.mark.parametrize("values", [{"command": "bnch"}, {"bnch": {}}, {"command": ["bench"]}, {"command": None}])
def test_an_unknown_command(values: dict[str, Any]) -> None:
    with pytest.raises(MissingKeyError, match="no command named"):
        make_request(values)


def test_no_mapping_at_all() -> None:
    with pytest.raises(InputTypeError, match="of type list"):
        make_request([1])  # type: ignore[arg-type]


# sentences


def test_an_unknown_field_suggests_the_nearest() -> None:
    with pytest.raises(RequestError, match="Did you mean 'patient_key'"):
        BenchRequest.of({**BENCH, "patiens_key": "p"})


@pytest.mark.parametrize(
    ("field", "value", "found", "allowed"),
    [
        ("rng", "1", "rng is '1' (text).", "a whole number, from 0 on"),
        ("rng", 1.5, "rng is 1.5 (a number).", "a whole number, from 0 on"),
        ("rng", -1, "rng is -1 (a whole number).", "a whole number, from 0 on"),
        ("rng", 2**63, f"rng is {2**63} (a whole number).", "a whole number, from 0 on, up to 9223372036854775807"),
        ("n_jobs", True, "n_jobs is True (yes or no).", "a whole number, from 1 on"),
        ("block", "100", "block is '100' (text).", "a number, above 0"),
        ("microns_per_unit", math.nan, "microns_per_unit is nan (a number).", "a number, above 0"),
        ("microns_per_unit", math.inf, "microns_per_unit is inf (a number).", "a number, above 0"),
        ("patient_key", 3, "patient_key is 3 (a whole number).", "text, not empty"),
        ("patient_key", "", "patient_key is '' (text).", "text, not empty"),
        ("patient_key", None, "patient_key is empty.", "text, not empty"),
        ("layer", ["a"], "layer is ['a'] (a list).", "text, not empty"),
        ("contenders", 3, "contenders is 3 (a whole number).", "a list of names, not empty, or a mapping"),
        ("tasks", [1], "tasks[0] is 1 (a whole number).", "a list of names, not empty"),
        ("data", 7, "data is 7 (a whole number).", "a path"),
        ("data", "a\0b", "data is 'a\\x00b'.", "a path"),
        ("data", "~no_such_user/x", "data is '~no_such_user/x'.", "a path"),
        ("data", "\ud800", "data is '\\ud800'.", "a path"),
        ("split", ["patient"], "split is ['patient'] (a list).", "patient or slide or block or random"),
        ("ridge_alpha", [1, 0], "ridge_alpha[1] is 0 (a whole number).", "a list of numbers, above 0"),
        ("no_such", 1, "no field named 'no_such'.", "one of the fields 'data', 'patient_key'"),
    ],
)
def test_one_sentence_says_what_was_found_and_what_is_allowed(
    field: str, value: object, found: str, allowed: str
) -> None:
    with pytest.raises(RequestError) as caught:
        BenchRequest.of({**BENCH, field: value})
    (problem,) = caught.value.problems
    assert problem.field == field
    assert caught.value.found == problem.found == found
    assert problem.allowed.startswith(allowed)
    assert problem.remedy


def test_every_wrong_field_is_named_as_it_is_spelled() -> None:
    with pytest.raises(RequestError) as caught:
        BenchRequest.of({"rng": "x", "block": -1, "dato": "d"}, spell=lambda name: f"<{name}>")
    fields = [problem.field for problem in caught.value.problems]
    assert set(fields) == {"<data>", "<out>", "<contenders>", "<patient_key>", "<sample_key>", "<rng>", "<block>",
                           "<dato>"}  # fmt: skip
    for problem in caught.value.problems:
        assert problem.found in caught.value.found
        assert problem.allowed in caught.value.allowed
    assert pickle.loads(pickle.dumps(caught.value)).problems == caught.value.problems


def test_a_number_in_quotes_has_its_remedy() -> None:
    (tmp,) = (yaml.safe_load("[1e-4]"),)
    with pytest.raises(RequestError) as caught:
        BenchRequest.of({**BENCH, "linear_c": tmp})
    assert "1.0e-4" in caught.value.remedy


def test_long_values_are_cut() -> None:
    with pytest.raises(RequestError) as caught:
        BenchRequest.of({**BENCH, "rng": "x" * 10_000_000, "n_jobs": 10**5000 * -1, "block": list(range(10**6))})
    assert len(str(caught.value)) < 2000


def test_options_that_have_a_field_of_their_own_are_refused() -> None:
    for name, remedy in (("weights", "give weights as a field"), ("copy", "leave it out")):
        with pytest.raises(RequestError, match=remedy):
            EmbedRequest.of({"data": "d", "model": "m", "out": "o", "options": {name: 1}})


@pytest.mark.parametrize("choices", [{}, {"pitch": 8, "resolutions": [8]}])
def test_one_way_to_say_the_pitch(choices: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="one of them"):
        BinRequest.of({"data": "d", "out": "o", "shape": "square", **choices})


# hostile and wrong values

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=5,
)
hostile = st.sampled_from(
    ["", "\0", "../../etc/passwd", "~", "~root/x", "\ud800", "a" * 5000, "/", "-", "nan", "1e-4", 10**400, -(10**5000),
     [], {}, [[]], {"model": []}, {"": ""}, object(), Path("x"), "🧬", "a,b,,", ",", "%s", "{0}", "<b>", "$(rm)"]
)  # fmt: skip


def check_told(values: Any) -> None:
    """Plain values give a request, or an error of ours that is complete and can be written as JSON."""
    error = None
    try:
        request = make_request(values)
    except StfmkitError as caught:
        error = caught
    if error is None:
        assert make_request(request.model_dump(mode="json")) == request
        return
    failure = Failure.of(error)
    for part in (failure, *failure.problems):
        assert part.found
        assert part.allowed
        assert part.remedy
    assert "pydantic" not in str(failure)
    assert len(str(failure)) < 20_000
    json.loads(failure.model_dump_json())


FIELDS = [(name, field) for name, command in commands().items() for field in command.request.model_fields]


@settings(max_examples=600)
@given(place=st.sampled_from(FIELDS), value=plain | hostile)
def test_any_value_of_any_field_is_taken_or_told(place: tuple[str, str], value: Any) -> None:
    name, field = place
    check_told({**example(name), field: value})


@pytest.mark.parametrize("value", [object(), b"x", {1: 2}, [[["x"]]], 10**5000, "\ud800"], ids=range(6))
def test_a_wrong_value_of_every_field_is_told(value: Any) -> None:
    for name, field in FIELDS:
        check_told({**example(name), field: value})
        check_told({"command": name, field: value, "\ud800": value, "x" * 10_000: value})


@given(st.dictionaries(st.text() | st.integers() | st.sampled_from(["command", *commands()]), plain, max_size=4))
def test_any_mapping_is_taken_or_told(values: dict[Any, Any]) -> None:
    check_told(values)


@given(name=st.sampled_from(list(commands())), fields=st.dictionaries(st.text(), plain | hostile, max_size=6))
def test_run_answers_any_request_that_names_no_data(name: str, fields: dict[str, Any]) -> None:
    response = run({"command": name, **fields, "no_such_field": 1})
    assert isinstance(response, Failure)
    assert response.command == name or fields.get("command") is not None
    json.loads(response.model_dump_json())
