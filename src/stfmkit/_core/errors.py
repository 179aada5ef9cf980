"""Errors that say what was found, what is allowed, and the remedy; their text is fit for a terminal."""

from stfmkit._core.printable import printable


class StfmkitError(Exception):
    """Base of every error that a user can repair.

    Parameters
    ----------
    found
        What the data or the arguments hold.
    allowed
        What would be accepted.
    remedy
        The line or the step that repairs it.
    """

    def __init__(self, found: str, *, allowed: str, remedy: str) -> None:
        self.found, self.allowed, self.remedy = found, allowed, remedy
        super().__init__(found, allowed, remedy)

    def __str__(self) -> str:
        return printable(f"Found: {self.found}\nAllowed: {self.allowed}\nRemedy: {self.remedy}")

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.found, self.allowed, self.remedy)


def _rebuild(kind: type[StfmkitError], found: str, allowed: str, remedy: str) -> StfmkitError:
    return kind(found, allowed=allowed, remedy=remedy)


class InputError(StfmkitError, ValueError):
    """A value that cannot be used."""


class MissingKeyError(StfmkitError, KeyError):
    """A slot, column or name that is not there."""


class MissingFileError(StfmkitError, FileNotFoundError):
    """A file or folder that is not there."""


class InputTypeError(StfmkitError, TypeError):
    """An object of a type that cannot be used."""


class UnitsError(InputError):
    """A distance in µm was asked for, but the unit of the coordinates is unknown."""


class LeakError(InputError):
    """Something would be fitted on, or read from, held-out data."""


class StfmkitWarning(UserWarning):
    """Something a careful reader of the result must know."""

    def __init__(self, *told: object) -> None:
        super().__init__(*(printable(part) if isinstance(part, str) else part for part in told))
