"""The options of a model class: what it takes, and what an object was built with."""

import inspect
from collections.abc import Iterable
from typing import Any

from stfmkit._errors import InputError
from stfmkit._validate import nearest


def _parameters(kind: type) -> dict[str, inspect.Parameter]:
    return {name: parameter for name, parameter in inspect.signature(kind).parameters.items() if name != "rng"}


def check_options(kind: type, given: Iterable[str], *, model: str) -> None:
    """Refuse options that the class of a model does not take, and suggest the nearest."""
    taken = _parameters(kind)
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


def _shown(parameter: inspect.Parameter) -> str:
    if parameter.default is parameter.empty:
        return parameter.name
    return f"{parameter.name}={parameter.default!r}"


def options_of(model: object) -> dict[str, Any]:
    """Return the options that a model object holds, as values that h5ad and zarr can store.

    An option is an argument of the constructor that the object keeps as an attribute of the same name.
    """
    values = {name: getattr(model, name) for name in _parameters(type(model)) if hasattr(model, name)}
    return {
        name: value if isinstance(value, (str, bool, int, float)) else repr(value) for name, value in values.items()
    }
