"""Scores of contenders, patient by patient."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from stfmkit._core.arguments import check_known, listed
from stfmkit._core.errors import InputError
from stfmkit.evaluation.contender_labels import CONTROL, JOINT
from stfmkit.evaluation.metric_keys import MetricKey, facts_of, find_key, keys_of, patient_values
from stfmkit.pl._finish import check_save, finish, new_axes
from stfmkit.pl._style import GREY, INK, MARKERS, PALE, PALETTE, plain, style
from stfmkit.pl._tables import require_columns, with_keys

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from stfmkit.pl._finish import Save

_COLUMNS = ("task", "metric", "contender", "patient", "sample", "value")


def benchmark(
    results: Any,
    *,
    task: str,
    metric: str | None = None,
    setting: str = "",
    scope: str = "",
    intervals: pd.DataFrame | None = None,
    ax: "Axes | None" = None,
    show: bool = False,
    save: "Save" = None,
) -> "Axes":
    """Plot one point per contender and patient, with the mean and its interval.

    Contenders are sorted, the best on top; controls stand below a line, in grey, without those that only check the
    metrics. A patient keeps its shape and colour in all rows.

    Parameters
    ----------
    results
        :class:`stfmkit.bm.Results`, or its long table (columns task, metric, contender, patient, sample, value, and
        setting, scope and status of the metric).
    task
        Task to show.
    metric
        Metric to show; by default the primary one of the task.
    setting, scope
        Of the metric, such as "probe=knn"; by default those of the primary one, where the metric has them.
    intervals
        Table with the columns contender, mean, low, high (as ``Results.rank()`` returns it); by default asked
        from `results`. A bare table is drawn without intervals.
    ax
        Axes to draw on, None for a new figure.
    show
        Show the figure.
    save
        Path of an image file to write, None for none; the ending names the format.

    Returns
    -------
    The Axes. The id of the protocol stands in the lower right corner where it is known.

    Raises
    ------
    MissingKeyError
        The task, the metric, or a column is not there.
    InputError
        The metric is not determined, or the table mixes protocols.

    Examples
    --------
    >>> import pandas as pd
    >>> import stfmkit as sk
    >>> columns = ["task", "metric", "contender", "patient", "sample", "value"]
    >>> rows = [("niche_probe", "macro_f1", c, f"P{p}", f"S{p}", 0.1 * p) for c in "ab" for p in range(3)]
    >>> ax = sk.pl.benchmark(pd.DataFrame(rows, columns=columns), task="niche_probe")
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['a', 'b']
    """
    check_save(save)
    table = with_keys(require_columns(getattr(results, "table", results), _COLUMNS, what="a benchmark table"))
    protocol = _protocol(table)
    meta = getattr(results, "meta", {})
    check_known(task, sorted(set(table["task"].astype(str))), what="task", remedy="pass one of these.")
    key = _key(table, task, MetricKey(metric or "", setting, scope), meta)
    about: Mapping[str, Any] = facts_of(meta.get("metrics", ()), key) or {}
    values = patient_values(table, task, key)
    degraded = meta.get("tasks", {}).get(task, {}).get("degraded") or CONTROL
    values = values[[name != degraded and not name.startswith(degraded + JOINT) for name in values.index]]
    if intervals is None and not isinstance(results, pd.DataFrame) and hasattr(results, "rank"):
        intervals = results.rank(task=task, metric=key.metric, setting=key.setting, scope=key.scope)
    order = _order(values, lowest_first=about.get("higher_is_better", True) is False)
    with style():
        ax = new_axes(ax, width=7, height=0.9 + 0.34 * max(len(order), 2))
        _draw_rows(ax, values.loc[order])
        _draw_means(ax, order, _means(values.loc[order], intervals))
        _finish(ax, order, about, metric=key.metric, task=task)
        _stamp(ax, protocol)
        finish(ax.figure, show=show, save=save)
    return ax


def _protocol(table: pd.DataFrame) -> str:
    ids = sorted(set(table["protocol_id"].astype(str))) if "protocol_id" in table.columns else []
    if len(ids) > 1:
        raise InputError(
            f"scores of {len(ids)} protocols: {listed(ids, most=4)}.",
            allowed="scores of one protocol; others do not compare",
            remedy="select the rows of one protocol_id.",
        )
    return "".join(ids)


def _key(table: pd.DataFrame, task: str, like: MetricKey, meta: Mapping[str, Any]) -> MetricKey:
    """Return the metric that is meant; without a name the primary one, or the only one of the table."""
    primary = meta.get("tasks", {}).get(task, {}).get("primary")
    if not like.metric and primary is None:
        names = sorted({key.metric for key in keys_of(table[table["task"] == task])})
        if len(names) > 1:
            raise InputError(
                f"task {task!r} with the metrics {listed(names)}.",
                allowed="one metric on one plot",
                remedy="pass metric=, or the Results object, which knows the primary one.",
            )
        like = like._replace(metric=names[0])
    first = MetricKey(like.metric) if primary is None else MetricKey(**primary)
    return find_key(table, task, like if like.metric else first, first)


def _order(values: pd.DataFrame, *, lowest_first: bool) -> list[str]:
    means = values.mean(axis=1).sort_values(ascending=lowest_first, kind="stable")
    names = list(map(str, means.index))
    return [n for n in names if not n.startswith(CONTROL)] + [n for n in names if n.startswith(CONTROL)]


def _means(values: pd.DataFrame, intervals: pd.DataFrame | None) -> np.ndarray:
    """Return mean, low, high of every row of `values`; from `intervals` where they are known."""
    out = np.full((len(values), 3), np.nan)
    out[:, 0] = values.mean(axis=1)
    if intervals is not None:
        columns = ["mean", "low", "high"]
        frame = require_columns(intervals, ("contender", *columns), what="a table of intervals")
        known = frame.set_index(frame["contender"].astype(str))[columns].astype(float).reindex(values.index).to_numpy()
        out = np.where(np.isnan(known), out, known)
    return out


def _draw_rows(ax: "Axes", values: pd.DataFrame) -> None:
    patients = list(values.columns)
    shift = np.linspace(-0.24, 0.24, len(patients)) if len(patients) > 1 else np.zeros(1)
    told_apart = len(patients) <= len(MARKERS)
    grey = np.array([str(n).startswith(CONTROL) for n in values.index])
    rows = np.arange(len(values), dtype=float)
    for i, patient in enumerate(patients):
        here = values[patient].notna().to_numpy()
        colour = PALETTE[i] if told_apart else PALETTE[0]
        shape = MARKERS[i] if told_apart else "o"
        for some, paint in ((here & ~grey, colour), (here & grey, GREY)):
            ax.scatter(
                values[patient].to_numpy()[some],
                rows[some] + shift[i],
                s=24,
                c=paint,
                marker=shape,
                alpha=0.9 if told_apart else 0.5,
                linewidths=0.4,
                edgecolors="white",
                zorder=5,
                label="_",
            )
    if told_apart:
        marks = [
            ax.scatter([], [], s=22, c=PALETTE[i], marker=MARKERS[i], linewidths=0, label=plain(p, longest=18) + " ")
            for i, p in enumerate(patients)
        ]
        names = [" " + plain(p, longest=18) for p in patients]
        ax.legend(
            marks,
            names,
            title="patient",
            loc="upper left",
            bbox_to_anchor=(1.01, 1.0),
            borderaxespad=0,
            handletextpad=0.1,
        )


def _draw_means(ax: "Axes", order: list[str], means: np.ndarray) -> None:
    for row, (name, (mean, low, high)) in enumerate(zip(order, means, strict=True)):
        colour = GREY if name.startswith(CONTROL) else INK
        if np.isfinite(low) and np.isfinite(high):
            ax.plot([low, high], [row, row], color=colour, linewidth=1.6, solid_capstyle="butt", zorder=2)
        ax.plot([mean, mean], [row - 0.34, row + 0.34], color=colour, linewidth=2.2, zorder=4)


def _finish(ax: "Axes", order: list[str], about: Mapping[str, Any], *, metric: str, task: str) -> None:
    from matplotlib.lines import Line2D

    ax.set_yticks(range(len(order)), [plain(n) for n in order])
    n_contenders = sum(not n.startswith(CONTROL) for n in order)
    for label, name in zip(ax.get_yticklabels(), order, strict=True):
        label.set_color(GREY if name.startswith(CONTROL) else INK)
    if 0 < n_contenders < len(order):
        ax.axhline(n_contenders - 0.5, color=PALE, linewidth=1)
    ax.set_ylim(len(order) - 0.4, -0.6)
    chance = about.get("chance")
    if isinstance(chance, int | float) and np.isfinite(chance):
        ax.add_line(Line2D([chance, chance], [0, 1], transform=ax.get_xaxis_transform(), color=GREY, ls=":", zorder=1))
        ax.annotate(
            "chance",
            (chance, 1),
            xycoords=ax.get_xaxis_transform(),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=8,
            color=GREY,
        )
        ax.update_datalim([(float(chance), 0.0)], updatey=False)
        ax.autoscale_view(scaley=False)
    directions: dict[Any, str] = {True: " (higher is better)", False: " (lower is better)"}
    better = directions.get(about.get("higher_is_better"), "")
    ax.set_xlabel(f"{plain(about.get('title') or metric, longest=60)}{better}")
    ax.set_title(plain(task), loc="left")
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color=PALE, linewidth=0.6)
    ax.set_axisbelow(True)


def _stamp(ax: "Axes", protocol_id: str) -> None:
    if protocol_id:
        ax.annotate(
            f"protocol {protocol_id}",
            (1, 0),
            xycoords="axes fraction",
            xytext=(4, 0),
            textcoords="offset points",
            ha="left",
            va="bottom",
            fontsize=7,
            color=GREY,
            annotation_clip=False,
        )
