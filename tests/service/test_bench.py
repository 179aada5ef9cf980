"""Choices from flags and from YAML: checked, joined, never guessed."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from hypothesis import given
from hypothesis import strategies as st
from stfmkit.cli._settings import BenchSettings, make_settings, read_config

import stfmkit as sk
from stfmkit._core.errors import InputError, InputTypeError, MissingFileError, MissingKeyError
from stfmkit.cli._app import build

GIVEN = {"data": Path("d.h5ad"), "patient_key": "p", "sample_key": "s", "models": ["a,b"], "out": Path("o")}


def write(folder: Path, content: Any) -> Path:
    path = folder / "bench.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def test_flags_alone() -> None:
    settings = make_settings(GIVEN, None)
    assert settings.models == ["a", "b"]
    assert (settings.split, settings.seed, settings.jobs, settings.spatial_key) == ("patient", 0, 1, "spatial")


def test_every_choice_is_a_flag_and_every_flag_a_choice() -> None:
    parameters = {p.name for p in typer.main.get_command(build()).commands["bench"].params} - {"config", "help"}
    assert parameters == {field.name for field in fields(BenchSettings)}


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    config = write(tmp_path, {"patient-key": "file", "sample_key": "s", "seed": 3, "models": ["x"], "tasks": "t1, t2"})
    settings = make_settings({**GIVEN, "seed": 0}, config)
    assert settings.patient_key == "p"
    assert settings.models == ["a", "b"]
    assert settings.tasks == ["t1", "t2"]
    assert settings.seed == 0  # a flag of 0 is a flag


def test_paths_in_the_file_are_relative_to_it(tmp_path: Path) -> None:
    config = write(tmp_path, {"data": "spots.h5ad", "out": "results"})
    assert read_config(config) == {"data": tmp_path / "spots.h5ad", "out": tmp_path / "results"}


def test_an_unknown_key_suggests_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(MissingKeyError, match="Did you mean 'patient_key'"):
        make_settings(GIVEN, write(tmp_path, {"patiens_key": "p"}))


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("- a\n- b\n", InputTypeError),
        ("just text", InputTypeError),
        ("", InputTypeError),
        ("a: [1", InputError),
        ("seed: !!python/object/apply:os.getcwd []", InputError),
    ],
)
def test_a_file_that_is_no_table_of_choices(tmp_path: Path, content: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_config(write(tmp_path, content))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="--config"):
        read_config(tmp_path / "no.yaml")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", "1"),
        ("seed", 1.5),
        ("jobs", True),
        ("block", "100"),
        ("buffer", False),
        ("patient_key", 3),
        ("patient_key", ["a"]),
        ("models", 3),
        ("tasks", [1]),
        ("data", 7),
        ("split", ["patient"]),
    ],
)
def test_values_of_another_type_are_refused_and_named(tmp_path: Path, key: str, value: object) -> None:
    flags = {k: v for k, v in GIVEN.items() if k != key}
    with pytest.raises(InputTypeError, match="DATA" if key == "data" else f"--{key.replace('_', '-')}"):
        make_settings(flags, write(tmp_path, {key: value}))


@pytest.mark.parametrize("key", ["data", "patient_key", "sample_key", "models", "out"])
def test_what_is_required_is_named(key: str) -> None:
    with pytest.raises(InputError) as caught:
        make_settings({k: v for k, v in GIVEN.items() if k != key}, None)
    assert caught.value.found == f"no {'DATA' if key == 'data' else '--' + key.replace('_', '-')}."


def test_no_models_is_not_a_list_of_models() -> None:
    with pytest.raises(InputError, match="--models"):
        make_settings({**GIVEN, "models": [" , "]}, None)


names = st.text(alphabet=st.characters(categories=("L", "N")), min_size=1)


@given(st.lists(st.lists(names, min_size=1), min_size=1))
def test_lists_repeated_or_by_commas_are_the_same(groups: list[list[str]]) -> None:
    by_commas = make_settings({**GIVEN, "models": [", ".join(group) for group in groups]}, None)
    repeated = make_settings({**GIVEN, "models": [name for group in groups for name in group]}, None)
    assert by_commas == repeated
    assert len(set(repeated.models)) == len(repeated.models)


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ({}, {"name": "PatientKFold", "n_splits": 5}),
        ({"n_splits": 3}, {"name": "PatientKFold", "n_splits": 3}),
        ({"split": "slide", "n_splits": 3}, {"name": "SlideKFold", "n_splits": 3}),
        ({"split": "random"}, {"name": "RandomKFold", "n_splits": 5}),
        (
            {"split": "block", "block": 500, "buffer": 0},
            {"name": "SpatialBlockKFold", "block": 500.0, "buffer": 0.0, "n_splits": 5},
        ),
    ],
)
def test_splits(choices: dict[str, object], expected: dict[str, object]) -> None:
    assert make_settings({**GIVEN, **choices}, None).splitter().describe() == expected


@pytest.mark.parametrize(
    ("choices", "hint"),
    [
        ({"split": "blok"}, "Did you mean 'block'"),
        ({"split": "block"}, "--buffer"),
        ({"split": "block", "block": 100.0}, "--buffer 0"),
        ({"split": "patient", "buffer": 100.0}, "--split block"),
    ],
)
def test_splits_that_are_not_determined(choices: dict[str, object], hint: str) -> None:
    with pytest.raises(InputError, match=hint):
        make_settings({**GIVEN, **choices}, None).splitter()


def test_the_protocol_is_that_of_python() -> None:
    choices = {
        "label_key": "l",
        "n_target_genes": 7,
        "seed": 4,
        "microns_per_unit": 2,
        "celltype_key": "c",
        "layer": "x",
    }
    assert make_settings({**GIVEN, **choices}, None).protocol() == sk.bm.Protocol(
        patient_key="p",
        sample_key="s",
        label_key="l",
        n_target_genes=7,
        rng=4,
        microns_per_unit=2.0,
        celltype_key="c",
        layer="x",
        split=sk.pp.PatientKFold(5),
    )
