"""Read matrices, coordinates and labels out of a table, checked."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from stfmkit._core import slots
from stfmkit._core.arguments import check_positive, listed, nearest
from stfmkit._core.errors import InputError, MissingKeyError, UnitsError
from stfmkit._core.matrices import in_memory

_BLOCK_ROWS = 8192


def read_matrix(adata: AnnData, layer: str | None = None) -> sparse.csr_array | np.ndarray:
    """Return ``X`` or a layer as a CSR array or a dense array, in memory, never a view that a caller may change.

    A sparse matrix has every gene of a row once, in order. A matrix of a backed table, or a dask array, is read as a
    whole: it costs the memory of its values.
    """
    return as_matrix(in_memory(_stored(adata, layer)))


def as_matrix(held: Any) -> sparse.csr_array | np.ndarray:
    """Return a matrix in memory as a CSR array whose rows hold every column once, in order, or as a dense array.

    Half precision, which no sparse matrix knows, becomes single precision.
    """
    if not sparse.issparse(held):
        dense = np.asarray(held)
        return dense.astype(np.float32) if dense.dtype == np.float16 else dense
    matrix = sparse.csr_array(held)
    if not matrix.has_canonical_format:
        wide = np.result_type(matrix.dtype, np.int64) if matrix.dtype.kind in "iu" else matrix.dtype
        matrix = matrix.astype(wide, copy=True)
        matrix.sum_duplicates()
    return matrix


def read_counts(adata: AnnData, layer: str | None = None) -> sparse.csr_array:
    """Return raw counts as a CSR array (n_obs, n_vars) without explicit zeros, or say what is not a count.

    Raises
    ------
    InputError
        Values are negative, not finite, or not integers.
    """
    matrix = read_matrix(adata, layer)
    _check_numbers(matrix.dtype, where=_where(layer))
    counts = sparse.csr_array(matrix)
    _check_counts(counts.data, where=_where(layer))
    if (counts.data == 0).any():
        counts = counts.copy()
        counts.eliminate_zeros()
    return counts


def read_totals(adata: AnnData, layer: str | None = None) -> np.ndarray:
    """Return the raw counts of every observation (n_obs,) as float64, a backed or dask matrix read in blocks of rows.

    Raises
    ------
    InputError
        Values are negative, not finite, or not integers.
    """
    found = [np.empty(0)]
    for block in _row_blocks(_stored(adata, layer)):
        counts = sparse.csr_array(as_matrix(block))
        _check_counts(counts.data, where=_where(layer))
        found.append(np.asarray(counts.sum(axis=1), dtype=np.float64).ravel())
    return np.concatenate(found)


def _stored(adata: AnnData, layer: str | None) -> Any:
    """Return ``X`` or a layer as the table holds it."""
    if layer is not None and layer not in adata.layers:
        raise MissingKeyError(
            f"no layer named {layer!r}.",
            allowed=f"None for X, or {listed(adata.layers)}",
            remedy=f"pass the layer that holds the matrix.{nearest(layer, list(adata.layers))}",
        )
    matrix = adata.X if layer is None else adata.layers[layer]
    if matrix is None:
        raise MissingKeyError(
            "a table without X.",
            allowed="a matrix in X or in a layer",
            remedy=f"pass layer=, one of {listed(adata.layers)}." if adata.layers else "store raw counts in X.",
        )
    return matrix


def _row_blocks(matrix: Any) -> Iterator[Any]:
    """Yield a matrix in memory, in blocks of rows where it is not there yet; columns of a file are read at once."""
    n = matrix.shape[0]
    if isinstance(matrix, np.ndarray) or sparse.issparse(matrix) or getattr(matrix, "format", "") == "csc":
        yield in_memory(matrix)
        return
    sizes = matrix.chunks[0] if hasattr(matrix, "compute") else [_BLOCK_ROWS] * -(-n // _BLOCK_ROWS)
    start = 0
    for size in sizes:
        yield in_memory(matrix[start : start + size])
        start += size


def _where(layer: str | None) -> str:
    return "X" if layer is None else f"layers[{layer!r}]"


def _check_numbers(dtype: np.dtype, *, where: str) -> None:
    if dtype.kind not in "iuf":
        raise InputError(f"{where} of dtype {dtype}.", allowed="numbers", remedy="store raw counts there.")


def _check_counts(values: np.ndarray, *, where: str) -> None:
    _check_numbers(values.dtype, where=where)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise InputError(
            f"{bad} NaN or infinite values in {where}.",
            allowed="raw counts",
            remedy="store raw counts there.",
        )
    if (values < 0).any():
        raise InputError(
            f"{int((values < 0).sum())} negative values in {where}, the least {values.min()}.",
            allowed="raw counts (integers ≥ 0)",
            remedy="pass layer= with raw counts; scaled or batch-corrected data are not counts.",
        )
    if values.dtype.kind == "f":
        broken = values != np.rint(values)
        if broken.any():
            raise InputError(
                f"{int(broken.sum())} of {values.size} stored values in {where} are not integers (for example "
                f"{float(values[np.argmax(broken)]):.10g}).",
                allowed="raw counts (integers ≥ 0)",
                remedy="pass layer= with raw counts; log-normalised data are not counts.",
            )


def read_coords(adata: AnnData, *, spatial_key: str = slots.SPATIAL) -> np.ndarray:
    """Return the first two coordinates (n_obs, 2) as float64, all finite.

    Raises
    ------
    MissingKeyError
        ``obsm`` has no such key.
    InputError
        The shape is wrong or values are not finite.
    """
    if spatial_key not in adata.obsm:
        raise MissingKeyError(
            f"no obsm[{spatial_key!r}].",
            allowed=f"one of {listed(adata.obsm)}",
            remedy=f"store coordinates (n_obs, 2) there or pass spatial_key=.{nearest(spatial_key, list(adata.obsm))}",
        )
    coords = np.asarray(adata.obsm[spatial_key], dtype=np.float64)
    if coords.ndim != 2 or coords.shape[1] not in {2, 3}:
        raise InputError(
            f"obsm[{spatial_key!r}] of shape {coords.shape}.",
            allowed="(n_obs, 2) or (n_obs, 3)",
            remedy="store x and y as columns.",
        )
    coords = coords[:, :2]
    bad = ~np.isfinite(coords).all(axis=1)
    if bad.any():
        names = listed(adata.obs_names[bad], most=3)
        raise InputError(
            f"{int(bad.sum())} observations with NaN or infinite coordinates: {names}.",
            allowed="finite coordinates",
            remedy="drop these observations or repair their coordinates.",
        )
    return coords


def read_column(adata: AnnData, key: str, *, role: str) -> pd.Series:
    """Return a column of ``obs``; `role` (such as "patient_key") names the argument in the error."""
    if key not in adata.obs.columns:
        raise MissingKeyError(
            f"{role}={key!r}, but obs has no such column.",
            allowed=listed(adata.obs.columns),
            remedy=f"pass the column as {role}.{nearest(str(key), [str(c) for c in adata.obs.columns])}",
        )
    return adata.obs[key]


def read_groups(adata: AnnData, key: str, *, role: str) -> pd.Categorical:
    """Return a column of ids, one for every observation, as a categorical of strings without unused categories.

    Raises
    ------
    InputError
        Ids are missing (NaN or empty text); they are never filled in.
    """
    column = read_column(adata, key, role=role)
    missing = _missing(column)
    if missing.any():
        raise InputError(
            f"{int(missing.sum())} of {adata.n_obs} observations without an id in obs[{key!r}] ({role}).",
            allowed="an id for every observation",
            remedy="fill in the true ids or drop these observations; ids are never invented.",
        )
    return _as_categories(column)


def read_labels(adata: AnnData, key: str, *, role: str = "label_key") -> pd.Categorical:
    """Return a column of labels as a categorical of strings; observations without a label have code -1."""
    column = read_column(adata, key, role=role)
    missing = _missing(column).to_numpy()
    labels = column.astype(object).to_numpy(copy=True)
    labels[missing] = None
    if missing.all():
        raise InputError(
            f"no label in obs[{key!r}].", allowed="some labelled observations", remedy=f"pass another {role}."
        )
    return _as_categories(pd.Series(labels))


def read_microns_per_unit(adata: AnnData, value: float | None = None) -> float:
    """Return the length of one coordinate unit in µm, from `value` or from ``uns["stfmkit"]``.

    Raises
    ------
    UnitsError
        Neither is there.
    """
    if value is None:
        value = adata.uns.get(slots.ROOT, {}).get(slots.MICRONS)
    if value is None:
        raise UnitsError(
            "a distance in µm, and coordinates of unknown unit.",
            allowed="coordinates with a known length of one unit in µm",
            remedy="pass microns_per_unit= (1.0 where coordinates are in µm), or store it: "
            "adata.uns['stfmkit'] = {'microns_per_unit': 1.0}.",
        )
    check_positive(value, name=slots.MICRONS)
    return float(value)


def _missing(column: pd.Series) -> pd.Series:
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    blank = column.map(lambda v: isinstance(v, str) and not v.strip())
    return column.isna() | blank.astype(bool)


def _as_categories(column: pd.Series) -> pd.Categorical:
    text = column.astype(object).map(lambda v: v if v is None or v != v else str(v))  # noqa: PLR0124  NaN
    return pd.Categorical(text, categories=sorted({v for v in text if isinstance(v, str)}))
