"""Maps of where each contender is right and wrong."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from stfmkit._core.arguments import check_known, check_positive, listed
from stfmkit._core.errors import InputError
from stfmkit.evaluation.contender_labels import CONTROL
from stfmkit.pl._finish import check_save, finish
from stfmkit.pl._style import INK, RIGHT, WRONG, colours, plain, point_size, style
from stfmkit.pl._tables import require_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    from stfmkit.pl._finish import Save

_COLUMNS = ("task", "contender", "patient", "sample", "x", "y", "truth", "predicted", "score")


def tissue_maps(
    results: Any,
    *,
    task: str | None = None,
    contenders: Sequence[str] | None = None,
    samples: Sequence[str] | None = None,
    panel_size: float = 1.7,
    ax: "Axes | None" = None,
    show: bool = False,
    save: "Save" = None,
) -> np.ndarray:
    """Draw, for every sample (column) and contender (row), where the contender is right and wrong.

    For a task with labels the first row shows the true labels, and the rows below colour every observation as right
    or wrong. For a task without labels the colour is the score of the observation, on one scale for all panels.

    Parameters
    ----------
    results
        :class:`stfmkit.bm.Results`, or its ``observations``: columns task, contender, patient, sample, x, y, truth,
        predicted, score.
    task
        Task to show; needed if there are several.
    contenders
        Contenders to show, in this order; by default all but the controls.
    samples
        Samples to show, in this order; by default all.
    panel_size
        Side of one map in inches.
    ax
        Axes to draw on, None for a new figure. The maps take its place; a figure that holds nothing else is resized
        to fit.
    show
        Show the figure.
    save
        Path of an image file to write, None for none; the ending names the format.

    Returns
    -------
    Array of Axes (n_rows, n_samples); y points down, as in images.

    Raises
    ------
    MissingKeyError
        A task, contender, sample or column is not there.
    InputError
        Nothing is left to draw, or the task is not determined.

    Examples
    --------
    >>> import pandas as pd
    >>> import stfmkit as sk
    >>> spots = pd.DataFrame(
    ...     {"task": "niche_probe", "contender": "hvg_pca", "patient": "P1", "sample": "S1"}, index=range(4)
    ... )
    >>> spots = spots.assign(x=[0, 1, 0, 1], y=[0, 0, 1, 1], truth=list("aabb"), predicted=list("abbb"))
    >>> axes = sk.pl.tissue_maps(spots.assign(score=[1.0, 0.0, 1.0, 1.0]))
    >>> axes.shape, axes[1, 0].get_title()
    ((2, 1), '75 % right')
    """
    frame = require_columns(getattr(results, "observations", results), _COLUMNS, what="observations")
    check_positive(panel_size, name="panel_size")
    check_save(save)
    plan = _select(frame, task, contenders, samples)
    labelled = bool((plan.frame["truth"].astype(str) != "").any())
    n_rows = len(plan.contenders) + labelled
    with style():
        width, height = panel_size * len(plan.samples) + 1.3, (panel_size + 0.22) * n_rows + 0.7
        figure = _figure_for(ax, width=width, height=height)
        axes: np.ndarray = figure.subplots(n_rows, len(plan.samples), squeeze=False)
        draw = _label_rows if labelled else _score_rows
        draw(figure, axes, plan, panel_size)
        _name_panels(axes, plan, [*(["truth"] if labelled else []), *plan.contenders])
        finish(figure, show=show, save=save)
    return axes


def _figure_for(ax: "Axes | None", *, width: float, height: float) -> "Figure | SubFigure":
    """Return a figure of this size in inches, or what takes the place of the axes of the caller."""
    if ax is None:
        import matplotlib.pyplot as plt

        return plt.figure(figsize=(width, height), layout="constrained")
    from matplotlib.figure import Figure

    figure = ax.figure
    if figure.axes == [ax] and isinstance(figure, Figure):
        ax.remove()
        figure.set_size_inches(width, height)
        return figure
    place = ax.get_subplotspec()
    if place is None:
        raise InputError(
            "ax= that is not one of the subplots of its figure.",
            allowed="axes made by plt.subplots or figure.subplots, or the only axes of a figure",
            remedy="make the axes with plt.subplots, or leave ax out.",
        )
    ax.remove()
    return figure.add_subfigure(place)


class _Plan(NamedTuple):
    """The rows to draw, and the order of the panels."""

    frame: pd.DataFrame
    contenders: list[str]
    samples: list[str]


def _select(
    frame: pd.DataFrame, task: str | None, contenders: Sequence[str] | None, samples: Sequence[str] | None
) -> _Plan:
    tasks = sorted(set(frame["task"].astype(str)))
    if not tasks:
        raise InputError("no observations.", allowed="at least one row", remedy="run a task that scores observations.")
    if task is None:
        if len(tasks) > 1:
            raise InputError(f"the tasks {listed(tasks)}.", allowed="one task on one figure", remedy="pass task=.")
        task = tasks[0]
    check_known(task, tasks, what="task", remedy="pass one of these.")
    frame = frame.loc[frame["task"] == task].astype({"contender": str, "sample": str, "patient": str})
    known = list(dict.fromkeys(frame["contender"]))
    contenders = [m for m in known if not m.startswith(CONTROL)] or known if contenders is None else list(contenders)
    present = sorted(set(frame["sample"]))
    samples = present if samples is None else list(samples)
    for name in contenders:
        check_known(name, known, what=f"contender in task {task!r}", remedy="pass some of these as contenders.")
    for name in samples:
        check_known(name, present, what=f"sample in task {task!r}", remedy="pass some of these as samples.")
    if not contenders or not samples:
        raise InputError("no contender or no sample.", allowed="at least one of each", remedy="leave the argument out.")
    return _Plan(frame.loc[frame["contender"].isin(contenders) & frame["sample"].isin(samples)], contenders, samples)


def _scatter(ax: "Axes", spots: pd.DataFrame, panel: float, **paint: Any) -> Any:
    ax.set_aspect("equal", anchor="N")
    ax.set_axis_off()
    spread = (float(np.ptp(spots["x"])), float(np.ptp(spots["y"]))) if len(spots) else (1.0, 1.0)
    size = point_size(len(spots), width=0.92 * panel, height=0.92 * panel, spread=spread)
    drawn = ax.scatter(spots["x"], spots["y"], s=size, linewidths=0, rasterized=True, **paint)
    if not ax.yaxis_inverted():
        ax.invert_yaxis()
    return drawn


def _label_rows(figure: "Figure | SubFigure", axes: np.ndarray, plan: _Plan, panel: float) -> None:
    from matplotlib.lines import Line2D

    frame, contenders, samples = plan
    paint = colours(sorted(set(frame["truth"].astype(str))), but=WRONG)
    for j, sample in enumerate(samples):
        spots = frame.loc[frame["sample"] == sample]
        once = spots.loc[
            spots["contender"] == next((m for m in contenders if m in set(spots["contender"])), contenders[0])
        ]
        _scatter(axes[0, j], once, panel, c=[paint[t] for t in once["truth"].astype(str)])
        for i, contender in enumerate(contenders, start=1):
            here = spots.loc[spots["contender"] == contender]
            right = here["score"].to_numpy() > 0.5
            _scatter(axes[i, j], here, panel, c=np.where(right, RIGHT, WRONG))
            title = f"{100 * right.mean():.0f} % right" if len(here) else "no score"
            axes[i, j].set_title(title, fontsize=8, pad=2)
    handles = [Line2D([], [], ls="", marker="o", color=c, markersize=6) for c in (*paint.values(), RIGHT, WRONG)]
    names = [*(" " + plain(t, longest=24) for t in paint), " right", " wrong"]
    columns = max(2, min(len(names), int((panel * len(samples) + 1.3) / 1.5)))
    figure.legend(handles, names, loc="outside lower center", ncols=columns, handletextpad=0.1, fontsize=8)


def _score_rows(figure: "Figure | SubFigure", axes: np.ndarray, plan: _Plan, panel: float) -> None:
    frame, contenders, samples = plan
    scores = frame["score"].to_numpy(dtype=float)
    scores = scores[np.isfinite(scores)]
    low, high = np.quantile(scores, (0.02, 0.98)) if len(scores) else (0.0, 1.0)
    drawn = None
    for j, sample in enumerate(samples):
        for i, contender in enumerate(contenders):
            here = frame.loc[(frame["sample"] == sample) & (frame["contender"] == contender)]
            drawn = _scatter(axes[i, j], here, panel, c=here["score"], vmin=low, vmax=high, cmap="viridis")
            title = f"mean {here['score'].mean():.2f}".replace("-", "−") if here["score"].notna().any() else "no score"
            axes[i, j].set_title(title, fontsize=8, pad=2)
    if drawn is not None:
        bar = figure.colorbar(drawn, ax=axes, shrink=min(1.0, 3 / len(contenders)), aspect=25, pad=0.01, extend="both")
        bar.set_label("score of the observation")
        bar.outline.set_visible(False)


def _name_panels(axes: np.ndarray, plan: _Plan, rows: list[str]) -> None:
    owner = dict(zip(plan.frame["sample"], plan.frame["patient"], strict=True))
    at = {"xycoords": "axes fraction", "textcoords": "offset points", "color": INK, "annotation_clip": False}
    for i, name in enumerate(rows):
        axes[i, 0].annotate(
            plain(name, longest=22), (0, 0.5), xytext=(-6, 0), rotation=90, ha="right", va="center", fontsize=9, **at
        )
    for j, sample in enumerate(plan.samples):
        names = dict.fromkeys([owner.get(sample, ""), sample])
        text = "\n".join(plain(n, longest=18) for n in names if n)
        lift = 16 if axes[0, j].get_title() else 4
        axes[0, j].annotate(text, (0.5, 1), xytext=(0, lift), ha="center", va="bottom", fontsize=9, **at)
