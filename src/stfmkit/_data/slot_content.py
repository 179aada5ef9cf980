"""Tell whether a slot still holds what was written there: after rows were cut, and after a file was read, it does."""

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from stfmkit._core import slots
from stfmkit._core.files import digest
from stfmkit._core.identity import exact
from stfmkit._core.matrices import sound_dense, sound_rows

_NAMES = {"obs": "obs_names", "obsm": "obs_names", "var": "var_names", "varm": "var_names"}
_PRIME, _MIX = np.uint64(0x100000001B3), np.uint64(0x9E3779B97F4A7C15)


def content_of(adata: AnnData, slot: slots.Slot, key: str) -> str | np.ndarray:
    """Return what tells the content of a slot from any other; nothing where it cannot be told.

    For columns and arrays by observation or gene it is one hash for every row with its name (n,), for matrices the
    shape and one hash. What a file changes makes no difference: text and categories are the same, and so are two
    orders of the entries of a sparse matrix. What lies in ``uns``, on disk, or in dask arrays cannot be told.
    """
    values = getattr(adata, slot).get(key)
    if slot in _NAMES:
        held = sound_dense(values, name=f"{slot}[{key!r}]") if sparse.issparse(values) else values
        return _row_hashes(held, getattr(adata, _NAMES[slot]))
    if sparse.issparse(values):
        matrix = sound_rows(values, name=f"{slot}[{key!r}]")
        values = [matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), matrix.data]
        return f"{matrix.shape} {digest(exact(values).encode())[:32]}"
    known = isinstance(values, np.ndarray) and values.dtype != object
    return f"{values.shape} {digest(exact(values).encode())[:32]}" if known else ""


def is_unchanged(adata: AnnData, slot: slots.Slot, key: str, content: object) -> bool:
    """Tell whether a slot holds what it held when `content` was taken, or some rows of it, in any order.

    True where it cannot be told, as for a matrix of another shape, of which observations or genes were taken.
    """
    now = content_of(adata, slot, key)
    if isinstance(content, np.ndarray) and isinstance(now, np.ndarray):
        return len(now) == 0 or len(content) == 0 or bool(np.isin(now, content).all())
    if not isinstance(content, str) or not isinstance(now, str):
        return True
    return now == content or now.rpartition(" ")[0] != content.rpartition(" ")[0]


def _row_hashes(values: Any, names: pd.Index) -> np.ndarray | str:
    """Return a hash of every row and its name (n,)."""
    if isinstance(values, pd.Series):
        columns = [values.to_numpy() if _is_number(values.dtype) else _text(values)]
    elif isinstance(values, pd.DataFrame):
        parts = [values.iloc[:, i] for i in range(values.shape[1])]
        columns = [part.to_numpy() if _is_number(part.dtype) else _text(part) for part in parts]
        columns.append(np.full(len(names), "\x1f".join(map(str, values.columns)), dtype=object))
    elif isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
        columns = list(values.reshape(len(values), -1).T)
    else:
        return ""
    total = pd.util.hash_array(names.astype(str).to_numpy(dtype=object))
    for column in columns:
        if column.dtype.kind in "biuf":
            bits = (column.astype(np.float64) + 0.0).view(np.uint64)
        else:
            bits = pd.util.hash_array(column)
        total = (total * _PRIME) ^ (bits * _MIX)
        total ^= total >> np.uint64(31)
    return (total >> np.uint64(32)).astype(np.uint32)


def _is_number(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and dtype.kind in "biuf"


def _text(values: pd.Series) -> np.ndarray:
    """Return text as an array of objects, "" where there is none."""
    return np.asarray(values.astype(object).where(values.notna(), "").astype(str), dtype=object)
