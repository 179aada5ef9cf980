"""From a name and options to a method object."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from importlib import import_module
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from stfmkit._core.arguments import listed, nearest
from stfmkit._core.errors import InputError, InputTypeError
from stfmkit._core.optional import missing_packages
from stfmkit.methods.catalogue import find
from stfmkit.methods.contract import Method, MethodCard


def load_method(name: str, *, task: str | None = None, **options: Any) -> Method:
    """Return a method object with its options.

    Parameters
    ----------
    name
        ``task/name``, or ``name`` alone where the task is given or only one task has a method of that name.
    task
        The task, such as "annotate" or "domains".
    options
        Options of the method by name, keys of slots among them.

    Returns
    -------
    An object with ``card``, ``options``, ``requirements()`` and ``run(view, reference, rng=)``.

    Raises
    ------
    MissingKeyError
        No method has this name; the nearest names are suggested.
    InputError
        An option is not known, is missing, or has a value that is not allowed; or the method cannot be run, and the
        card says why.
    InputTypeError
        An option of another type than the method states, or a card that points to no method.
    ImportError
        Packages that the method needs are not installed.

    Examples
    --------
    >>> import stfmkit as sk
    >>> method = sk.methods.load_method("domains/kmeans", embedding_key="X_pca", n_clusters=7)
    >>> method.n_clusters, method.requirements().data.obsm
    (7, ('X_pca',))
    """
    card = find(name, task=task)
    kind = method_class(card)
    _check_options(kind, options, method=card.full_name)
    loaded: Method = kind(**options)
    return loaded


def method_class(card: MethodCard) -> type[Method]:
    """Return the class that a card points to."""
    if card.runs == "card":
        raise InputError(
            f"the method {card.full_name!r} cannot be run: {card.reason}",
            allowed=f"a method of sk.methods.list_methods({card.task!r}, runnable=True)",
            remedy="choose another method, or register a plug-in for it.",
        )
    missing = missing_packages(card.extra)
    if missing:
        msg = (
            f"The method {card.full_name!r} needs {', '.join(missing)}, which is not installed. "
            f"Install it with: pip install 'stfmkit[{card.extra}]'"
        )
        raise ImportError(msg)
    module, _, attribute = card.target.partition(":")
    kind = vars(import_module(module)).get(attribute)
    if not (isinstance(kind, type) and issubclass(kind, Method) and is_dataclass(kind)):
        raise InputTypeError(
            f"the card of {card.full_name!r} points to {card.target!r}, which is no method.",
            allowed="'package.module:Class' of a frozen dataclass derived from sk.methods.Method",
            remedy="correct target on the card, or install the version of the plug-in that has the class.",
        )
    return kind


def option_fields(kind: type[Method]) -> dict[str, Field[Any]]:
    """Return the options that the class of a method takes."""
    return {option.name: option for option in fields(kind)}  # type: ignore[arg-type]


def _check_options(kind: type[Method], options: Mapping[str, Any], *, method: str) -> None:
    """Refuse options that are unknown, missing, or of another type than the class annotates."""
    fields_by_name = option_fields(kind)
    shown = ", ".join(map(_shown, fields_by_name.values())) or "no option"
    for name in options:
        if name not in fields_by_name:
            raise InputError(
                f"{name!r} is not an option of the method {method!r}.",
                allowed=shown,
                remedy=f"leave it out or correct its name.{nearest(name, list(fields_by_name))}",
            )
    missing = [name for name, option in fields_by_name.items() if name not in options and _required(option)]
    if missing:
        raise InputError(
            f"the method {method!r} without {' and '.join(missing)}.",
            allowed=shown,
            remedy=f"pass {', '.join(f'{name}=' for name in missing)}.",
        )
    hints = get_type_hints(kind)
    for name, value in options.items():
        if not _fits(value, hints[name]):
            allowed = _in_words(hints[name])
            error = InputError if get_origin(hints[name]) is Literal and isinstance(value, str) else InputTypeError
            raise error(
                f"{name}={value!r} for the method {method!r}.", allowed=allowed, remedy=f"pass {name} as {allowed}."
            )


def _required(option: Field[Any]) -> bool:
    return option.default is MISSING and option.default_factory is MISSING


def _shown(option: Field[Any]) -> str:
    return option.name if option.default is MISSING else f"{option.name}={option.default!r}"


_TYPES: dict[Any, tuple[type, ...]] = {
    bool: (bool, np.bool_),
    int: (int, np.integer),
    float: (int, float, np.integer, np.floating),
    str: (str,),
    type(None): (type(None),),
}
_WORDS = {bool: "True or False", int: "a whole number", float: "a number", str: "text", type(None): "None"}


def _fits(value: object, hint: Any) -> bool:
    """Tell whether a value is of an annotated type; types other than plain ones are left to the method."""
    if get_origin(hint) in {Union, UnionType}:
        return any(_fits(value, part) for part in get_args(hint))
    if get_origin(hint) is Literal:
        return isinstance(value, str) and value in get_args(hint)
    if hint not in _TYPES:
        return True
    return isinstance(value, _TYPES[hint]) and (hint is bool or not isinstance(value, (bool, np.bool_)))


def _in_words(hint: Any) -> str:
    if get_origin(hint) in {Union, UnionType}:
        return " or ".join(map(_in_words, get_args(hint)))
    if get_origin(hint) is Literal:
        return listed(get_args(hint))
    return _WORDS.get(hint, str(hint))
