"""Genes by how widely they are detected and how spatial they are."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from stfmkit._core.arguments import check_integer, listed, nearest
from stfmkit._core.errors import MissingKeyError
from stfmkit._data.view import resolve_table
from stfmkit.pl._finish import check_save, finish, new_axes
from stfmkit.pl._style import GREY, INK, MARKERS, PALETTE, plain, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from stfmkit._data.view import Container
    from stfmkit.pl._finish import Save

_FLAGS = ("too_sparse", "too_flat", "depth_driven")
_TITLES = {
    "detect_frac": "share of observations with a count",
    "n_eff": "effective share of observations (Σx)²/(nΣx²)",
    "morans_i": "Moran's I of normalised expression",
    "morans_i_within_depth": "Moran's I within library size",
    "joincount_moran": "join-count Moran's I of detection",
    "mean_counts": "mean count",
    "fano": "variance / mean of counts",
    "overdispersion": "overdispersion against Poisson",
    "depth_r2": "R² of the gene on library size",
    "slide_r2": "R² of the gene on the slide",
    "reliability": "reliability under thinning ρ",
}


def gene_sparsity(
    data: "Container",
    *,
    x: str = "detect_frac",
    y: str = "morans_i",
    n_labels: int = 10,
    table_key: str | None = None,
    ax: "Axes | None" = None,
    show: bool = False,
    save: "Save" = None,
) -> "Axes":
    """Plot one point per gene from the statistics of :func:`stfmkit.pp.gene_sparsity`, flags in colour.

    Parameters
    ----------
    data
        AnnData or SpatialData with the statistics in ``var``; the flags ``too_sparse``, ``too_flat`` and
        ``depth_driven`` are shown if they are there.
    x, y
        Columns of ``var``.
    n_labels
        Number of genes with the highest `y` that are named on the plot.
    table_key
        Table of a SpatialData.
    ax
        Axes to draw on, None for a new figure.
    show
        Show the figure.
    save
        Path of an image file to write, None for none; the ending names the format.

    Returns
    -------
    The Axes.

    Raises
    ------
    MissingKeyError
        ``var`` has no such column.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from anndata import AnnData
    >>> import stfmkit as sk
    >>> var = pd.DataFrame({"detect_frac": [0.9, 0.2], "morans_i": [0.4, 0.1]}, index=["A", "B"])
    >>> ax = sk.pl.gene_sparsity(AnnData(np.ones((3, 2)), var=var), n_labels=1)
    >>> [text.get_text() for text in ax.texts]
    ['A']
    """
    check_integer(n_labels, name="n_labels", least=0)
    check_save(save)
    adata = resolve_table(data, table_key=table_key)
    for key in (x, y):
        if key not in adata.var.columns:
            raise MissingKeyError(
                f"no column {key!r} in var.",
                allowed=f"one of {listed(adata.var.columns)}",
                remedy=f"run sk.pp.gene_sparsity(adata) first.{nearest(key, list(map(str, adata.var.columns)))}",
            )
    frame = adata.var[[x, y]].astype(float)
    with style():
        ax = new_axes(ax, width=5.5, height=4)
        _draw_flags(ax, adata.var, frame.to_numpy())
        middle = frame.iloc[:, 0].agg(["min", "max"]).mean()
        for gene, (a, b) in frame.dropna().nlargest(n_labels, y).iterrows():
            right = a > middle  # names point inwards, away from the legend
            ax.annotate(
                plain(gene),
                (a, b),
                xytext=(-3 if right else 3, 2),
                textcoords="offset points",
                ha="right" if right else "left",
                fontsize=7,
                color=INK,
            )
        ax.set_xlabel(_TITLES.get(x, plain(x)))
        ax.set_ylabel(_TITLES.get(y, plain(y)))
        ax.set_title(f"{adata.n_vars:,} genes", loc="left")
        finish(ax.figure, show=show, save=save)
    return ax


def _draw_flags(ax: "Axes", var: pd.DataFrame, points: np.ndarray) -> None:
    present = [f for f in _FLAGS if f in var.columns]
    flags = {f: var[f].fillna(value=False).astype(bool).to_numpy() for f in present}
    free = ~np.any(list(flags.values()), axis=0) if present else np.ones(len(var), dtype=bool)
    groups = {"no flag" if present else "genes": (free, GREY, "o")}
    for f in present:
        i = _FLAGS.index(f)
        groups[f.replace("_", " ")] = (flags[f], PALETTE[(5, 1, 0)[i]], MARKERS[1 + i])
    for name, (rows, colour, shape) in groups.items():
        a, b = points[rows].T
        text = f"{name} ({int(rows.sum()):,})"
        ax.scatter(a, b, s=12, c=colour, marker=shape, alpha=0.7, linewidths=0, label=text)
    if present:
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, handletextpad=0.1)
