"""Every limit on what a foreign file may declare, in one place: sizes, nesting, sharing, compression and counts.

A small file can ask for more memory or time than any machine has. What it declares is compared with these limits before
it is made. Each is far above what published files hold, and the environment raises it where a file is trusted:
``STFMKIT_MOST_TABLE_BYTES=8e9`` for the limit ``table_bytes``.
"""

import os
import reprlib
from typing import Literal, TypeAlias, get_args

from stfmkit._core.errors import InputError

LimitName: TypeAlias = Literal[
    "table_bytes",
    "pickle_growth",
    "pickle_index",
    "pickle_tuple",
    "unpacked_bytes",
    "unpacked_growth",
    "header_bytes",
    "tensors",
    "modules",
    "storage_bytes",
    "network_layers",
    "network_values",
    "request_bytes",
    "request_levels",
    "array_bytes",
    "array_growth",
]
"""The name of a limit."""

_MOST: dict[LimitName, int] = {
    "table_bytes": 2_000_000_000,  # a dictionary, a list or a page of settings; vectors of proteins are the largest
    "pickle_growth": 16,  # bytes made of one byte of a dictionary by what it names
    "pickle_index": 1,  # number under which a value is remembered, for one byte of the dictionary
    "pickle_tuple": 1_000,  # values in a tuple of tuples
    "unpacked_bytes": 64_000_000_000,  # what the members of a zip file are together
    "unpacked_growth": 20,  # bytes unpacked of one byte of a zip file; weights hardly shrink
    "header_bytes": 20_000_000,  # what safetensors say of their tensors
    "tensors": 100_000,  # tensors of one checkpoint
    "modules": 20_000,  # parts of one saved network
    "storage_bytes": 1,  # bytes of a tensor, for one byte of what the file stores for it
    "network_layers": 1_000,  # layers of a network
    "network_values": 20_000_000_000,  # weights of a network, by its settings
    "request_bytes": 16_000_000,  # a page of choices, with a list of genes at most
    "request_levels": 50,  # lists within lists of a request
    "array_bytes": 64_000_000_000,  # what one array of a table on disk declares
    "array_growth": 2_000,  # bytes of arrays declared for one byte of a table on disk; zeros shrink by 1,000
}
_PREFIX = "STFMKIT_MOST_"


def most(name: LimitName) -> int:
    """Return a limit: what the environment says, or the value of this file.

    Raises
    ------
    InputError
        The environment holds something else than a number.
    """
    stated = os.environ.get(_PREFIX + name.upper())
    if stated is None:
        return _MOST[name]
    try:
        return int(float(stated))
    except (ValueError, OverflowError):
        raise InputError(
            f"{_PREFIX}{name.upper()}={short(stated)} in the environment.",
            allowed="a number such as 1000000 or 8e9",
            remedy=f"set a number, or nothing for {_MOST[name]:,}.",
        ) from None


def check_limit(name: LimitName, found: int, *, what: str, times: int = 1) -> None:
    """Refuse what a file declares where it is above a limit.

    Parameters
    ----------
    name
        The limit.
    found
        What the file declares, or needs.
    what
        The file and what it declares, for the error: "vocab.pkl with 10 layers".
    times
        What the limit is counted for, such as the bytes of the file.

    Raises
    ------
    InputError
        It is above the limit; the error names the limit and how it is raised.
    """
    if found > most(name) * times:
        each = f" for each of {times:,}" if times != 1 else ""
        raise InputError(
            f"{what}.",
            allowed=f"at most {most(name):,}{each} (the limit {name!r})",
            remedy="get the file again from its published place; where it is trusted, raise the limit with the "
            f"environment variable {_PREFIX}{name.upper()}.",
        )


def short(value: object) -> str:
    """Return a value of a foreign file as text for an error, however large, deep or shared it is."""
    shown = reprlib.Repr()
    shown.maxlevel, shown.maxstring, shown.maxother = 2, 80, 80
    shown.maxdict = shown.maxlist = shown.maxtuple = shown.maxset = shown.maxfrozenset = 3
    try:
        return shown.repr(value)
    except (ValueError, TypeError, RecursionError):  # a number of a million digits
        return f"<{type(value).__name__}>"


def names() -> tuple[LimitName, ...]:
    """Return the name of every limit."""
    return get_args(LimitName)
