"""One look for all plots: a colour-blind-safe palette, calm axes, names that cannot break a label."""

import unicodedata
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import matplotlib as mpl
import numpy as np

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
"""Okabe and Ito (2008), https://jfly.uni-koeln.de/color."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""Shapes beside the colours, so that colour never carries a meaning alone."""

INK, GREY, PALE = "#1a1a1a", "#767676", "#d9d9d9"
RIGHT, WRONG = "#c9d6df", "#D55E00"

_LONGEST = 34
_STYLE: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "font.size": 9,
    "font.family": "sans-serif",
    "legend.frameon": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
}


def style() -> AbstractContextManager[None]:
    """Return the context in which a plot is drawn; the caller's ``rcParams`` come back afterwards."""
    return mpl.rc_context(_STYLE)


def plain(name: object, *, longest: int = _LONGEST) -> str:
    """Write a name for a label: no control characters, no mathtext, the middle left out beyond `longest`.

    Examples
    --------
    >>> plain("T cell")
    'T cell'
    >>> plain("x" * 9, longest=5)
    'xxx…x'
    """
    text = "".join(" " if unicodedata.category(c).startswith("C") else c for c in str(name)).strip()
    if len(text) > longest:
        tail = (longest - 1) // 3  # names differ at their ends as often as at their beginnings
        text = f"{text[: longest - 1 - tail]}…{text[len(text) - tail :]}"
    return text.replace("$", r"\$") or " "


def colours(names: Sequence[object], *, but: str = "") -> dict[object, str]:
    """Give every name a colour other than `but`: Okabe–Ito as far as it goes, evenly spaced hues beyond."""
    free = [c for c in PALETTE if c != but]
    if len(names) <= len(free):
        return dict(zip(names, free, strict=False))
    wheel = mpl.colormaps["turbo"](np.linspace(0.03, 0.97, len(names)))
    return {name: mpl.colors.to_hex(c) for name, c in zip(names, wheel, strict=True)}


def point_size(n: int, *, width: float, height: float, spread: tuple[float, float]) -> float:
    """Return the area (points²) of markers that just touch when `n` of them fill a panel of `width` × `height` inches.

    `spread` is the extent of the data along x and y; the panel keeps its aspect.
    """
    dx, dy = max(spread[0], 1e-12), max(spread[1], 1e-12)
    inches = min(width / dx, height / dy)  # of one unit of the data
    side = 72 * inches * np.sqrt(dx * dy / max(n, 1))
    return float(np.clip(side, 1.0, 12.0) ** 2)
