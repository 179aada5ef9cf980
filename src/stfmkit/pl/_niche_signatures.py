"""Genes that mark each niche, and how well a prediction names them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData

from stfmkit._core.arguments import check_choice, check_integer, check_known, listed, nearest
from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit._data.view import resolve_table
from stfmkit.evaluation.contender_labels import CONTROL
from stfmkit.metrics._describe import describe
from stfmkit.pl._finish import check_save, finish, new_axes
from stfmkit.pl._style import GREY, INK, MARKERS, PALETTE, plain, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from stfmkit._data.view import Container
    from stfmkit.pl._finish import Save

_KINDS = ("genes", "scores")
_LIMITS = {"chance": "v", "ceiling, half of the counts": "^"}


def niche_signatures(
    data: "Container",
    *,
    key: str = "niche_signatures",
    kind: str = "genes",
    n_genes: int = 5,
    niches: Sequence[str] | None = None,
    metric: str = "jaccard",
    table_key: str | None = None,
    ax: "Axes | None" = None,
    show: bool = False,
    save: "Save" = None,
) -> "Axes":
    """Plot the result of :func:`stfmkit.tl.niche_signatures`.

    Parameters
    ----------
    data
        AnnData or SpatialData with the result.
    key
        Key of the result: the ``key_added`` of the verb that wrote it.
    kind
        "genes": the best `n_genes` genes of every signature against all niches; colour is the AUROC, area the share of
        observations with the gene. "scores": one metric of the prediction by niche and size, with chance for the
        Jaccard index, and the ceiling for the chance-adjusted one.
    n_genes
        Number of genes of a niche; read for "genes".
    niches
        Niches to show, in this order; None for all.
    metric
        Metric to show; read for "scores".
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
        There is no such result, niche or metric.
    InputError
        No gene marks the niches, or an option is unknown.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from anndata import AnnData
    >>> import stfmkit as sk
    >>> genes = pd.DataFrame({"niche": ["core", "core"], "gene": ["A", "B"], "auroc": [0.9, 0.4]})
    >>> genes = genes.assign(pct_in=[0.8, 0.1], rank=[1, 0])
    >>> adata = AnnData(np.ones((2, 2)), uns={"niche_signatures": {"genes": genes}})
    >>> ax = sk.pl.niche_signatures(adata)
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['A']
    """
    check_choice(kind, _KINDS, name="kind")
    check_integer(n_genes, name="n_genes", least=1)
    check_save(save)
    adata = resolve_table(data, table_key=table_key)
    table = _read(adata, key, kind)
    known = [name for name in dict.fromkeys(table["niche"].astype(str)) if name]  # a share speaks of all niches
    shown = known if niches is None else list(niches)
    for name in shown:
        check_known(name, known, what="niche", remedy="pass some of these as niches.")
    if not shown:
        raise InputError("no niche.", allowed="at least one", remedy="leave niches out.")
    table = table.assign(niche=table["niche"].astype(str))
    with style():
        ax = _draw_genes(table, shown, n_genes, ax) if kind == "genes" else _draw_scores(table, shown, metric, ax)
        finish(ax.figure, show=show, save=save)
    return ax


def _read(adata: AnnData, key: str, part: str) -> pd.DataFrame:
    if key not in adata.uns:
        raise MissingKeyError(
            f"no uns[{key!r}].",
            allowed=f"one of {listed(adata.uns)}",
            remedy=f"run sk.tl.niche_signatures(adata, ...) first.{nearest(key, list(adata.uns))}",
        )
    result = adata.uns[key]
    if part not in result:
        raise MissingKeyError(
            f"uns[{key!r}] without {part!r}.",
            allowed="the result of sk.tl.niche_signatures",
            remedy="run sk.tl.niche_signatures(adata, ...) again.",
        )
    table: pd.DataFrame = result[part]
    return table


def _draw_genes(table: pd.DataFrame, niches: list[str], n_genes: int, ax: "Axes | None") -> "Axes":
    best = table.loc[table["rank"].between(1, n_genes)].sort_values("rank", kind="stable")
    genes = list(dict.fromkeys(g for name in niches for g in best.loc[best["niche"] == name, "gene"].astype(str)))
    if not genes:
        raise InputError(
            f"no gene that marks {listed(niches, most=5)}.",
            allowed="a niche with a signature",
            remedy="show other niches, or run sk.tl.niche_signatures with wider thresholds.",
        )
    ax = new_axes(ax, width=1.8 + 0.24 * len(genes), height=1.7 + 0.3 * len(niches))
    cells = table.assign(gene=table["gene"].astype(str))
    cells = cells.loc[cells["gene"].isin(genes) & cells["niche"].isin(niches)]
    x = pd.Index(genes).get_indexer(cells["gene"])
    y = pd.Index(niches).get_indexer(cells["niche"])
    spread = max(float((cells["auroc"] - 0.5).abs().max()), 0.05)
    paint: dict[str, Any] = {"cmap": "RdBu_r", "vmin": 0.5 - spread, "vmax": 0.5 + spread}
    dots = ax.scatter(x, y, s=110 * cells["pct_in"], c=cells["auroc"], edgecolors=GREY, linewidths=0.4, **paint)
    marked = best.loc[best["niche"].isin(niches)]
    at = pd.Index(genes).get_indexer(marked["gene"].astype(str)), pd.Index(niches).get_indexer(marked["niche"])
    ax.scatter(*at, s=150, marker="s", facecolors="none", edgecolors=INK, linewidths=0.8)
    ax.set_xticks(range(len(genes)), [plain(g) for g in genes], rotation=90)
    ax.set_yticks(range(len(niches)), [plain(name) for name in niches])
    ax.set_xlim(-0.7, len(genes) - 0.3)
    ax.set_ylim(len(niches) - 0.3, -0.7)
    bar = ax.figure.colorbar(dots, ax=ax, aspect=12, pad=0.02)
    bar.set_label("AUROC")
    handles = [ax.scatter([], [], s=110 * share, c=GREY, label=f"{100 * share:.0f} %") for share in (0.25, 0.5, 1.0)]
    ax.legend(
        handles=handles,
        title="observations with the gene",
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=3,
        title_fontsize=8,
    )
    return ax


def _draw_scores(table: pd.DataFrame, niches: list[str], metric: str, ax: "Axes | None") -> "Axes":
    scored = table[table["status"].isin(["scored", "undefined"])]
    of_prediction = scored[~scored["contender"].astype(str).str.startswith(CONTROL) & (scored["contender"] != "")]
    names = list(dict.fromkeys(of_prediction["metric"].astype(str)))
    check_known(metric, names, what="metric", remedy="run sk.tl.niche_signatures with prediction= for agreement.")
    ax = new_axes(ax, width=2.2 + 0.6 * len(niches), height=3.4)
    values = _by_size(of_prediction[of_prediction["metric"] == metric])
    limits = _limits(table, metric)
    sizes = list(dict.fromkeys(setting for setting, _ in values))
    step = 0.7 / max(len(sizes), 1)
    for i, size in enumerate(sizes):
        x = np.arange(len(niches)) + (i - (len(sizes) - 1) / 2) * step
        colour = PALETTE[i % len(PALETTE)]
        label = f"{size.removeprefix('n=')} genes" if size else "all genes"
        ax.scatter(
            x,
            [values.get((size, k), np.nan) for k in niches],
            s=34,
            c=colour,
            marker=MARKERS[i % len(MARKERS)],
            label=label,
            zorder=3,
        )
        for text, of_text in limits.items():
            limit = [of_text.get((size, k), np.nan) for k in niches]
            if not np.isnan(limit).all():
                shape = _LIMITS[text]
                ax.scatter(x, limit, s=18, marker=shape, facecolors="none", edgecolors=GREY, label=None if i else text)
    ax.set_xticks(range(len(niches)), [plain(name) for name in niches], rotation=45, ha="right")
    ax.set_xlim(-0.6, len(niches) - 0.4)
    ax.set_ylabel(describe(metric).title)
    ax.axhline(0, color=GREY, linewidth=0.5)
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
    return ax


def _by_size(rows: pd.DataFrame) -> dict[tuple[str, str], float]:
    """Return values by setting and niche."""
    columns = rows[["setting", "niche", "value"]].astype({"setting": str, "niche": str})
    return {(size, niche): value for size, niche, value in columns.itertuples(index=False)}


def _limits(table: pd.DataFrame, metric: str) -> dict[str, dict[tuple[str, str], float]]:
    """Return what chance scores, and the ceiling, where the table has them for this metric."""
    own = table[table["metric"] == metric]
    chance = own[own["contender"] == "control:chance"]
    ceiling = own[(own["status"] == "ceiling") & ~own["setting"].astype(str).str.contains("patients")]
    return dict(zip(_LIMITS, (_by_size(chance), _by_size(ceiling)), strict=True))
