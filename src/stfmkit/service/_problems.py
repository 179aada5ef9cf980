"""Fields that are wrong: one sentence for each says what was found and what is allowed."""

import reprlib
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from stfmkit._core.arguments import listed, nearest
from stfmkit._core.errors import InputError, StfmkitError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


_MOST_LETTERS = 120


class Problem(BaseModel):
    """One field that is wrong.

    Attributes
    ----------
    field
        Name of the field; empty where several do not fit together.
    found, allowed, remedy
        What it holds, what it takes, and what to do.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    field: str
    found: str
    allowed: str
    remedy: str


class RequestError(InputError):
    """Fields of a request that cannot be used, each with what was found and what is allowed."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        if len(self.problems) == 1:
            (only,) = self.problems
            super().__init__(only.found, allowed=only.allowed, remedy=only.remedy)
        else:
            super().__init__(
                " ".join(problem.found for problem in self.problems),
                allowed="; ".join(f"{p.field}: {p.allowed}" if p.field else p.allowed for p in self.problems),
                remedy="; ".join(problem.remedy.rstrip(".") for problem in self.problems),
            )

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.problems,)


def problems_of(error: ValidationError, kind: type[BaseModel], *, spell: Callable[[str], str]) -> list[Problem]:
    """Return one problem for every field that pydantic refuses."""
    problems: dict[str, Problem] = {}
    for detail in error.errors(include_url=False):
        where = detail["loc"]
        field = str(where[0]) if where else ""
        if field not in problems:
            problems[field] = _problem(detail, field, kind, spell)
    return list(problems.values())


def _problem(detail: "ErrorDetails", field: str, kind: type[BaseModel], spell: Callable[[str], str]) -> Problem:
    name = spell(field)
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, StfmkitError):
        found = f"{name} is {cause.found}" if field else cause.found
        return Problem(field=name, found=found, allowed=cause.allowed, remedy=cause.remedy)
    fields = {other: info for other, info in kind.model_fields.items() if other != "command"}
    if detail["type"] == "extra_forbidden":
        return Problem(
            field=name,
            found=f"no field named {short(field)}.",
            allowed=f"one of the fields {listed(fields, most=40)}",
            remedy=f"rename or remove it.{nearest(field, list(fields))}",
        )
    schema = _schema(kind)
    allowed = allowed_by(schema["properties"][field], schema.get("$defs", {}))
    if detail["type"] == "missing":
        return Problem(
            field=name, found=f"no {name}.", allowed=allowed, remedy=f"add {name}: {fields[field].description}"
        )
    value = detail["input"]
    place = "".join(f"[{part}]" for part in detail["loc"][1:] if isinstance(part, int))
    remedy = f"correct {name}."
    if isinstance(value, str):
        if _is_number(value):
            remedy = f"write {name} as a number, without quotes (YAML reads 1.0e-4 as a number, and 1e-4 as text)."
        elif len(value) <= _MOST_LETTERS:
            remedy += nearest(value, _choices(schema["properties"][field]))
    return Problem(field=name, found=f"{name}{place} is {_described(value)}.", allowed=allowed, remedy=remedy)


@cache
def _schema(kind: type[BaseModel]) -> dict[str, Any]:
    return kind.model_json_schema()


_KINDS = {
    "integer": ("a whole number", "whole numbers"),
    "number": ("a number", "numbers"),
    "string": ("text", "names"),
    "boolean": ("true or false", "true or false"),
    "object": ("a mapping", "mappings"),
}


def allowed_by(schema: dict[str, Any], definitions: dict[str, Any], *, many: bool = False) -> str:
    """Return in words what a JSON schema allows."""
    if "$ref" in schema:
        return allowed_by(definitions.get(schema["$ref"].rpartition("/")[2], {}), definitions, many=many)
    if "anyOf" in schema:
        parts = [allowed_by(part, definitions, many=many) for part in schema["anyOf"] if part.get("type") != "null"]
        return ", or ".join(dict.fromkeys(parts))
    if "const" in schema or "enum" in schema:
        return " or ".join(_choices(schema))
    if schema.get("type") == "array":
        items = allowed_by(schema.get("items", {}), definitions, many=True)
        size = f"{schema['minItems']} " if "minItems" in schema and "maxItems" in schema else ""
        return f"a list of {size}{items}"
    if schema.get("format") == "path":
        return "paths" if many else "a path"
    words = _KINDS.get(schema.get("type", ""), ("any value", "any values"))[many]
    limits = [
        text.format(schema[key])
        for key, text in (("exclusiveMinimum", "above {}"), ("minimum", "from {} on"), ("maximum", "up to {}"))
        if key in schema
    ]
    if schema.get("minLength"):
        limits.append("not empty")
    return ", ".join([words, *limits])


def _choices(schema: dict[str, Any]) -> list[str]:
    """Return the texts that a schema allows by name."""
    if "anyOf" in schema:
        return [choice for part in schema["anyOf"] for choice in _choices(part)]
    return [str(choice) for choice in schema.get("enum", [schema["const"]] if "const" in schema else [])]


def _described(value: object) -> str:
    """Return a value and its type in words."""
    if value is None:
        return "empty"
    words = {
        str: "text",
        bool: "yes or no",
        int: "a whole number",
        float: "a number",
        list: "a list",
        dict: "a mapping",
    }
    return f"{short(value)} ({words.get(type(value), type(value).__name__)})"


def short(value: object) -> str:
    """Return a value as Python writes it, cut where it is long."""
    writer = reprlib.Repr()
    writer.maxstring = writer.maxother = _MOST_LETTERS
    try:
        return writer.repr(value)
    except ValueError:  # Python writes no integer of more than 4300 digits
        return "a number of thousands of digits"


def text_of(name: object) -> str:
    """Return a name as text that can be shown: cut where it is long, and what UTF-8 cannot hold written out."""
    text = name if isinstance(name, str) else short(name)
    return text[:_MOST_LETTERS].encode(errors="backslashreplace").decode()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
