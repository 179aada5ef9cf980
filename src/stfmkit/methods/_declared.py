"""What a method is shown of a table: a copy of the slots that it declares, and nothing else."""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData

from stfmkit._core import slots
from stfmkit._core.matrices import check_sparse
from stfmkit._data.matrices import table_of
from stfmkit._data.view import View
from stfmkit.methods.contract import Slots

if TYPE_CHECKING:
    from spatialdata import SpatialData


def declared(view: View, wanted: Slots, *, copied: bool = True) -> View:
    """Return a view of copies of some slots, so that a method can neither read others unnoticed nor change data.

    Parameters
    ----------
    view
        The data; every slot of `wanted` is there.
    wanted
        What the method declares to read. The unit of the coordinates is always shown, ``uns["spatial"]`` (read only)
        with images, and the elements of a SpatialData, without its tables, where elements are read.
    copied
        Whether matrices are copied; False where `rows_of` copies them later.
    """
    table, take = view.table, _copied if copied else _as_it_is
    _check_matrices(table, wanted)
    bare = AnnData(
        X=take(table.X) if wanted.X else None,
        obs=table.obs[list(dict.fromkeys(wanted.obs))].copy(),
        var=table.var[list(dict.fromkeys(wanted.var))].copy(),
        layers={key: take(table.layers[key]) for key in wanted.layers},
        obsm={key: take(_plain(table.obsm[key])) for key in wanted.obsm},
        obsp={key: take(table.obsp[key]) for key in wanted.obsp},
    )
    ours = table.uns.get(slots.ROOT)
    if isinstance(ours, Mapping) and slots.MICRONS in ours:
        bare.uns[slots.ROOT] = {slots.MICRONS: ours[slots.MICRONS]}
    if not wanted.reads_elements:
        return View(table=bare)
    for key in ("spatial", "spatialdata_attrs"):
        if key in table.uns:
            bare.uns[key] = _read_only(table.uns[key])
    if view.container is None:
        return View(table=bare)
    region = _region_columns(table)
    bare.obs[region] = table.obs[region].copy()  # which element and instance an observation is
    return replace(view, table=bare, container=_elements(view.container))


def rows_of(view: View, rows: np.ndarray, *, genes: np.ndarray | None = None) -> View:
    """Return a view of copies of some rows, and of some genes, of a view."""
    table = view.table[rows] if genes is None else view.table[rows][:, genes]
    return replace(view, table=table.copy())


def together(several: Iterable[Slots]) -> Slots:
    """Return what any of several declarations names."""
    held = list(several)
    names = ("layers", "obs", "obsm", "obsp", "var")
    keys = {name: tuple(dict.fromkeys(key for one in held for key in getattr(one, name))) for name in names}
    flags = {name: any(getattr(one, name) for one in held) for name in ("X", "images", "points", "shapes")}
    return Slots(**keys, **flags)  # type: ignore[arg-type]


def _check_matrices(table: AnnData, wanted: Slots) -> None:
    """Refuse sparse matrices whose parts do not fit each other, before rows are taken from them."""
    whole = table_of(table)
    if wanted.X:
        check_sparse(whole.X, name="X")
    for slot in ("layers", "obsm", "obsp"):
        for key in getattr(wanted, slot):
            check_sparse(getattr(whole, slot)[key], name=f"{slot}[{key!r}]")


def _plain(values: Any) -> Any:
    """Return a table whose columns have no names of their own as an array: AnnData cannot take rows of it."""
    return values.to_numpy() if isinstance(values, pd.DataFrame) and not values.columns.is_unique else values


def _as_it_is(values: Any) -> Any:
    return values


def _copied(values: Any) -> Any:
    """Return a copy in memory of what a slot holds."""
    if hasattr(values, "to_memory"):  # a backed matrix
        return values.to_memory()
    return values.copy() if hasattr(values, "copy") else values[:]


def _read_only(values: Any) -> Any:
    """Return nested dictionaries as copies, whose arrays are the same and cannot be written to."""
    if isinstance(values, Mapping):
        return {key: _read_only(held) for key, held in values.items()}
    if not isinstance(values, np.ndarray):
        return copy.copy(values)
    shown = values.view()
    shown.flags.writeable = False
    return shown


def _region_columns(table: AnnData) -> list[str]:
    attrs = table.uns.get("spatialdata_attrs", {})
    return [attrs[key] for key in ("region_key", "instance_key") if attrs.get(key) in table.obs]


def _elements(container: "SpatialData") -> "SpatialData":
    """Return the elements of a SpatialData without its tables; shapes are copied, images and points are lazy."""
    from spatialdata import SpatialData

    return SpatialData(
        images=dict(container.images),
        labels=dict(container.labels),
        points=dict(container.points),
        shapes={name: shape.copy() for name, shape in container.shapes.items()},
        attrs=copy.deepcopy(container.attrs),
    )
