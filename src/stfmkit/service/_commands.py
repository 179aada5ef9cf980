"""The commands: one module of this package for each, found by its file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, get_type_hints

from stfmkit.service._response import Failure, Response, Stopped

if TYPE_CHECKING:  # a request is made by its command, so that file imports this one
    from stfmkit.service._request import Request


@dataclass(frozen=True)
class Command:
    """One command: the types of its request and response, and the function that does the work."""

    name: str
    request: "type[Request]"
    response: type[Response]
    run: Callable[[Any], Response]


@cache
def commands() -> Mapping[str, Command]:
    """Return every command by its name; a module without leading underscore is one, and its ``run`` does the work.

    Examples
    --------
    >>> import stfmkit as sk
    >>> list(sk.service.commands())
    ['audit', 'bench', 'bin', 'demo', 'embed', 'models', 'report']
    """
    found: dict[str, Command] = {}
    for module in sorted(iter_modules([str(Path(__file__).parent)]), key=lambda module: module.name):
        if not module.name.startswith("_"):
            run = import_module(f"stfmkit.service.{module.name}").run
            types = get_type_hints(run)
            found[module.name] = Command(module.name, types["request"], types["return"], run)
    return MappingProxyType(found)


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON schemas of every command: of its request, and of all that may come back.

    Examples
    --------
    >>> import stfmkit as sk
    >>> sk.service.schemas()["report"]["request"]["required"]
    ['results']
    """
    from pydantic import TypeAdapter

    found: dict[str, dict[str, Any]] = {}
    for name, command in commands().items():
        request = command.request.model_json_schema()
        answers: Any = command.response | Failure | Stopped
        found[name] = {
            "request": request | {"examples": [{"command": name, **command.request.EXAMPLE}]},
            "response": TypeAdapter(answers).json_schema(mode="serialization"),
        }
    return found
