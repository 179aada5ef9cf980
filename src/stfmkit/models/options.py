"""The options of a model class: what its constructor takes, and what an object was constructed with."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from stfmkit._core.arguments import nearest
from stfmkit._core.errors import InputError, InputTypeError

_NOT_OPTIONS = {"rng", "card"}
_LONGEST = 200


def parameters(kind: type) -> dict[str, inspect.Parameter]:
    """Return what the constructor of a class takes; what it passes on as ``**common`` is looked up in its bases.

    The entry of a ``**`` is there only where the last constructor that is reached takes any name.
    """
    found: dict[str, inspect.Parameter] = {}
    own: list[inspect.Parameter] = []
    for base in kind.__mro__:
        if "__init__" in vars(base) and base is not object:
            own = list(inspect.signature(base.__init__).parameters.values())[1:]  # type: ignore[misc]
            found |= {p.name: p for p in own if p.kind is not p.VAR_KEYWORD and p.name not in found}
            if not any(p.kind is p.VAR_KEYWORD for p in own):
                return found
    return found | {p.name: p for p in own if p.name not in found}


def option_parameters(kind: type) -> dict[str, inspect.Parameter]:
    """Return the options of a class, which are all that its constructor takes but the card and the seed."""
    return {name: parameter for name, parameter in parameters(kind).items() if name not in _NOT_OPTIONS}


def check_options(kind: type, given: Iterable[str], *, model: str) -> None:
    """Refuse options that the class of a model does not take, and suggest the nearest."""
    taken = option_parameters(kind)
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values()):
        return
    known = [name for name, parameter in taken.items() if parameter.kind is not parameter.VAR_POSITIONAL]
    unknown = [name for name in given if name not in known]
    if unknown:
        shown = ", ".join(_shown(taken[name]) for name in known) or "no option"
        raise InputError(
            f"{unknown[0]!r} is not an option of the model {model!r}.",
            allowed=shown,
            remedy=f"leave it out or correct its name.{nearest(unknown[0], known)}",
        )


def check_kinds(kind: type, given: Mapping[str, Any], *, model: str) -> None:
    """Refuse text for a switch and what is no number for a number, as the constructor of the model annotates them."""
    taken = option_parameters(kind)
    for name, value in given.items():
        wanted = taken[name].annotation if name in taken else None
        for annotated, (allowed, types) in _KINDS.items():
            if wanted in {annotated, annotated.__name__} and not _is(value, types):
                raise InputTypeError(
                    f"{name}={value!r} for the model {model!r}.",
                    allowed=allowed,
                    remedy=f"pass {name}={taken[name].default!r}, the default, or another of its kind.",
                )


_KINDS: dict[type, tuple[str, tuple[type, ...]]] = {
    bool: ("True or False", (bool, np.bool_)),
    int: ("a whole number", (int, np.integer)),
    float: ("a number", (int, float, np.integer, np.floating)),
}


def _is(value: object, types: tuple[type, ...]) -> bool:
    return isinstance(value, types) and (bool in types or not isinstance(value, bool))


def _shown(parameter: inspect.Parameter) -> str:
    if parameter.default is parameter.empty:
        return parameter.name
    return f"{parameter.name}={parameter.default!r}"


def options_of(model: object) -> dict[str, Any]:
    """Return the options that a model object was constructed with.

    Raises
    ------
    InputTypeError
        The constructor did not store one of them under its name.
    """
    stored = vars(model)
    taken = option_parameters(type(model)).values()
    names = [parameter.name for parameter in taken if parameter.kind is not parameter.VAR_KEYWORD]
    lost = [name for name in names if name not in stored]
    if lost:
        raise InputTypeError(
            f"{type(model).__name__}, whose constructor takes {lost[0]!r} and does not store it.",
            allowed="options stored under their names, so that they can be recorded",
            remedy=f"add self.{lost[0]} = {lost[0]} to the constructor.",
        )
    return {name: stored[name] for name in names}


def as_stored(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as values that h5ad and zarr can store."""
    plain = (str, bool, int, float, type(None))
    return {name: value if isinstance(value, plain) else repr(value)[:_LONGEST] for name, value in options.items()}
