"""What code a result was computed with: a class, the distributions that bring it, and the libraries under it."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions, version
from pathlib import Path
from types import CodeType, ModuleType

from stfmkit._core.files import checksum, digest
from stfmkit._core.identity import exact
from stfmkit._core.optional import packages_of, required_packages

LIBRARIES = ("numpy", "scipy", "scikit-learn", "numba", "pandas")
"""Libraries that decide numbers of nearly everything."""
_FETCHERS = {"pooch", "huggingface-hub"}
"""Packages of extras that only bring files, whose checksums are known."""
_OWN = "stfmkit"


@dataclass(frozen=True, kw_only=True)
class Definition:
    """The code of a model, method or task.

    Attributes
    ----------
    name
        Module and name of the class.
    versions
        Version of stfmkit, of the plug-in and of the libraries that decide numbers, by distribution.
    sources
        sha256 of the file of every class of a plug-in, by module, and of the code of a class without a file: a version
        may stay as it is while code is written.
    known
        Whether distributions bring all of the code; not so for a class that is written in a notebook or script.
    """

    name: str
    versions: dict[str, str]
    sources: dict[str, str] = field(default_factory=dict)
    known: bool = True

    def identity(self) -> str:
        """Return text that differs where the code can differ."""
        return digest(exact(self).encode())


def definition_of(kind: type, *, extra: str | None = None, brought_by: tuple[str, str] | None = None) -> Definition:
    """Return the definition of a class.

    Parameters
    ----------
    kind
        The class; those that it inherits from count, too.
    extra
        Extra of stfmkit that it needs.
    brought_by
        Distribution and version of the entry point that named it.
    """
    modules = [base.__module__ for base in kind.__mro__]
    foreign = {name: _distributions(name) for name in modules if _is_foreign(name)}
    brought = {name for several in foreign.values() for name in several}
    needed = {package for name in brought for package in _required(name)}
    extras = set(_of_extra(extra))
    torch = {"torch"} if any("torch" in _imported(name) for name in modules) else set()
    wanted = sorted({_OWN, *LIBRARIES, *brought, *needed, *extras, *torch})
    versions = {name: found for name in wanted for found in [_version(name)] if found}
    if brought_by is not None:
        versions[brought_by[0]] = brought_by[1]
    return Definition(
        name=f"{kind.__module__}:{kind.__qualname__}",
        versions=versions,
        sources=dict(_source(base) for base in kind.__mro__ if base.__module__ in foreign),
        known=brought_by is not None or all(foreign.values()),
    )


def _top(module: str) -> str:
    return module.partition(".")[0]


def _is_foreign(module: str) -> bool:
    """Tell whether a module is of a plug-in or of the user."""
    return _top(module) not in {_OWN, "torch"} and _top(module) not in sys.stdlib_module_names


@cache
def _distributions(module: str) -> list[str]:
    """Return the distributions that bring a module, none for one of a notebook or script."""
    top, file = _top(module), _file(module)
    found = {name for name in _by_package().get(top, ()) if file is not None and _lies_with(file, name)}
    return sorted(found) or ([top] if _version(top) else [])  # an editable install lists no packages


def _lies_with(file: Path, name: str) -> bool:
    """Tell whether a file lies where a distribution is installed, and does not only share a name with its package."""
    return file.is_relative_to(Path(str(distribution(name).locate_file(""))).resolve())


@cache
def _by_package() -> dict[str, list[str]]:
    return {name: list(found) for name, found in packages_distributions().items()}


@cache
def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


@cache
def _of_extra(extra: str | None) -> tuple[str, ...]:
    return tuple(name for name in packages_of(extra) if name not in _FETCHERS)


@cache
def _required(name: str) -> tuple[str, ...]:
    try:
        return required_packages(name)
    except (PackageNotFoundError, ValueError):  # an editable install, or lines that nobody can read
        return ()


def _source(kind: type) -> tuple[str, str]:
    """Return a name and the sha256 of the file of a class, or of what the class holds where it has none."""
    file = _file(kind.__module__)
    if file is not None:
        return kind.__module__, checksum(file)
    held = {name: _code(value) for name, value in vars(kind).items()}
    return f"{kind.__module__}:{kind.__qualname__}", digest(exact(held).encode())


def _code(value: object) -> object:
    """Return a function as what it does, other values as they are if they are plain."""
    value = getattr(value, "__func__", value)  # of a classmethod or staticmethod
    code = value.fget if isinstance(value, property) else value
    code = getattr(code, "__code__", code)
    if isinstance(code, CodeType):
        parts = [_code(part) for part in code.co_consts]
        return [type(value).__name__, code.co_code.hex(), list(code.co_names), parts]
    plain = (str, bytes, bool, int, float, tuple, frozenset, type(None))
    return code if isinstance(code, plain) else type(code).__name__


def _file(module: str) -> Path | None:
    file = getattr(sys.modules.get(module), "__file__", None)
    return Path(file).resolve() if isinstance(file, str) and Path(file).is_file() else None


def _imported(module: str) -> Iterator[str]:
    """Yield the packages whose modules and classes a module holds."""
    for held in list(vars(sys.modules.get(module, sys)).values()):
        name = ""
        if type(held) is ModuleType:
            name = held.__name__
        elif issubclass(type(held), type):
            name = held.__module__
        yield _top(name)
