"""Figures of the report, as data URIs: drawn without pyplot, so nothing is left open and no display is needed."""

import base64
import io
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd

from stfmkit.bm.marks import SIGN
from stfmkit.bm.report.formatting import listing, number, plural
from stfmkit.bm.report.view_models import TaskView
from stfmkit.evaluation.contender_labels import CONTROL
from stfmkit.pl._benchmark import benchmark
from stfmkit.pl._critical_difference import critical_difference
from stfmkit.pl._style import style
from stfmkit.pl._tissue_maps import tissue_maps

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_SAMPLES, MOST_CONTENDERS = 6, 8
_DPI, _COLOURS = 120, 256


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An image for the report; `alt` says in words what it shows, `note` what it leaves out."""

    uri: str
    alt: str
    width: int
    note: str = ""


def dot_plot(results: Any, task: TaskView) -> Picture:
    """Draw one point per patient and contender on the primary metric of a task."""
    with _canvas() as figure:
        figure.set_size_inches(8.4, 0.9 + 0.3 * max(len(task.rows), 3))
        key = task.primary.key
        benchmark(
            results,
            task=task.name,
            metric=key.metric,
            setting=key.setting,
            scope=key.scope,
            intervals=task.ranks,
            ax=figure.subplots(),
        )
        axes = figure.axes[0]
        axes.set_title("", loc="left")
        axes.set_xlabel(f"{task.primary.title} ({task.primary.direction})")
        uri = _svg(figure)
    means = [f"{row.contender} {number(row.mean)}" for row in task.ranks.itertuples()]
    shown = listing(task.contenders, most=12)
    alt = f"Dot plot of {task.primary.title} by patient for {shown}. Means: {', '.join(means)}."
    return Picture(uri=uri, alt=alt, width=806)


def mean_rank_plot(ranks: pd.DataFrame, suspect: Collection[str] = ()) -> Picture:
    """Draw mean ranks over tasks, with bars that join contenders that were not told apart, and a sign at suspects."""
    names = [f"{name} {SIGN}" if name in suspect else name for name in ranks["contender"]]
    with _canvas() as figure:
        figure.set_size_inches(6, 1.2 + 0.28 * len(ranks))
        critical_difference(ranks.assign(contender=names), ax=figure.subplots())
        figure.axes[0].set_title("", loc="left")
        uri = _svg(figure)
    means = [f"{row.contender} {number(row.mean_rank)}" for row in ranks.itertuples()]
    alt = f"Critical difference diagram. Mean ranks: {', '.join(means)}. The verdicts are in the table below."
    return Picture(uri=uri, alt=alt, width=576)


def map_grid(observations: pd.DataFrame, task: TaskView) -> Picture | None:
    """Draw where each contender is right and wrong, for some samples and contenders; None without data."""
    mine = observations.loc[observations["task"] == task.name] if len(observations) else observations
    if not len(mine):
        return None
    here = set(mine["contender"].astype(str))
    known = [m for m in task.contenders if m in here] or sorted(here)
    known += sorted(m for m in here if not m.startswith(CONTROL) and m not in known)
    contenders, samples, all_samples = known[:MOST_CONTENDERS], _spread(mine, MOST_SAMPLES), sorted(set(mine["sample"]))
    with _canvas() as figure:
        tissue_maps(mine, task=task.name, contenders=contenders, samples=samples, panel_size=1.45, ax=figure.subplots())
        width = round(96 * figure.get_figwidth())
        uri = _png(figure)
    alt = (
        f"Maps of {plural(len(samples), 'sample')} in columns and {plural(len(contenders), 'contender')} in rows "
        f"({listing(contenders, most=12)}): where each contender is right and wrong. The means are in the tables above."
    )
    return Picture(uri=uri, alt=alt, width=width, note=_left_out(known, contenders, all_samples, samples))


def _spread(observations: pd.DataFrame, most: int) -> list[str]:
    """Choose samples: the first of every patient, then the second, and so on."""
    pairs = observations[["patient", "sample"]].astype(str).drop_duplicates().sort_values(["patient", "sample"])
    pairs["turn"] = pairs.groupby("patient").cumcount()
    chosen = pairs.sort_values(["turn", "patient"], kind="stable").head(most)
    return list(chosen.sort_values(["patient", "sample"])["sample"])


def _left_out(
    known: Sequence[str], contenders: Sequence[str], all_samples: Sequence[str], samples: Sequence[str]
) -> str:
    parts = []
    if len(samples) < len(all_samples):
        rest = [s for s in all_samples if s not in set(samples)]
        parts.append(
            f"{len(samples)} of {plural(len(all_samples), 'sample')} are shown, patients in turn; "
            f"not shown: {listing(rest, most=24)}."
        )
    if len(contenders) < len(known):
        parts.append(
            f"The first {len(contenders)} of {plural(len(known), 'contender')} are shown; "
            f"not shown: {listing(known[len(contenders) :], most=24)}."
        )
    return " ".join(parts)


def drawn(draw: Callable[["Figure"], None], alt: str) -> Picture:
    """Return what a task draws, with the sentence that says what is shown."""
    with _canvas() as figure:
        draw(figure)
        width = round(96 * figure.get_figwidth())
        uri = _svg(figure)
    return Picture(uri=uri, alt=alt, width=width)


@contextmanager
def _canvas() -> Iterator["Figure"]:
    """Give a figure that pyplot does not know, in our style whatever the caller's ``rcParams`` are.

    Letters that the font lacks are drawn as boxes, without a warning; the tables hold every name in full.
    """
    from matplotlib.figure import Figure

    with warnings.catch_warnings(), mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"svg.hashsalt": "stfmkit", "svg.fonttype": "path"})
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from", category=UserWarning)
        with style():
            yield Figure(layout="constrained")


def _svg(figure: "Figure") -> str:
    out = io.BytesIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return _uri(out.getvalue(), "image/svg+xml")


def _png(figure: "Figure") -> str:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure.set_dpi(_DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    out = io.BytesIO()
    picture.quantize(_COLOURS, dither=Image.Dither.NONE).save(out, format="PNG", optimize=True)
    return _uri(out.getvalue(), "image/png")


def _uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
