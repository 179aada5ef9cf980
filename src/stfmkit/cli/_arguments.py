"""From the fields of a request to flags of the command line, and from their text back to values."""

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from stfmkit._core.errors import InputError

_ARGUMENTS = ("data", "results", "name")
"""Fields that stand without a flag, first."""

_SPELLINGS = {
    "contenders": ("--contenders", "--models"),
    "drop_controls": ("--drop-controls/--keep-controls",),
    "n_jobs": ("--n-jobs", "--jobs"),
    "options": ("--option",),
    "rng": ("--rng", "--seed"),
    "runnable": ("--runnable/--not-runnable",),
}
"""Flags that are not the name of the field alone."""

_PANELS = {
    "Columns and slots": ("carry", "layer", "microns_per_unit"),
    "Lattice": ("angle", "coordinate_system", "origin"),
    "What is kept": ("drop_controls", "hest_compat", "mask", "min_inside", "min_qv"),
    "Held-out data": ("block", "buffer", "n_splits", "split"),
    "Network": ("batch_size", "device", "dtype", "options", "weights"),
    "Work": ("n_jobs", "resume", "rng"),
}
"""Where the help shows fields; keys stand with the columns."""

_ENTRY = "NAME=VALUE"


def flag(name: str) -> str:
    """Return how a field is written on the command line."""
    if name in _ARGUMENTS:
        return name.upper()
    return _SPELLINGS.get(name, ("--" + name.replace("_", "-"),))[0].partition("/")[0]


def parameters(request: type[BaseModel]) -> list[inspect.Parameter]:
    """Return the parameters of a command, one for each field but `command`; what is left out is None."""
    return [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_annotated(name, field))
        for name, field in request.model_fields.items()
        if name != "command"
    ]


def read_values(request: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the flags that were given."""
    fields = request.model_fields
    return {name: _value(fields[name], value) for name, value in given.items() if value not in (None, [], ())}


def _annotated(name: str, field: FieldInfo) -> Any:
    kind = _typer_type(_kinds(field.annotation))
    text = field.description or ""
    if field.default not in (None, [], {}) and not field.is_required() and not isinstance(field.default, bool):
        text += f" [default: {field.default}]"
    if name in _ARGUMENTS:
        return Annotated[kind | None, typer.Argument(help=text, show_default=False)]
    lists = "; repeat, or separate by commas" if get_origin(kind) is list and name != "options" else ""
    entry = f" {_ENTRY}, the value read as YAML; repeat." if name == "options" else ""
    flags = _SPELLINGS.get(name, ("--" + name.replace("_", "-"),))
    if kind is bool and field.default is True and "/" not in flags[0]:
        flags = (f"{flags[0]}/--no-{flags[0][2:]}",)
    return Annotated[
        kind | None,
        typer.Option(*flags, help=text.removesuffix(".") + lists + "." * bool(lists or text.endswith(".")) + entry,
                     rich_help_panel=_panel(name), show_default=False),
    ]  # fmt: skip


def _panel(name: str) -> str | None:
    if name.endswith("_key"):
        return "Columns and slots"
    return next((title for title, names in _PANELS.items() if name in names), None)


def _kinds(annotation: Any) -> list[Any]:
    """Return the types that a field may have, without None."""
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [kind for part in get_args(annotation) for kind in _kinds(part)]
    return [] if annotation is type(None) else [annotation]


def _typer_type(kinds: Sequence[Any]) -> Any:
    """Return the type by which the flag of a field is read: its own if it is a plain one, else text."""
    if any(get_origin(kind) in (list, dict) for kind in kinds) and not any(get_origin(k) is Literal for k in kinds):
        return list[str]
    return kinds[0] if len(kinds) == 1 and kinds[0] in (bool, int, float, Path) else str


def _value(field: FieldInfo, given: Any) -> Any:
    """Return the value of a field from the text of its flag."""
    kinds = _kinds(field.annotation)
    lists = [kind for kind in kinds if get_origin(kind) is list]
    if not lists:
        return _entries(given) if any(get_origin(kind) is dict for kind in kinds) else given
    if isinstance(given, str):
        if "," not in given:
            return given
        given = [given]
    parts = [part.strip() for text in given for part in text.split(",") if part.strip()]
    numbers = _kinds(get_args(lists[0])[0])[0] in (int, float)
    return [_number(part) for part in parts] if numbers else parts


def _number(text: str) -> int | float | str:
    """Return text as a number, and text that is none as it is: the request says what it takes."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _entries(given: Sequence[str]) -> dict[str, Any]:
    """Return the values of ``NAME=VALUE``."""
    import yaml

    options: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (equals and name.isidentifier()) or name in options:
            raise InputError(
                f"--option {text!r}.", allowed=f"{_ENTRY}, every name once", remedy="pass for example species=human."
            )
        try:
            options[name] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError, RecursionError):
            raise InputError(
                f"--option {text!r}, whose value is not YAML.",
                allowed="a number, text, a list or a mapping",
                remedy="quote it, for example --option 'name=\"a: b\"'.",
            ) from None
    return options
