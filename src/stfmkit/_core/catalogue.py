"""One list of named entries: those that come with the package, those of plug-ins, and those that the user registers."""

import re
import warnings
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from stfmkit._core.arguments import check_known, listed
from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError, StfmkitWarning

T = TypeVar("T")

NAME = re.compile(r"[a-z0-9][a-z0-9_-]*(\.[a-z0-9][a-z0-9._-]*)?")
"""Names of entries: lower case with - or _, and a tag after a dot."""


class Catalogue(Generic[T]):
    """Entries by name; plug-ins are read on first use.

    Models, methods and tasks each have one. An entry point holds an entry, or several in a list or tuple.

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
    """

    def __init__(
        self,
        *,
        what: str,
        group: str,
        built_in: Callable[[], Iterable[T]],
        name_of: Callable[[T], str],
        check: Callable[[T], None],
    ) -> None:
        self.what, self.group = what, group
        self._built_in, self._name_of, self._check = built_in, name_of, check
        self._entries: dict[str, T] | None = None

    def entries(self) -> dict[str, T]:
        """Return all entries by name, in the order of registration."""
        return dict(self._loaded())

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

    def remove(self, name: str) -> None:
        """Take an entry out for this session."""
        check_known(name, self._loaded(), what=self.what, remedy=f"list all {self.what}s to see their names.")
        del self._loaded()[name]

    def _loaded(self) -> dict[str, T]:
        if self._entries is None:
            self._entries = {self._name_of(entry): entry for entry in self._built_in()}
            for point in entry_points(group=self.group):
                problem = self._read_plugin(point)
                if problem:
                    warnings.warn(
                        f"The {self.what} plug-in {point.name!r} ({point.value}) is left out: {problem}",
                        StfmkitWarning,
                        stacklevel=4,
                    )
        return self._entries

    def _read_plugin(self, point: EntryPoint) -> str:
        """Add the entries of a plug-in; return what is wrong with it, or nothing."""
        known = self._entries if self._entries is not None else {}
        try:
            loaded = point.load()
        except Exception as error:  # noqa: BLE001  foreign code may raise anything; the other entries must stay usable
            return f"{type(error).__name__}: {error}"
        found = list(loaded) if isinstance(loaded, (list, tuple)) else [loaded]
        try:
            for entry in found:
                self._check(entry)
        except (InputError, InputTypeError) as error:
            return str(error)
        taken = [self._name_of(entry) for entry in found if self._name_of(entry) in known]
        if taken:
            return f"the names {listed(taken)} are taken."
        known.update({self._name_of(entry): entry for entry in found})
        return ""
