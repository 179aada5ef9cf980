"""Read columns of ``obs`` with ids or labels, checked."""

import numpy as np
import pandas as pd
from anndata import AnnData

from stfmkit._core.arguments import listed, nearest
from stfmkit._core.errors import InputError, MissingKeyError


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


def read_obs_text(adata: AnnData, key: str) -> np.ndarray:
    """Return a column of labels of ``obs`` as text (n_obs,); none may be missing."""
    return np.asarray(read_groups(adata, key, role=key).astype(str), dtype=object)


def _missing(column: pd.Series) -> pd.Series:
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    blank = column.map(lambda v: isinstance(v, str) and not v.strip())
    return column.isna() | blank.astype(bool)


def _as_categories(column: pd.Series) -> pd.Categorical:
    text = column.astype(object).map(lambda v: v if v is None or v != v else str(v))  # noqa: PLR0124  NaN
    return pd.Categorical(text, categories=sorted({v for v in text if isinstance(v, str)}))
