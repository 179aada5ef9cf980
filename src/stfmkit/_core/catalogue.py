"""One list of named entries: those that come with the package, those of plug-ins, and those that the user registers."""

import dataclasses
import re
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from itertools import islice
from typing import Any, Generic, TypeVar

from stfmkit._core.arguments import check_known, listed
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError, StfmkitWarning
from stfmkit._core.printable import one_line

T = TypeVar("T")
R = TypeVar("R")

NAME = re.compile(r"[a-z0-9][a-z0-9_-]*(\.[a-z0-9][a-z0-9._-]*)?")
"""Names of entries: lower case with - or _, and a tag after a dot."""


class Catalogue(Generic[T]):
    """Entries by name; plug-ins are read on first use.

    Models, methods, metrics and tasks each have one. An entry point holds an entry, or several in a list or tuple.
    Whatever a plug-in raises while it is read, checked or listed becomes a warning that names it, and its entries are
    left out; only the interrupt of a user passes.

    Parameters
    ----------
    what
        What an entry is, in a word: "model", "method", "task".
    group
        Entry-point group of plug-ins.
    built_in
        Returns the entries that come with the package; called once, on first use.
    name_of
        Returns the name of an entry.
    check
        Raises InputError or InputTypeError for an entry that lookups could not rely on.
    facts
        Returns what lists show of an entry, itself by default; of a plug-in it must be plain values.
    """

    def __init__(
        self,
        *,
        what: str,
        group: str,
        built_in: Callable[[], Iterable[T]],
        name_of: Callable[[T], str],
        check: Callable[[T], None],
        facts: Callable[[T], object] = lambda entry: entry,
    ) -> None:
        self.what, self.group = what, group
        self._built_in, self._name_of, self._check, self._facts = built_in, name_of, check, facts
        self._entries: dict[str, T] | None = None
        self._origins: dict[str, str] = {}
        self._brought: dict[str, tuple[str, str]] = {}

    def entries(self) -> dict[str, T]:
        """Return all entries by name, in the order of registration."""
        return dict(self._loaded())

    def rows(self, row: Callable[[T], R | None], *, table: Callable[[list[R]], object] = list) -> list[R]:
        """Return a row for every entry; one that is not of this package and gives none that fits is left out.

        Parameters
        ----------
        row
            Returns the row of an entry, or None for an entry that is not asked for.
        table
            Makes a table of rows; the row of an entry that makes it fail is left out, too.
        """
        rows: list[R] = []
        for name, entry in self.entries().items():
            if name not in self._origins:
                found = row(entry)
            else:
                found, problem = _tried(partial(_row_of, row, entry, table))
                if problem:
                    del self._loaded()[name]
                    self._warn(self._origins[name], problem)
            if found is not None:
                rows.append(found)
        return rows

    def brought_by(self, name: str) -> tuple[str, str] | None:
        """Return distribution and version of the plug-in that an entry is of; None for all others."""
        return self._brought.get(name)

    def find(self, name: str) -> T:
        """Return the entry of ``name`` or ``name.tag``; the tag may be left out where there is only one."""
        if not isinstance(name, str):
            raise InputTypeError(
                f"a {self.what} name of type {type(name).__name__}.",
                allowed="text",
                remedy=f"pass a name of the list of {self.what}s.",
            )
        known = self._loaded()
        if name not in known:
            tagged = [other for other in known if other.startswith(f"{name}.")]
            if len(tagged) == 1:
                return known[tagged[0]]
            if tagged:
                raise MissingKeyError(
                    f"the {self.what} name {name!r}, which has several tags.",
                    allowed=listed(tagged),
                    remedy="add the tag.",
                )
        check_known(name, known, what=self.what, remedy=f"list all {self.what}s to see their names.")
        return known[name]

    def add(self, entry: T, *, overwrite: bool = False) -> None:
        """Add an entry for this session, checked."""
        self._check(entry)
        name = self._name_of(entry)
        if name in self._loaded() and not overwrite:
            raise InputError(
                f"a {self.what} named {name!r} exists.",
                allowed="a new name",
                remedy="choose another name, add a tag (name.tag), or pass overwrite=True.",
            )
        self._loaded()[name] = entry
        self._origins[name] = f"{name!r} of this session"
        self._brought.pop(name, None)

    def remove(self, name: str) -> None:
        """Take an entry out for this session."""
        check_known(name, self._loaded(), what=self.what, remedy=f"list all {self.what}s to see their names.")
        del self._loaded()[name]
        self._origins.pop(name, None)
        self._brought.pop(name, None)

    def _loaded(self) -> dict[str, T]:
        if self._entries is None:
            self._entries = {self._name_of(entry): entry for entry in self._built_in()}
            try:
                problems = self._read_plugins()
            except KeyboardInterrupt:
                self._entries = None  # those that are not read yet would be missing without a word
                raise
            for origin, problem in problems:  # when all are read: a warning may be an error
                self._warn(origin, problem)
        return self._entries

    def _read_plugins(self) -> list[tuple[str, str]]:
        """Add the entries of all plug-ins; return those that are left out, and why."""
        points, problem = _tried(lambda: list(entry_points(group=self.group)))
        if points is None:
            return [("that is installed", problem)]
        tried = [(point, _tried(partial(self._read_plugin, point))[1]) for point in points]
        return [(f"{point.name!r} ({point.value})", problem) for point, problem in tried if problem]

    def _warn(self, origin: str, problem: str) -> None:
        text = one_line(f"The {self.what} plug-in {origin} is left out: {problem}")
        warnings.warn(text, StfmkitWarning, stacklevel=5)

    def _read_plugin(self, point: EntryPoint) -> None:
        """Add the entries of a plug-in, all or none."""
        loaded, known = point.load(), self._entries if self._entries is not None else {}
        several = issubclass(type(loaded), (list, tuple))  # isinstance would ask the object
        found = list(islice(loaded, _MOST + 1)) if several else [loaded]
        if len(found) > _MOST:
            raise InputError(
                f"more than {_MOST} entries.", allowed="fewer", remedy="report this to the author of the plug-in."
            )
        new: dict[str, T] = {}
        for entry in found:
            self._check(entry)
            check_plain(self._facts(entry))
            name = self._name_of(entry)
            if name in known or name in new:
                raise InputError(
                    f"a name that is taken, {name!r}.", allowed="a new name", remedy="report this to the author."
                )
            new[name] = entry
        origin = f"{point.name!r} ({point.value})"
        distribution = getattr(point, "dist", None)
        if distribution is not None:
            self._brought |= dict.fromkeys(new, (str(distribution.name), str(distribution.version)))
        self._origins |= dict.fromkeys(new, origin)
        known |= new


