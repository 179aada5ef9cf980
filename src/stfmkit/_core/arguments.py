"""Checks of arguments: found / allowed / remedy, before long work starts."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from math import isfinite
from operator import index

from stfmkit._core.errors import InputError, InputTypeError, MissingKeyError


def listed(values: Iterable[object], *, most: int = 12) -> str:
    """Write values for an error text, cut after `most`."""
    items = [repr(v) for v in values]
    shown = ", ".join(items[:most]) or "nothing"
    return shown if len(items) <= most else f"{shown}, … ({len(items)} in all)"


def nearest(name: str, known: Collection[str]) -> str:
    """Return " Did you mean …?" for the known names closest to `name`, or nothing."""
    lowered = {k.casefold(): k for k in known}
    hits = get_close_matches(str(name).casefold(), list(lowered), n=2, cutoff=0.6)
    return f" Did you mean {' or '.join(repr(lowered[h]) for h in hits)}?" if hits else ""


def check_choice(value: object, allowed: Collection[str], *, name: str) -> None:
    """Refuse a value that is not among the allowed ones."""
    if value not in allowed:
        hint = nearest(value, allowed) if isinstance(value, str) else ""
        raise InputError(f"{name}={value!r}.", allowed=listed(allowed), remedy=f"pass one of these.{hint}")


def check_known(name: str, known: Collection[str], *, what: str, remedy: str) -> None:
    """Refuse a name that is not known, and suggest the nearest."""
    if name not in known:
        raise MissingKeyError(
            f"no {what} named {name!r}.",
            allowed=listed(sorted(known)),
            remedy=f"{remedy}{nearest(name, known)}",
        )


def check_ids(given: object, known: Collection[str], *, name: str, remedy: str) -> list[str]:
    """Return ids as text, one or several, of which every one is known; a guard of ids that do not exist guards nothing.

    Ids are compared as text, whatever type they have here and in the table: 1 is "1", and 1.0 is not.

    Raises
    ------
    MissingKeyError
        An id is not known; the nearest is suggested.
    """
    several = isinstance(given, Iterable) and not isinstance(given, (str, bytes))
    ids: list[object] = list(given) if several else [given]  # type: ignore[call-overload]
    unknown = [one for one in ids if str(one) not in known]
    if unknown:
        raise MissingKeyError(
            f"{name} with {listed(unknown)}, which are not in the data.",
            allowed=listed(sorted(known)),
            remedy=f"{remedy}{_meant(unknown[0], known)}",
        )
    return list(map(str, ids))


def _meant(value: object, known: Collection[str]) -> str:
    """Return " Did you mean …?" for ids that are the same number, or close text; or nothing."""
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    number = _number(text)
    same = [one for one in sorted(known) if number is not None and _number(one) == number]
    return f" Did you mean {same[0]!r}?" if same else nearest(text, known)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def check_positive(value: float, *, name: str) -> None:
    """Refuse a number that is not finite and above zero."""
    _check_number(value, name=name)
    if not (isfinite(value) and value > 0):
        raise InputError(f"{name}={value!r}.", allowed="a finite number above 0", remedy=f"pass a positive {name}.")


def check_fraction(value: float, *, name: str) -> None:
    """Refuse a number outside [0, 1]."""
    _check_number(value, name=name)
    if not 0 <= value <= 1:
        raise InputError(f"{name}={value!r}.", allowed="a number in [0, 1]", remedy=f"pass a fraction for {name}.")


def check_integer(value: int, *, name: str, least: int) -> None:
    """Refuse a number that is not an integer of at least `least`; 2.0 is none, because no array has 2.0 rows."""
    _check_number(value, name=name)
    try:
        index(value)
    except TypeError:
        whole = isfinite(value) and float(value).is_integer()
        raise InputError(
            f"{name}={value!r}.",
            allowed=f"an integer ≥ {least}",
            remedy=f"pass {name}={int(value)}." if whole else f"pass a whole number for {name}.",
        ) from None
    if value < least:
        raise InputError(
            f"{name}={value!r}.",
            allowed=f"an integer ≥ {least}",
            remedy=f"pass a larger whole number for {name}.",
        )


def check_key(key: object, *, name: str = "key_added") -> str:
    """Return the key of a slot that is to be written: text that h5ad and zarr can store."""
    if not isinstance(key, str):
        raise InputTypeError(f"{name}={key!r}.", allowed="text", remedy=f"pass text for {name}.")
    if not key or "/" in key:
        raise InputError(f"{name}={key!r}.", allowed="text without '/', not empty", remedy=f"pass another {name}.")
    return key


def _check_number(value: object, *, name: str) -> None:
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise InputTypeError(f"{name}={value!r}.", allowed="a number", remedy=f"pass a number for {name}.")
