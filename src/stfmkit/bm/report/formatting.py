"""What the report writes into tables: numbers as text, shades, and rows that a template can walk."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup

DASH = "–"
MINUS = "−"
_LIGHT, _DARK = np.array([255, 255, 255]), np.array([122, 184, 224])


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell: the text, the value to sort by, and how it looks."""

    text: str
    value: float | str | None = None
    kind: str = ""
    shade: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Column:
    """The head of a column; `note` explains it on hover and to screen readers."""

    text: str
    numeric: bool = False
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A table: caption, heads, rows of cells (the first one heads the row)."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = field(default=())


def number(value: object, *, sign: bool = False) -> str:
    """Write a number with three decimals, fewer where it is large.

    Examples
    --------
    >>> number(0.73456), number(-0.5, sign=True), number(12345.6), number(0.00012), number(None)
    ('0.735', '−0.500', '12,346', '0.000', '–')
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return DASH
    x = float(value)
    if not np.isfinite(x):
        return DASH
    size = abs(x)
    if size >= 1000:
        text = f"{size:,.0f}"
    elif size >= 100 or (size >= 1 and size == round(size) and not isinstance(value, float | np.floating)):
        text = f"{size:.0f}"
    elif size >= 10:
        text = f"{size:.1f}"
    else:
        text = f"{size:.3f}"
    if not text.strip("0."):
        return text
    if x < 0:
        return MINUS + text
    return f"+{text}" if sign and x > 0 else text


def p_value(value: object) -> str:
    """Write a p-value.

    Examples
    --------
    >>> p_value(0.03125), p_value(1e-5), p_value(float("nan"))
    ('0.031', '< 0.001', '–')
    """
    if not isinstance(value, int | float | np.floating) or not np.isfinite(value):
        return DASH
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def seconds(value: object) -> str:
    """Write a duration.

    Examples
    --------
    >>> seconds(0.42), seconds(75.2), seconds(4000)
    ('0.42 s', '1 min 15 s', '1 h 7 min')
    """
    if not isinstance(value, int | float | np.number) or not np.isfinite(float(value)):
        return DASH
    x = float(value)
    if x < 60:
        return f"{x:.2f} s" if x < 10 else f"{x:.0f} s"
    minutes, rest = divmod(round(x), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(round(x / 60), 60)
    return f"{hours} h {minutes} min"


def listing(names: Iterable[object], *, joint: str = "and", most: int = 6) -> str:
    """Write names as a phrase.

    Examples
    --------
    >>> listing(["a", "b", "c"]), listing(["a"]), listing("abcdefgh", most=3)
    ('a, b and c', 'a', 'a, b, c and 5 more')
    """
    items = [str(n) for n in names]
    if len(items) > most:
        return f"{', '.join(items[:most])} {joint} {len(items) - most} more"
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {joint} {items[-1]}"


def plural(n: int, word: str) -> str:
    """Write a count with its noun.

    Examples
    --------
    >>> plural(1, "patient"), plural(1200, "gene")
    ('1 patient', '1,200 genes')
    """
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"


def name(text: object) -> Markup:
    """Return an escaped name that stands out."""
    return Markup("<b class=name>{}</b>").format(str(text))


def phrase(parts: Iterable[Markup | str], *, joint: str = "and") -> Markup:
    """Join parts as a list in a sentence; strings are escaped."""
    items = list(parts)
    if len(items) < 2:
        return Markup("").join(items)
    return Markup("{} {} {}").format(Markup(", ").join(items[:-1]), joint, items[-1])


def numeric(value: object, *, sign: bool = False, shade: str = "", kind: str = "") -> Cell:
    """Return the cell of a number."""
    text = number(value, sign=sign)
    return Cell(text=text, value=None if text == DASH else float(value), kind=f"num {kind}".strip(), shade=shade)  # type: ignore[arg-type]


def word(text: object, *, kind: str = "", note: str = "") -> Cell:
    """Return the cell of a name or a sentence."""
    return Cell(text=str(text), value=str(text), kind=kind, note=note)


def shade(value: float, *, low: float, high: float) -> str:
    """Return the background of a value between `low` (white) and `high` (light blue), dark text stays readable.

    Examples
    --------
    >>> shade(0.0, low=0, high=1), shade(1.0, low=0, high=1)
    ('#ffffff', '#7ab8e0')
    """
    if not (np.isfinite(value) and np.isfinite(low) and np.isfinite(high)):
        return ""
    share = float(np.clip((value - low) / (high - low), 0, 1)) if high > low else 0.5
    red, green, blue = np.rint(_LIGHT + share * (_DARK - _LIGHT)).astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"


def flatten(value: Mapping[str, Any], *, prefix: str = "") -> list[tuple[str, str]]:
    """Return a nested mapping as rows of dotted key and text.

    Examples
    --------
    >>> flatten({"split": {"name": "PatientKFold", "n": 5}, "layer": None})
    [('split.name', 'PatientKFold'), ('split.n', '5'), ('layer', 'none')]
    """
    rows: list[tuple[str, str]] = []
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, Mapping) and item:
            rows += flatten(item, prefix=f"{name}.")
        else:
            rows.append((name, _written(item)))
    return rows


def _written(item: object) -> str:
    if item is None:
        return "none"
    if isinstance(item, bool):
        return "yes" if item else "no"
    if isinstance(item, float):
        return f"{item:g}"
    if isinstance(item, list | tuple | set):
        return ", ".join(_written(i) for i in item) or "none"
    if isinstance(item, Mapping):
        return "none"
    return str(item)
