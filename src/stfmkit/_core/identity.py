"""Tell values apart by content, as text."""

import dataclasses
import hashlib
from collections.abc import Mapping

import numpy as np
import pandas as pd


def exact(value: object) -> str:
    """Return text that differs where two values differ; tables and arrays are hashed with all of their content."""
    if isinstance(value, pd.Index):
        value = value.to_frame(index=False, name="name")
    if isinstance(value, pd.DataFrame):
        rows = pd.util.hash_pandas_object(value, index=True).to_numpy()
        return f"table {list(map(str, value.columns))} {hashlib.sha256(rows.tobytes()).hexdigest()}"
    if isinstance(value, np.ndarray) and value.dtype != object:
        held = np.ascontiguousarray(value)
        return f"array {held.dtype} {held.shape} {hashlib.sha256(held.tobytes()).hexdigest()}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return exact({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    if isinstance(value, Mapping):
        return repr(sorted((str(name), exact(held)) for name, held in value.items()))
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({', '.join(exact(held) for held in value)})"
    return repr(value)
