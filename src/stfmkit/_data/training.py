"""Resolve which observations may be fitted on."""

from typing import TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData

from stfmkit._core.errors import InputError, InputTypeError, LeakError
from stfmkit._data.columns import read_column
from stfmkit.splits.folds import Fold

Train: TypeAlias = str | np.ndarray | pd.Series | Fold | None
"""A boolean column of ``obs``, a boolean mask (n_obs,), a fold of a splitter, or None for all observations."""


def training_rows(adata: AnnData, train: Train, *, role: str = "train", least: int = 1) -> np.ndarray:
    """Return the row numbers of the training observations, in rising order.

    Parameters
    ----------
    adata
        The table.
    train
        Name of a boolean column of ``obs``, boolean mask (n_obs,), fold, or None for all observations.
    role
        Name of the argument in the error.
    least
        Fewest training observations.

    Raises
    ------
    LeakError
        A fold has observations on both sides.
    InputTypeError
        A mask that is not boolean.
    InputError
        A mask of another length or order, a fold of another table, or too few training observations.
    """
    if train is None:
        rows = np.arange(adata.n_obs)
    elif isinstance(train, Fold):
        rows = _fold_rows(adata, train, role=role)
    else:
        rows = np.flatnonzero(_mask(adata, train, role=role))
    if len(rows) < least:
        raise InputError(
            f"{len(rows)} training observations in {role}.",
            allowed=f"at least {least}",
            remedy=f"check {role}; True marks the observations that are fitted on.",
        )
    return rows


def held_out_rows(adata: AnnData, train: Train, *, role: str = "train", least: int = 1) -> np.ndarray:
    """Return the row numbers that are not fitted on, in rising order.

    They are the test observations of a fold (those in its buffer are left out), else all that the mask leaves False.
    Without `train` nothing is held out.

    Raises
    ------
    InputError
        As for `training_rows`, or fewer than `least` observations are held out.
    """
    rows = training_rows(adata, train, role=role)
    if isinstance(train, Fold):
        held_out = np.unique(train.test)
    else:
        held_out = np.setdiff1d(np.arange(adata.n_obs), rows, assume_unique=True)
    if len(held_out) < least:
        raise InputError(
            f"{len(held_out)} of {adata.n_obs} observations held out by {role}.",
            allowed=f"at least {least}",
            remedy=f"pass a {role} that leaves the observations to be scored out.",
        )
    return held_out


def _fold_rows(adata: AnnData, fold: Fold, *, role: str) -> np.ndarray:
    both = np.intersect1d(fold.train, fold.test)
    if len(both):
        raise LeakError(
            f"{len(both)} observations in training and test of one fold.",
            allowed="training and test apart",
            remedy="make folds with sk.pp.PatientKFold or another splitter.",
        )
    rows = np.concatenate([fold.train, fold.test])
    if len(rows) and (rows.min() < 0 or rows.max() >= adata.n_obs):
        raise InputError(
            f"{role} is a fold with rows from {rows.min()} to {rows.max()}, and the table has {adata.n_obs} "
            "observations.",
            allowed="a fold of this table",
            remedy="split the table that you pass here.",
        )
    return np.unique(fold.train)


def _mask(adata: AnnData, train: "str | np.ndarray | pd.Series", *, role: str) -> np.ndarray:
    column = read_column(adata, train, role=role) if isinstance(train, str) else train
    if isinstance(column, pd.Series) and not column.index.equals(adata.obs_names):
        raise InputError(
            f"{role} is a Series with another index than obs_names.",
            allowed="the names of the observations, in their order",
            remedy=f"pass {role}=series.reindex(adata.obs_names), and check for missing values.",
        )
    values = np.asarray(column)
    if values.dtype != bool:
        raise InputTypeError(
            f"{role} of dtype {values.dtype}.",
            allowed="True or False for every observation",
            remedy=f"pass a boolean {role}, such as (adata.obs['patient'] != 'P1').to_numpy().",
        )
    if values.shape != (adata.n_obs,):
        raise InputError(
            f"{role} of shape {values.shape}.", allowed=f"({adata.n_obs},)", remedy="pass one value per observation."
        )
    return values
