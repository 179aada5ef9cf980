"""Check and convert the arrays that metrics are given, before anything is computed."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit._core.errors import InputError, InputTypeError
from stfmkit._core.matrices import in_memory, sound_rows

_CONSTANT = 8  # a spread of less than this many units in the last place is rounding noise
_NUMBERS = {"integer", "floating", "boolean", "mixed-integer-float"}


def number(value: object, *, name: str) -> np.ndarray:
    """Return a real-valued array, or refuse what is not one."""
    value = in_memory(value)
    if sparse.issparse(value):
        raise InputTypeError(
            f"{name} is a sparse matrix.",
            allowed="a dense array",
            remedy="bring it into memory as a dense one, such as with `.toarray()`.",
        )
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise InputTypeError(
            f"{name} of dtype {array.dtype}.", allowed="real numbers", remedy=f"pass a numeric array for {name}."
        )
    return array


def finite(array: np.ndarray, *, name: str) -> None:
    """Refuse NaN and infinities."""
    if array.size and not (np.isfinite(array.min()) and np.isfinite(array.max())):
        bad = int(np.size(array) - np.isfinite(array).sum())
        raise InputError(
            f"{bad} NaN or infinite values in {name}.",
            allowed="finite numbers",
            remedy="drop these rows or columns, or find out why they are not finite.",
        )


def vector(value: object, *, name: str, n: int | None = None) -> np.ndarray:
    """Return a finite float64 vector, of length `n` where one is asked for."""
    array = number(value, name=name)
    if array.ndim != 1 or (n is not None and len(array) != n):
        raise InputError(
            f"{name} of shape {array.shape}.",
            allowed="one number per observation" if n is None else f"a vector of length {n}",
            remedy=f"pass a flat array for {name}.",
        )
    finite(array, name=name)
    return array.astype(np.float64)


def table(value: object, *, name: str, n: int | None = None) -> np.ndarray:
    """Return a finite 2-D array in its own dtype, of `n` rows where that is asked for."""
    array = number(value, name=name)
    if array.ndim != 2 or 0 in array.shape or (n is not None and len(array) != n):
        raise InputError(
            f"{name} of shape {array.shape}.",
            allowed="a matrix with rows and columns" if n is None else f"a matrix of {n} rows",
            remedy=f"pass one row per observation for {name}.",
        )
    finite(array, name=name)
    return array


def matrix(value: Any, *, name: str) -> np.ndarray | sparse.csr_array:
    """Return a finite float64 matrix (n_obs, n_genes), dense or CSR as it came; dask and backed ones are loaded."""
    value = in_memory(value)
    if not sparse.issparse(value):
        return table(value, name=name).astype(np.float64)
    rows = sound_rows(value, name=name)
    if 0 in rows.shape:
        raise InputError(f"{name} of shape {rows.shape}.", allowed="rows and columns", remedy=f"pass data as {name}.")
    number(rows.data, name=name)
    finite(rows.data, name=name)
    return rows.astype(np.float64)


def constant(columns: np.ndarray) -> np.ndarray:
    """Say which columns hold one value, up to the rounding of their dtype."""
    low, high = columns.min(axis=0).astype(np.float64), columns.max(axis=0).astype(np.float64)
    eps = np.finfo(columns.dtype).eps if columns.dtype.kind == "f" else 0.0
    return np.asarray(high - low <= _CONSTANT * eps * np.maximum(np.abs(low), np.abs(high)))


def labels(values: object, *, name: str, n: int | None = None) -> np.ndarray:
    """Return labels as a flat array of text or numbers, without missing ones."""
    array = np.asarray(values, dtype=object if isinstance(values, pd.Categorical) else None)
    if array.ndim != 1 or (n is not None and len(array) != n):
        raise InputError(
            f"{name} of shape {array.shape}.",
            allowed="one label per observation" if n is None else f"{n} labels",
            remedy=f"pass a flat array for {name}, in the order of the observations.",
        )
    if not len(array):
        raise InputError(f"{name} is empty.", allowed="at least one label", remedy="pass labelled observations.")
    missing = int(pd.isna(array).sum())
    if missing:
        raise InputError(
            f"{missing} missing values in {name}.", allowed="a label for everyone", remedy="drop unlabelled rows first."
        )
    kind_of(array, name=name)
    return array


def kind_of(array: np.ndarray, *, name: str) -> str:
    found = pd.api.types.infer_dtype(array)
    if found not in _NUMBERS | {"string"}:
        raise InputTypeError(
            f"{name} holds {found} values.",
            allowed="all text, or all numbers",
            remedy="write all of them the same way, such as `list(map(str, values))`.",
        )
    return "text" if found == "string" else "numbers"


def read_values(X: Any) -> np.ndarray | sparse.csr_array:
    """Return finite values, dense as float64; a sparse matrix keeps its floats, as a copy would cost more than I."""
    X = in_memory(X)
    if not sparse.issparse(X) or X.dtype not in (np.float32, np.float64) or 0 in X.shape:
        return matrix(X, name="X")
    rows = sound_rows(X, name="X")
    finite(rows.data, name="X")
    return rows


def read_weights(graph: sparse.sparray, *, n: int) -> sparse.csr_array:
    """Return the weights as float64 CSR, or refuse what is not a graph of `n` observations."""
    weights = sound_rows(in_memory(graph), name="graph").astype(np.float64)
    if weights.shape != (n, n):
        raise InputError(
            f"a graph of shape {weights.shape} for {n} observations.",
            allowed=f"({n}, {n})",
            remedy="build the graph on the observations that are scored.",
        )
    finite(number(weights.data, name="graph"), name="graph")
    if weights.nnz == 0 or weights.min() < 0 or weights.sum() <= 0:
        raise InputError(
            f"a graph of {weights.nnz} edges with total weight {weights.sum():g}.",
            allowed="weights of at least 0, and one edge or more",
            remedy="build the graph with more neighbours or a larger radius.",
        )
    return weights
