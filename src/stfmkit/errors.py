"""The errors and warnings that stfmkit raises; each error says what was found, what is allowed, and the remedy."""

from stfmkit._core.errors import (
    InputError,
    InputTypeError,
    LeakError,
    MissingFileError,
    MissingKeyError,
    StfmkitError,
    StfmkitWarning,
    UnitsError,
)

__all__ = [
    "InputError",
    "InputTypeError",
    "LeakError",
    "MissingFileError",
    "MissingKeyError",
    "StfmkitError",
    "StfmkitWarning",
    "UnitsError",
]
