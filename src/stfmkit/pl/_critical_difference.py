"""Contenders on an axis of mean ranks."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from stfmkit._core.errors import InputError
from stfmkit.pl._finish import check_save, finish, new_axes
from stfmkit.pl._style import GREY, INK, PALE, PALETTE, plain, style
from stfmkit.pl._tables import require_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from stfmkit.pl._finish import Save

_COLUMNS = ("contender", "mean_rank", "critical_difference", "n_patients", "n_tasks")
_STEP, _ROUNDING = 0.5, 1e-9


def critical_difference(results: Any, *, ax: "Axes | None" = None, show: bool = False, save: "Save" = None) -> "Axes":
    """Plot the mean rank of every contender over all tasks; bars join those that were not told apart.

    The picture is that of Demšar 2006 (J Mach Learn Res 7:1), the test that of `Results.rank_over_tasks`: whole
    patients are flipped, with all their tasks, step by step. The bar on top is the limit of the last step: it tells who
    was told apart here, and is smaller than the critical difference of a test in one step.

    Parameters
    ----------
    results
        :class:`stfmkit.bm.Results`, or the table that its `rank_over_tasks` returns.
    ax
        Axes to draw on, None for a new figure.
    show
        Show the figure.
    save
        Path of an image file to write, None for none; the ending names the format.

    Returns
    -------
    The Axes. The best contender stands on the left. Without a critical difference (below six patients) no bar is drawn.

    Raises
    ------
    MissingKeyError
        A column is not there.
    InputError
        Less than two contenders or tasks can be compared.

    Examples
    --------
    >>> import pandas as pd
    >>> import stfmkit as sk
    >>> columns = ["contender", "mean_rank", "critical_difference", "n_patients", "n_tasks"]
    >>> ax = sk.pl.critical_difference(pd.DataFrame([("a", 1.2, 0.9, 8, 3), ("b", 1.8, 0.9, 8, 3)], columns=columns))
    >>> [text.get_text() for text in ax.texts][-2:]
    ['a  1.20', '1.80  b']
    """
    check_save(save)
    asked = results.rank_over_tasks() if hasattr(results, "rank_over_tasks") else results
    table = require_columns(asked, _COLUMNS, what="a table of mean ranks")
    if len(table) < 2:
        raise InputError(
            f"{len(table)} contenders that take part in all of the tasks that are compared.",
            allowed="two or more, with two or more tasks",
            remedy="compare more contenders or tasks in one sk.bm.run.",
        )
    table = table.sort_values(["mean_rank", "contender"], kind="stable", ignore_index=True)
    ranks, limit = table["mean_rank"].to_numpy(float), float(table["critical_difference"].iloc[0])
    groups = _level(ranks, limit)
    half = (len(ranks) + 1) // 2
    low, high = (int(np.floor(ranks.min())), int(np.ceil(ranks.max())))
    high = max(high, low + 1)
    depth = _STEP * (len(groups) + 1)
    with style():
        ax = new_axes(ax, width=7, height=0.9 + 0.3 * (half + 0.6 * len(groups)))
        _draw_axis(ax, low, high, limit)
        _draw_names(ax, [plain(name) for name in table["contender"]], ranks, depth=depth, ends=(low, high))
        for i, (start, end) in enumerate(groups):
            y = -_STEP * (i + 1)
            pad = 0.012 * (high - low)
            ax.plot([ranks[start] - pad, ranks[end] + pad], [y, y], color=PALETTE[0], linewidth=4, zorder=4)
        ax.set_ylim(-depth - 0.75 * half - 0.2, 2.2)
        ax.set_title(_title(table), loc="left")
        finish(ax.figure, show=show, save=save)
    return ax


def _level(ranks: np.ndarray, limit: float) -> list[tuple[int, int]]:
    """Return first and last place of every longest run of contenders that were not told apart."""
    if not np.isfinite(limit):
        return []
    ends = [int(np.flatnonzero(ranks <= rank + limit + _ROUNDING)[-1]) for rank in ranks]
    return [(i, end) for i, end in enumerate(ends) if end > i and (i == 0 or end > ends[i - 1])]


def _draw_axis(ax: "Axes", low: int, high: int, limit: float) -> None:
    ax.set_axis_off()
    ax.plot([low, high], [0, 0], color=INK, linewidth=1)
    for place in range(low, high + 1):
        ax.plot([place, place], [0, 0.18], color=INK, linewidth=1)
        ax.annotate(str(place), (place, 0.3), ha="center", va="bottom", fontsize=9)
    if np.isfinite(limit):
        ax.plot([low, low + limit], [1.5, 1.5], color=GREY, linewidth=1.5)
        for end in (low, low + limit):
            ax.plot([end, end], [1.38, 1.62], color=GREY, linewidth=1.5)
        ax.annotate(
            f"critical difference {limit:.2f}",
            (low + limit, 1.5),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=GREY,
        )


def _draw_names(ax: "Axes", names: list[str], ranks: np.ndarray, *, depth: float, ends: tuple[int, int]) -> None:
    """Hang the better half to the left and the others to the right, so that no line crosses another."""
    half, margin = (len(names) + 1) // 2, 0.04 * (ends[1] - ends[0])
    for i, (name, rank) in enumerate(zip(names, ranks, strict=True)):
        left = i < half
        y = -depth - 0.75 * (i if left else len(names) - 1 - i)
        x = ends[0] - margin if left else ends[1] + margin
        ax.plot([rank, rank, x], [0, y, y], color=PALE, linewidth=1.2, zorder=1, solid_joinstyle="miter")
        ax.plot([rank], [0], marker="o", markersize=5, color=INK, zorder=5)
        ax.annotate(
            f"{name}  {rank:.2f}" if left else f"{rank:.2f}  {name}",
            (x, y),
            xytext=(-4 if left else 4, 0),
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
            fontsize=9,
            annotation_clip=False,
        )


def _title(table: pd.DataFrame) -> str:
    n, tasks = int(table["n_patients"].iloc[0]), int(table["n_tasks"].iloc[0])
    said = f"Mean rank over {tasks} tasks and {n} patients (1 is the best)"
    return said if np.isfinite(table["critical_difference"].iloc[0]) else f"{said}; too few patients to tell apart"
