"""What a caller or a folder gives to a network: places, sizes and files, refused where they make none."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from stfmkit._core.errors import InputError, InputTypeError, StfmkitError
from stfmkit.models.weights.places import RANDOM
from stfmkit.models.weights.files import Files

if TYPE_CHECKING:
    from torch import nn

Read = TypeVar("Read")

LARGEST = 10_000_000
"""No size of a network is larger, vocabularies included."""
MALFORMED = (ArithmeticError, AttributeError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError)
"""What sizes or files of another format may raise."""


def as_place(weights: object) -> str | None:
    """Return what ``weights=`` says as text.

    Raises
    ------
    InputTypeError
        It is neither text nor a path.
    InputError
        It is empty.
    """
    allowed = f"a path, 'owner/repository' of the hub, {RANDOM!r}, or None"
    if weights is None:
        return None
    if not isinstance(weights, (str, os.PathLike)):
        raise InputTypeError(
            f"weights of type {type(weights).__name__}.",
            allowed=allowed,
            remedy="pass the folder with the published files.",
        )
    text = os.fspath(weights)
    if not text:
        raise InputError(
            "weights='', which names no place.", allowed=allowed, remedy="leave weights out for the published ones."
        )
    return str(text)


def as_sizes(config: object) -> dict[str, Any]:
    """Return ``config=`` as a dictionary.

    Raises
    ------
    InputTypeError
        It is no mapping.
    """
    if config is not None and not isinstance(config, Mapping):
        raise InputTypeError(
            f"config of type {type(config).__name__}.",
            allowed="sizes by name, such as {'nlayers': 2}",
            remedy="pass a dictionary.",
        )
    return dict(config or {})


def readable(read: Callable[[Path], Read], folder: Path, *, files: Files, what: str) -> Read:
    """Return what a folder holds; whatever a malformed file makes of its reader becomes one error.

    Raises
    ------
    InputError
        A file is not what its name says.
    """
    try:
        return read(folder)
    except StfmkitError:
        raise
    except MALFORMED as error:
        last = files.found[-1].name if files.found else folder.name
        raise InputError(
            f"{last} of {what!r} cannot be understood ({_first_line(error)}).",
            allowed="the files of the publication",
            remedy="get the files again from their published place; they belong to one checkpoint.",
        ) from error


def built(build: "Callable[[], nn.Module]", sizes: Mapping[str, Any], *, what: str) -> "nn.Module":
    """Return the module; sizes that make none, or none that fits anywhere, are refused.

    Raises
    ------
    InputError
        The sizes are not those of a network.
    """
    large = [f"{name}={held}" for name, held in sizes.items() if isinstance(held, int) and held > LARGEST]
    try:
        if large:
            msg = f"{large[0]} is above {LARGEST:,}"
            raise ValueError(msg)
        return build()
    except StfmkitError:
        raise
    except MALFORMED as error:
        raise InputError(
            f"sizes that make no network of {what!r}: {dict(sizes)} ({_first_line(error)}).",
            allowed="the sizes of a publication, or smaller ones",
            remedy="correct config=, or pass the config that belongs to the checkpoint.",
        ) from error


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__
