"""Bins or spots in space, at their true size."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData

from stfmkit._core import slots
from stfmkit._core.arguments import check_known, listed, nearest
from stfmkit._core.errors import InputError, MissingKeyError
from stfmkit._data.columns import read_groups
from stfmkit._data.coordinates import read_coords
from stfmkit._data.matrices import read_matrix
from stfmkit._data.view import resolve_table
from stfmkit._data.write_slots import records
from stfmkit.pl._finish import check_save, finish, new_axes
from stfmkit.pl._style import GREY, colours, plain, point_size, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from stfmkit._data.view import Container
    from stfmkit.pl._finish import Save


def spatial_bins(
    data: "Container",
    *,
    color: str = "total_counts",
    layer: str | None = None,
    sample_key: str | None = None,
    sample: str | None = None,
    spatial_key: str = slots.SPATIAL,
    cmap: str = "viridis",
    table_key: str | None = None,
    ax: "Axes | None" = None,
    show: bool = False,
    save: "Save" = None,
) -> "Axes":
    """Draw the bins of one sample, coloured by a column of ``obs`` or by a gene.

    Bins made by :func:`stfmkit.pp.bin` are drawn at their true shape and size; other observations as points.

    Parameters
    ----------
    data
        AnnData or SpatialData with coordinates in ``obsm[spatial_key]`` and, from :func:`stfmkit.pp.bin`, the
        geometry in ``uns["stfmkit"]["bin"]``.
    color
        Column of ``obs``, or gene name; numbers give a colour bar, everything else a legend.
    layer
        Layer with the values of a gene, None for ``X``.
    sample_key
        Column of ``obs`` with the sample (section, slide).
    sample
        The sample to draw; needed if `sample_key` has several.
    spatial_key
        Key of the coordinates in ``obsm``.
    cmap
        Colour map of numbers.
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
    The Axes; y points down, as in images.

    Raises
    ------
    MissingKeyError
        The colour, sample or coordinates are not there.
    InputError
        The sample is not determined.

    Examples
    --------
    >>> import numpy as np
    >>> from anndata import AnnData
    >>> import stfmkit as sk
    >>> adata = AnnData(np.ones((3, 1)), obsm={"spatial": np.array([[0.0, 0], [100, 0], [50, 87]])})
    >>> adata.obs["total_counts"] = [5, 7, 9]
    >>> ax = sk.pl.spatial_bins(adata)
    >>> ax.get_title(loc="left")
    'total_counts'
    """
    check_save(save)
    adata = resolve_table(data, table_key=table_key)
    values = _colour(adata, color, layer)
    coords = read_coords(adata, spatial_key=spatial_key)
    rows = _rows(adata, sample_key, sample)
    values, coords = values[rows], coords[rows]
    with style():
        ax = new_axes(ax, width=5.5, height=4.6)
        marks = _marks(ax, coords, dict(records(adata).get("bin", {})))
        _paint(ax, marks, values, cmap)
        ax.set_aspect("equal")
        ax.autoscale_view()
        if not ax.yaxis_inverted():
            ax.invert_yaxis()
        known = records(adata).get(slots.MICRONS)
        unit = "µm" if known is not None and float(known) == 1.0 else "coordinate units"
        ax.set(xlabel=f"x ({unit})", ylabel=f"y ({unit})")
        ax.set_title(plain(color) if sample is None else f"{plain(color)} · {plain(sample)}", loc="left")
        finish(ax.figure, show=show, save=save)
    return ax


def _colour(adata: AnnData, color: str, layer: str | None) -> pd.Series:
    if color in adata.obs.columns:
        return adata.obs[color]
    if color in adata.var_names:
        column = read_matrix(adata, layer)[:, [adata.var_names.get_loc(color)]]
        dense = column if isinstance(column, np.ndarray) else column.toarray()
        return pd.Series(dense.ravel(), index=adata.obs_names)
    known = [*map(str, adata.obs.columns), *adata.var_names]
    raise MissingKeyError(
        f"no column of obs and no gene named {color!r}.",
        allowed=f"the columns {listed(adata.obs.columns)}, or one of {adata.n_vars} genes",
        remedy=f"pass one of these as color.{nearest(color, known)}",
    )


def _rows(adata: AnnData, sample_key: str | None, sample: str | None) -> np.ndarray:
    if sample_key is None:
        if sample is not None:
            raise InputError(
                f"sample={sample!r} without sample_key.",
                allowed="both, or neither",
                remedy="pass sample_key=, the column of obs that holds the samples.",
            )
        return np.ones(adata.n_obs, dtype=bool)
    samples = read_groups(adata, sample_key, role="sample_key")
    known = list(samples.categories)
    if sample is None:
        if len(known) > 1:
            raise InputError(
                f"the samples {listed(known)}.",
                allowed="one sample on one plot",
                remedy="pass sample=, one of these.",
            )
        return np.ones(adata.n_obs, dtype=bool)
    check_known(str(sample), known, what="sample", remedy="pass one of these as sample.")
    return np.asarray(samples == str(sample))


def _paint(ax: "Axes", drawn: Any, values: pd.Series, cmap: str) -> None:
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        drawn.set_cmap(cmap)
        drawn.set_array(values.to_numpy(dtype=float))
        bar = ax.figure.colorbar(drawn, ax=ax, shrink=0.7)
        bar.outline.set_visible(False)
        return
    from matplotlib.lines import Line2D

    names = values.astype(object).where(values.notna(), None)
    paint = colours(sorted({str(n) for n in names if n is not None}))
    drawn.set_facecolor([GREY if n is None else paint[str(n)] for n in names])
    handles = [Line2D([], [], ls="", marker="o", color=c) for c in paint.values()]
    ax.legend(handles, [" " + plain(n, longest=24) for n in paint], loc="upper left", bbox_to_anchor=(1.01, 1))


def _marks(ax: "Axes", coords: np.ndarray, shape: dict[str, Any]) -> Any:
    """Add one mark per observation: its true outline where the geometry is known, a point otherwise."""
    from matplotlib.collections import EllipseCollection, PolyCollection

    pitch, diameter = shape.get("pitch"), shape.get("diameter")
    kind = str(shape.get("shape", ""))
    flat: dict[str, Any] = {"linewidths": 0, "rasterized": True}
    if kind == "hex" and diameter is not None:
        wide = np.full(len(coords), float(diameter))
        marks: Any = EllipseCollection(
            wide, wide, np.zeros_like(wide), units="xy", offsets=coords, offset_transform=ax.transData, **flat
        )
    elif kind in {"square", "hex_gapless", "hex"} and pitch is not None:
        # a pointy-top hexagon, rows pitch·√3/2 apart, has its corners at pitch/√3 from the centre
        corners, start, radius = (4, np.pi / 4, np.sqrt(0.5)) if kind == "square" else (6, np.pi / 6, 1 / np.sqrt(3))
        angle = start + np.deg2rad(float(shape.get("angle", 0.0))) + 2 * np.pi * np.arange(corners) / corners
        outline = float(pitch) * radius * np.column_stack([np.cos(angle), np.sin(angle)])
        marks = PolyCollection(coords[:, None, :] + outline[None], **flat)
    else:
        dx, dy = np.ptp(coords, axis=0)
        size = point_size(len(coords), width=3.6, height=3.6, spread=(float(dx), float(dy)))
        return ax.scatter(coords[:, 0], coords[:, 1], s=size, **flat)
    ax.add_collection(marks)
    ax.update_datalim(coords)
    ax.margins(0.06)
    return marks