def check_plain(value: Any) -> None:
    """Refuse facts that are more than text, numbers and tables of them: other objects may do anything when shown."""
    kind = type(value)
    if kind in _PLAIN:
        return
    if kind.__module__.startswith("stfmkit.") and dataclasses.is_dataclass(kind):
        parts: Iterable[Any] = [getattr(value, held.name) for held in dataclasses.fields(kind)]
    elif kind is dict:
        parts = [*value, *value.values()]
    elif kind in {list, tuple} or (issubclass(kind, tuple) and kind.__module__.startswith("stfmkit.")):
        parts = tuple.__iter__(value) if issubclass(kind, tuple) else value
    else:
        raise InputTypeError(
            f"a fact of type {kind.__name__}.",
            allowed="text, numbers, True, False, None, and tuples of them",
            remedy="report this to the author of the plug-in.",
        )
    for part in parts:
        check_plain(part)


_PLAIN = {str, int, float, bool, type(None)}
_MOST = 10_000


def _row_of(row: Callable[[T], R | None], entry: T, table: Callable[[list[R]], object]) -> R | None:
    """Return the row of an entry where it is plain and fits a table."""
    found = row(entry)
    if found is not None:
        check_plain(found)
        table([found])
    return found


def _tried(call: Callable[[], R]) -> tuple[R | None, str]:
    """Return what foreign code gives, and what is wrong with it where it fails in any way."""
    try:
        return call(), ""
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  foreign code may raise anything; the other entries must stay usable
        return None, _in_words(error)


def _in_words(error: BaseException) -> str:
    """Return kind and text of an error, whose own methods may fail."""
    try:
        text = " ".join(str(error)[:600].split())
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001  as above
        text = "(its text cannot be read)"
    ours = type(error) in {InputError, InputTypeError, MissingKeyError}
    return text if ours else f"{type.__getattribute__(type(error), '__name__')}: {text}"
