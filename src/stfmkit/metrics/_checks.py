"""Checks of what the metrics are given, before anything is computed."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from stfmkit._core.arguments import listed
from stfmkit._core.errors import InputError, InputTypeError
from stfmkit._core.matrices import in_memory

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
    rows = sparse.csr_array(value)
    if 0 in rows.shape:
        raise InputError(f"{name} of shape {rows.shape}.", allowed="rows and columns", remedy=f"pass data as {name}.")
    number(rows.data, name=name)
    finite(rows.data, name=name)
    return rows.astype(np.float64)


class Expression(NamedTuple):
    """True and predicted values (n_obs, n_genes) as float64, and which genes (n_genes,) are constant in each."""

    truth: np.ndarray
    predicted: np.ndarray
    flat_truth: np.ndarray
    flat_predicted: np.ndarray


def expression(truth: object, predicted: object, *, names: Sequence[str] = ("truth", "predicted")) -> Expression:
    """Check two matrices of one shape and at least two rows."""
    first, second = table(truth, name=names[0]), table(predicted, name=names[1])
    if first.shape != second.shape:
        raise InputError(
            f"{names[0]} of shape {first.shape}, {names[1]} of shape {second.shape}.",
            allowed="one shape (observations × genes)",
            remedy="bring both to the same observations and genes, in the same order.",
        )
    if len(first) < 2:
        raise InputError(
            "one observation.", allowed="at least two", remedy="score more observations together, such as a slide."
        )
    return Expression(first.astype(np.float64), second.astype(np.float64), constant(first), constant(second))


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
    _kind(array, name=name)
    return array


def _kind(array: np.ndarray, *, name: str) -> str:
    found = pd.api.types.infer_dtype(array)
    if found not in _NUMBERS | {"string"}:
        raise InputTypeError(
            f"{name} holds {found} values.",
            allowed="all text, or all numbers",
            remedy="write all of them the same way, such as `list(map(str, values))`.",
        )
    return "text" if found == "string" else "numbers"


def same_kind(first: np.ndarray, second: np.ndarray, *, names: Sequence[str]) -> None:
    """Refuse text on one side and numbers on the other: they would never be equal."""
    kinds = _kind(first, name=names[0]), _kind(second, name=names[1])
    if kinds[0] != kinds[1]:
        raise InputTypeError(
            f"{names[0]} holds {kinds[0]}, {names[1]} holds {kinds[1]}.",
            allowed="the same kind on both sides",
            remedy="convert one of them, such as `list(map(str, values))`.",
        )


def label_pair(
    first: object, second: object, *, names: Sequence[str] = ("truth", "predicted")
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return two codings (n,) over the sorted union of the labels, and that union."""
    a = labels(first, name=names[0])
    b = labels(second, name=names[1], n=len(a))
    same_kind(a, b, names=names)
    codes, levels = pd.factorize(np.concatenate([a, b]), sort=True)
    return codes[: len(a)], codes[len(a) :], np.asarray(levels)


def items(values: Iterable[Any], *, name: str) -> list[Any]:
    """Return the members of a signature in their order: text or integers, none twice."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InputTypeError(
            f"{name}={values!r}.", allowed="a list or array of gene names or positions", remedy="pass a list."
        )
    members = values.tolist() if hasattr(values, "tolist") else list(values)
    if members:
        array = np.empty(len(members), dtype=object)
        array[:] = members
        found = pd.api.types.infer_dtype(array, skipna=False)
        if found not in {"string", "integer"}:
            raise InputTypeError(
                f"{name} holds {found} values.", allowed="gene names, or integer positions", remedy="pass one kind."
            )
    twice = [m for m, n in pd.Series(members, dtype=object).value_counts().items() if n > 1]
    if twice:
        raise InputError(
            f"{name} names {listed(twice, most=5)} more than once.",
            allowed="every gene once",
            remedy="remove the repeats, and look for what made them.",
        )
    return members


def item_pair(a: Iterable[Any], b: Iterable[Any], *, names: Sequence[str] = ("a", "b")) -> tuple[list[Any], list[Any]]:
    """Return two signatures of one kind, of which at most one is empty."""
    first, second = items(a, name=names[0]), items(b, name=names[1])
    if not first and not second:
        raise InputError(
            f"{names[0]} and {names[1]} are both empty.",
            allowed="at least one gene on one side",
            remedy="leave such niches out, and count them.",
        )
    if first and second and isinstance(first[0], str) != isinstance(second[0], str):
        raise InputTypeError(
            f"{names[0]} holds {type(first[0]).__name__}, {names[1]} holds {type(second[0]).__name__}.",
            allowed="names on both sides, or positions on both",
            remedy="translate positions into names, such as `genes[positions]`.",
        )
    return first, second
